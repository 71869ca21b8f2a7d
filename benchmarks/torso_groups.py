"""Dice of a model on the torso, by groups of structures: ``torso_groups.py MODEL CT LABELS --names labels.json``.

Left and right count together but for kidneys and lungs, and so do vertebrae, ribs, glutei and adrenal glands, because
label maps differ in how finely they divide them. A group counts where the label map has more than 20 voxels of it.
Automatic, profile ``best``, on the scan's own voxels; what a model has no class for gets 0.
"""

import argparse
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from openvista import load_model, read_scan
from openvista.inference.target import nearest_on
from openvista.io import read_segmentation
from openvista.metrics.masks import dice
from openvista.synthesis.maps import read_names
from openvista.synthesis.structure import identify

FEWEST_VOXELS = 20
GROUPS = {
    **{name: (name,) for name in ("liver", "spleen", "stomach", "gallbladder", "pancreas", "duodenum", "colon")},
    **{name: (name,) for name in ("small bowel", "bladder", "aorta", "inferior vena cava", "heart", "trachea")},
    **{name: (name,) for name in ("esophagus", "prostate")},
    "right kidney": ("right kidney", "right kidney cyst"),
    "left kidney": ("left kidney", "left kidney cyst"),
    "right lung": ("right lung*",),
    "left lung": ("left lung*",),
    "vertebrae": ("vertebrae", "vertebrae [CTL]*"),
    "sacrum": ("sacrum", "vertebrae S1"),
    "ribs": ("ribs", "* rib *"),
    "hips": ("hips", "* hip"),
    "femurs": ("femurs", "* femur"),
    "autochthon": ("autochthonous back muscles", "* autochthon"),
    "iliopsoas": ("iliopsoas muscles", "* iliopsoas"),
    "gluteus": ("gluteal muscles", "* gluteus *"),
    "adrenal glands": ("adrenal glands", "* adrenal gland"),
}


def group_mask(
    labels: NDArray[np.unsignedinteger], names: Mapping[int, str], patterns: tuple[str, ...]
) -> NDArray[np.bool_]:
    """Where any structure of a group is."""
    keys = [key for key, name in names.items() if any(fnmatchcase(name, pattern) for pattern in patterns)]
    return np.isin(labels, keys)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("scan", type=Path)
    parser.add_argument("labels", type=Path)
    parser.add_argument("--names", type=Path, help="of the label map, where it has none itself")
    given = parser.parse_args()
    scan, reference = read_scan(given.scan), read_segmentation(given.labels)
    if not scan.grid.matches(reference.grid, tolerance_mm=0.1):  # such as axes that run the other way
        reference = nearest_on(reference, scan.grid)
    called = reference.names if given.names is None else read_names(given.names)
    names = {key: identify(name).name for key, name in called.items()}
    found = load_model(given.model).segment(scan)
    scores = {}
    for group, patterns in GROUPS.items():
        truth = group_mask(reference.labels, names, patterns)
        if truth.sum() > FEWEST_VOXELS:
            scores[group] = dice(group_mask(found.labels, found.names, patterns), truth)
            print(f"{group:20s} {truth.sum() * scan.grid.voxel_ml:7.0f} ml  {scores[group]:.3f}")
    print(f"mean of {len(scores)} groups {np.mean([*scores.values()]):.3f}")


if __name__ == "__main__":
    main()
