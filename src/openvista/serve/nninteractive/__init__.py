"""nnInteractive's remote protocol, version 2.6, as its stock client speaks it: scripts, napari, and others with it.

In the order of reading: ``packed`` (how arrays travel), ``leases`` (who works here, and until when), ``segmenting``
(their prompts in the words of our sessions), ``messages`` and ``routes``. The protocol is that of
MIC-DKFZ/nnInteractive (Apache-2.0).
"""
