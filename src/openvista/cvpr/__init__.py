"""The interface of the CVPR 2025 challenge "Foundation Models for Interactive 3D Biomedical Image Segmentation".

A case is an ``.npz`` file with an image of any modality and prompts for several classes; the answer is another one with
a label map. Each interaction is a run of its own: nothing survives but the file.

The baseline that was published with VISTA3D has seven weak points (challenge facts §6). How each is met here:

1. *Boxes are ignored, and without clicks one hard-coded click is used.* A box becomes a positive click in the middle of
   its rectangle and negative ones beyond its faces, and bounds the result along the slices (:mod:`.request`); as soon
   as there are positive clicks, the one in its middle is dropped. No other click is made up.
2. *Classes are padded to equally many clicks, each costing a window.* Every class has its own clicks and no others.
3. *The previous result is unused, so every run answers all clicks again.* A class starts from it, and windows are
   opened only for clicks that it contradicts; a class with none costs nothing (:mod:`.predict`).
4. *Nothing outside the windows of clicks can be segmented.* Masks grow into neighbouring windows.
5. *Later classes overwrite earlier ones.* A voxel goes to the class with the largest logit.
6. *The network sees whatever spacing an image has.* Images are resampled to the spacing the model was trained with, as
   far as they are of a size that it can have seen (:mod:`.image`).
7. *Output is float32, and a GPU is required.* Output is uint8; any device will do.

Nor does a file say which way its axes run; it can be found from the prompts (:mod:`.orientation`).

Arrays of the challenge are [Z, Y, X], those of scans [X, Y, Z].
"""
