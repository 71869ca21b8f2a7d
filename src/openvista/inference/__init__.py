"""From a scan to a segmentation, in the order of reading: ``model`` (what users call), ``automatic`` (the path of the
data), ``windows`` and ``body`` (where to look), ``network`` and ``device`` (how to compute), ``features`` (stitching),
``labels`` (deciding, and the way back). ``profiles`` and ``progress`` need no torch."""
