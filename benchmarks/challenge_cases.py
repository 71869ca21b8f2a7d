"""CT cases as files of the CVPR 2025 challenge; those to score also as they would be if stored differently.

    python benchmarks/challenge_cases.py FOLDER [OPENKBP/dataset.json]

Writes FOLDER/train, FOLDER/list.json (names of its files), and FOLDER/test with six copies of each case to score. Cases
are the examples, one of them to score; or those of the OpenKBP list, six to score, without the two structures that are
marked along a part of their length only. HU -160..240 become 0..255.
"""

import json
import sys
from pathlib import Path

import numpy as np

from openvista.datalist import read_datalist
from openvista.io import read_labels, read_scan
from openvista.simulate.challenge_user import draw_box

EXAMPLES = Path(__file__).parents[1] / "examples" / "data"
LEARNED, HELD_OUT = ("case_041", "case_092", "case_100"), ("head_neck",)
THE_SIX = ("pt_017", "pt_024", "pt_034", "pt_083", "pt_100", "pt_172")
CORD, ESOPHAGUS = 2, 5
LOW, HIGH = -160, 240
COPIES = {
    "as_it_is": ((0, 1, 2), ()),
    "mirrored": ((0, 1, 2), (2,)),
    "reversed": ((0, 1, 2), (1, 2)),
    "head_first": ((0, 1, 2), (0,)),
    "quarter": ((0, 2, 1), (1,)),
    "rows_first": ((1, 0, 2), (0,)),
}
"""Order of the axes Z, Y, X, and which are reversed then."""


def arrays_of(image, label, without=()):
    """Grey values, labels and spacing [Z, Y, X]; the files' RAS axes become those of SimpleITK's arrays."""
    scan, (labels, _) = read_scan(image), read_labels(label)
    assert scan.grid.axis_codes == "RAS"
    hu, labels = (array[::-1, ::-1].transpose(2, 1, 0) for array in (scan.voxels, labels))
    grey = (np.clip(hu, LOW, HIGH) - LOW) / (HIGH - LOW) * 255
    return (
        grey.astype(np.uint8),
        np.where(np.isin(labels, without), 0, labels).astype(np.uint8),
        scan.grid.spacing[::-1],
    )


def box_of(mask):
    """Slices, rows and columns, and the slice of the rectangle."""
    box = draw_box(mask, np.random.default_rng(0))
    return [box.z, box.y, box.x], box.middle


def turned(box, shape, axes, reversed_axes):
    """The box of a copy whose slices stay slices: the same voxels."""
    sides, middle = box
    sides = [sides[axis] for axis in axes]
    for axis in reversed_axes:
        last = shape[axes[axis]] - 1
        sides[axis] = (last - sides[axis][1], last - sides[axis][0])
        middle = last - middle if axis == 0 else middle
    return sides, middle


def as_stored(box):
    """As the challenge's files hold a box."""
    ((z_min, z_max), (y_min, y_max), (x_min, x_max)), middle = box
    ends = {"z_min": z_min, "z_max": z_max, "z_mid": middle, "z_mid_y_min": y_min, "z_mid_y_max": y_max}
    return ends | {"z_mid_x_min": x_min, "z_mid_x_max": x_max}


def write_copies(folder, name, image, labels, spacing):
    values = np.unique(labels)[1:]
    boxes = [box_of(labels == value) for value in values]
    for copy, (axes, reversed_axes) in COPIES.items():
        image_there, labels_there = (np.flip(array.transpose(axes), reversed_axes) for array in (image, labels))
        if axes[0] == 0:
            there = [turned(box, image.shape, axes, reversed_axes) for box in boxes]
        else:  # another slice has the rectangle
            there = [box_of(labels_there == value) for value in values]
        np.savez_compressed(
            folder / f"CT_{name}__{copy}.npz",
            imgs=image_there,
            gts=labels_there,
            spacing=np.array([spacing[axis] for axis in axes]),
            boxes=[as_stored(box) for box in there],
        )


def cases_of(datalist):
    """Name, arrays and whether it is to be scored."""
    if datalist is None:
        for name in (*LEARNED, *HELD_OUT):
            files = (EXAMPLES / f"{name}_{what}.nii.gz" for what in ("ct", "labels"))
            yield name, arrays_of(*files), name in HELD_OUT
        return
    for case in read_datalist(Path(datalist)).training:
        name = case.image.name.split(".")[0]
        yield name, arrays_of(case.image, case.label, (CORD, ESOPHAGUS)), name in THE_SIX


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    for part in ("train", "test"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    learned = []
    for name, (image, labels, spacing), to_score in cases_of(sys.argv[2] if len(sys.argv) > 2 else None):
        if to_score:
            write_copies(folder / "test", name, image, labels, spacing)
        else:
            learned.append(f"CT_{name}.npz")
            np.savez_compressed(folder / "train" / learned[-1], imgs=image, gts=labels, spacing=np.array(spacing))
    (folder / "list.json").write_text(json.dumps(learned))
