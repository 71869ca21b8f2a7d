"""Scans, labels and a data list as a user of a bundle has them; small."""

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

SHAPE = (24, 22, 20)
AFFINE = np.diag([-2.5, -2.0, 3.0, 1.0])
AFFINE[:3, 3] = (40.0, 30.0, -20.0)
FINETUNE = ["configs/train.json", "configs/train_continual.json"]
EVALUATE = [*FINETUNE, "configs/evaluate.json"]


def write_cases(folder: Path) -> None:
    """``ct0`` to ``ct2``, ``label0`` to ``label2`` and ``dataset.json``, which holds out the last one as fold 0."""
    for number in range(3):
        write_case(folder, number)
    training = [
        {"image": f"ct{number}.nii.gz", "label": f"label{number}.nii.gz", "fold": int(number < 2)}
        for number in range(3)
    ]
    (folder / "dataset.json").write_text(json.dumps({"training": training, "testing": []}))


def write_case(folder: Path, number: int) -> None:
    """A bright box in a body in air, and its label map; axes run as in most CT files."""
    random = np.random.default_rng(number)
    voxels = np.full(SHAPE, -1000.0)
    voxels[3:21, 3:19, 2:18] = 40
    voxels[9:15, 8:14, 6:14] = 300
    voxels += random.normal(0, 10, SHAPE)
    labels = np.zeros(SHAPE, np.uint8)
    labels[9:15, 8:14, 6:14] = 1
    nib.save(nib.Nifti1Image(voxels.astype(np.int16), AFFINE), folder / f"ct{number}.nii.gz")
    nib.save(nib.Nifti1Image(labels, AFFINE), folder / f"label{number}.nii.gz")


def run_on_cases(configs: list[str], cases: Path, **override: Any) -> None:
    """Run configurations of the bundle in this folder on files of :func:`write_cases`: an epoch of small patches."""
    from monai import bundle

    small = {"patch_size": [32, 32, 32], "epochs": 1}
    data = {"data_list_file_path": str(cases / "dataset.json"), "dataset_dir": str(cases)}
    bundle.run(config_file=configs, logging_file=False, **{**small, **data, **override})
