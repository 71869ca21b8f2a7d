"""A random network that answers in no time, and three tiny labelled scans on disk."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import torch

from openvista.evaluate.run_folder import RunInfo
from openvista.evaluate.score import CaseRecord, Score
from openvista.inference.device import Compute
from openvista.model import Model
from openvista.network import Preset, build
from openvista.weights import ModelCard
from openvista.weights.store import save_model

CLASSES = {1: 1, 2: 3}  # label value to class id: liver, spleen
PRESET = Preset(
    name="tiny",
    filters=8,
    blocks_per_level=(1, 1),
    window=(16, 16, 16),
    spacing=(2.0, 2.0, 2.0),
    class_rows=140,
    branches=("automatic", "point"),
)
CARD = ModelCard.from_preset(PRESET, name="tiny", classes=(1, 3, 23), licence="none", weights_sha256="0" * 64)

INFO = RunInfo(
    **dict.fromkeys(("command", "started", "version", "precision", "datalist", "datalist_sha256", "split"), "x"),
    model="a",
    weights_sha256="0" * 64,
    cases=("c0",),
    protocol="auto",
    oracle=False,
    profile="best",
    seed=0,
    clicks=(),
    habits=(),
    tolerance_mm=2.0,
    tolerances={},
    surface="elements",
    only_in_slices=(),
    names={1: "liver", 3: "spleen"},
)
"""A run without clicks, of which nothing is known."""


def tiny_network(seed: int = 5):
    """Random weights, spread out so that no class wins everywhere and clicks matter."""
    network = build(PRESET, seed=seed)
    with torch.no_grad():
        network.class_head.linear2.weight *= 5
        network.point_head.output.vector[-1].weight *= 5
    return network


def tiny_model(seed: int = 5) -> Model:
    compute = Compute(torch.device("cpu"), torch.float32, torch.float32)
    return Model(tiny_network(seed).eval(), CARD, compute)


def save_tiny(folder: Path, seed: int = 5) -> Path:
    """The model as a folder that --model takes."""
    return save_model(tiny_network(seed), CARD, folder).path


def write_cases(folder: Path, count: int = 3) -> Path:
    """A data list of tiny scans with a liver and a spleen; the last case has no spleen, and nobody looked for one."""
    random = np.random.default_rng(0)
    affine = np.diag([-2.1, -1.9, 2.5, 1.0])
    entries = []
    for number in range(count):
        voxels = random.integers(-200, 300, (22, 20, 18)).astype(np.int16)
        labels = np.zeros(voxels.shape, np.uint8)
        labels[3 : 12 + number, 4:15, 3:14] = 1
        if number < count - 1:
            labels[15:20, 5:12, 6:12] = 2
        nib.save(nib.Nifti1Image(voxels, affine), folder / f"ct{number}.nii.gz")
        nib.save(nib.Nifti1Image(labels, affine), folder / f"labels{number}.nii.gz")
        entry = {"image": f"ct{number}.nii.gz", "label": f"labels{number}.nii.gz", "label_slices": {"1": [4, 9]}}
        entries.append(entry | ({"annotated": [1]} if number == count - 1 else {}))
    path = folder / "list.json"
    path.write_text(json.dumps({"labels": {"1": "liver", "2": "spleen"}, "training": [], "testing": entries}))
    return path


def make_score(class_id: int, dice: float, clicks: int | None = None, **others: float) -> Score:
    """A score as it could have been."""
    numbers = {"nsd": dice, "hd95_mm": 10 * (1 - dice), "truth_ml": 10.0, "predicted_ml": 9.0}
    numbers |= {"volume_error_ml": -1.0, "volume_error_percent": -10.0} | others
    return Score(dice=dice, class_id=class_id, clicks=clicks, seconds=0.5, **numbers)


def make_record(case: str, *scores: Score) -> CaseRecord:
    return CaseRecord(case, 1.5, 800.0, None, scores)
