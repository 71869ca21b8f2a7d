"""Made-up bodies: a label map of a few ellipsoids, small enough to draw from in a moment."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

SPACING = 4.0
SHAPE = (50, 36, 30)
NAMES = {
    **{1: "liver", 2: "spleen", 3: "kidney_right", 4: "kidney_left", 5: "vertebrae_L2", 6: "vertebrae_L1", 7: "colon"},
    **{8: "lung_lower_lobe_right", 9: "lung_lower_lobe_left", 10: "aorta", 11: "gallbladder"},
}
PLACES = {  # middle and semi-axes, in voxels; the first index grows to the right
    8: ((36, 18, 27), (9, 10, 5)),
    9: ((14, 18, 27), (9, 10, 5)),
    1: ((36, 20, 16), (9, 10, 6)),
    2: ((10, 14, 16), (5, 6, 5)),
    3: ((34, 9, 8), (4, 4, 5)),
    4: ((16, 9, 8), (4, 4, 5)),
    7: ((25, 28, 8), (13, 4, 4)),
    10: ((23, 14, 15), (2, 2, 16)),
    11: ((30, 26, 13), (3, 3, 3)),
}
"""Right structures lie at a higher first index, as in RAS."""


def small_labels(grown: float = 1.0) -> NDArray[np.uint8]:
    """The label map, [X, Y, Z] in RAS; ``grown`` scales the spleen, to tell bodies apart."""
    labels = np.zeros(SHAPE, np.uint8)
    places = np.indices(SHAPE)
    for key, (middle, half) in PLACES.items():
        half = tuple(side * grown for side in half) if key == 2 else half
        ball = sum(((places[axis] - middle[axis]) / half[axis]) ** 2 for axis in range(3)) < 1
        labels[ball & (labels == 0)] = key
    labels[21:29, 2:10, 3:11] = 5  # two vertebrae with a gap; their canal is left out
    labels[21:29, 2:10, 13:21] = 6
    labels[24:26, 2:5, :] = 0
    return labels


def write_body(
    folder: Path, name: str = "body", labels: NDArray[np.uint8] | None = None, codes: str = "RAS", grown: float = 1.0
) -> Path:
    """A NIfTI label map without names, stored in any orientation."""
    image = nib.Nifti1Image(small_labels(grown) if labels is None else labels, np.diag([SPACING] * 3 + [1.0]))
    turn = nib.orientations.ornt_transform(
        nib.orientations.axcodes2ornt("RAS"), nib.orientations.axcodes2ornt(tuple(codes))
    )
    path = folder / f"{name}.nii.gz"
    nib.save(image.as_reoriented(turn), path)
    return path


def write_names(folder: Path, names: dict[int, str] | None = None) -> Path:
    """What its labels are called."""
    path = folder / "names.json"
    path.write_text(json.dumps({str(key): name for key, name in (names or NAMES).items()}))
    return path
