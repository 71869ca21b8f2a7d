"""MONAI Label's API, version 0.8, as its stock clients speak it: 3D Slicer, OHIF, the Python client, MITK.

One model appears under three names, for each kind of client its own: ``vista3d`` (type ``vista3d``, OHIF),
``vista3d_auto`` (type ``segmentation``, class prompts) and ``vista3d_click`` (type ``deepgrow``, clicks on a segment).
"""
