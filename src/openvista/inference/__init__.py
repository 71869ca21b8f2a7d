"""From a scan to a segmentation, in the order of reading: ``automatic`` (the path of the data), ``windows`` and
``body`` (where to look), ``window_network`` and ``device`` (how to compute), ``stitching``, ``labelling`` (deciding,
and the way back), ``strays``. ``feature_volume`` keeps features for later questions. ``profiles`` and ``progress`` need
no torch."""
