"""From a scan to a segmentation, in the order of reading: ``model`` (what users call), ``automatic`` (the path of the
data), ``windows`` and ``body`` (where to look), ``network`` and ``device`` (how to compute), ``features`` (stitching),
``labels`` (deciding, and the way back). ``profiles`` and ``progress`` need no torch.

Clicks: ``session`` with ``session_prompts`` (what users call), ``objects`` and ``history`` (what changes, and is
undone), ``prompting`` (one prompt answered), ``answering`` (an object's mask from all it depends on), ``click_engine``,
``click_windows`` and ``click_network`` (windows, encoded once), ``merge``, ``components`` and ``grow`` (the rules),
``workbench`` (what is kept of a scan), ``feature_volume`` (classes in a session), ``overlap`` and ``export`` (label
maps), ``session_store`` and ``replay`` (files)."""
