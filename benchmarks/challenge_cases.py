"""The example cases as files of the CVPR 2025 challenge, one of them also as it would be if stored differently.

    python benchmarks/challenge_cases.py FOLDER

Writes FOLDER/train (three cases), FOLDER/list.json (their names), and FOLDER/test: the fourth case as SimpleITK would
read it, with both axes of its slices reversed, and turned by a quarter so that its rows come first. HU -160..240 become
0..255.
"""

import json
import sys
from pathlib import Path

import numpy as np

from openvista.io import read_labels, read_scan
from openvista.simulate.challenge_user import draw_box

DATA = Path(__file__).parents[1] / "examples" / "data"
LEARNED, HELD_OUT = ("case_041", "case_092", "case_100"), "head_neck"
LOW, HIGH = -160, 240


def arrays_of(name):
    """Grey values, labels and spacing [Z, Y, X]; the files' RAS axes become those of SimpleITK's arrays."""
    scan, (labels, _) = read_scan(DATA / f"{name}_ct.nii.gz"), read_labels(DATA / f"{name}_labels.nii.gz")
    assert scan.grid.axis_codes == "RAS"
    hu, labels = (array[::-1, ::-1].transpose(2, 1, 0) for array in (scan.voxels, labels))
    grey = (np.clip(hu, LOW, HIGH) - LOW) / (HIGH - LOW) * 255
    return grey.astype(np.uint8), labels.astype(np.uint8), scan.grid.spacing[::-1]


def box_of(mask):
    """As the challenge's files hold a box."""
    box = draw_box(mask, np.random.default_rng(0))
    ends = {"z_min": box.z[0], "z_max": box.z[1], "z_mid": box.middle, "z_mid_y_min": box.y[0], "z_mid_y_max": box.y[1]}
    return ends | {"z_mid_x_min": box.x[0], "z_mid_x_max": box.x[1]}


def write(path, image, labels, spacing):
    boxes = [box_of(labels == value) for value in np.unique(labels)[1:]]
    np.savez_compressed(path, imgs=image, gts=labels, spacing=np.array(spacing), boxes=boxes)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    for part in ("train", "test"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for name in LEARNED:
        write(folder / "train" / f"CT_{name}.npz", *arrays_of(name))
    (folder / "list.json").write_text(json.dumps([f"CT_{name}.npz" for name in LEARNED]))
    image, labels, (z, y, x) = arrays_of(HELD_OUT)
    write(folder / "test" / "CT_as_it_is.npz", image, labels, (z, y, x))
    write(folder / "test" / "CT_reversed.npz", image[:, ::-1, ::-1], labels[:, ::-1, ::-1], (z, y, x))
    write(folder / "test" / "CT_turned.npz", np.rot90(image), np.rot90(labels), (y, z, x))
