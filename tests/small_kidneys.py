"""A made-up scan with two kidneys, in any order of axes, and a model that has learned which of them is the left."""

from pathlib import Path

import nibabel as nib
import numpy as np
import torch
from torch.nn import functional

from openvista.network import Preset, build
from openvista.weights import ModelCard
from openvista.weights.store import save_model

SHAPE = (16, 16, 16)
RIGHT, LEFT = 5, 14
"""Ids of the kidneys in the official list."""
PRESET = Preset(
    name="kidneys", filters=8, blocks_per_level=(1, 1), window=SHAPE, spacing=(4.0, 4.0, 4.0), class_rows=140
)
LEFT_HU, RIGHT_HU = 300, 100


def kidneys_RAS() -> tuple[np.ndarray, np.ndarray]:
    """(HU, ids) with axes that run to the patient's right, front and head: the left kidney lies at low x."""
    labels = np.zeros(SHAPE, np.uint8)
    labels[2:6, 6:11, 4:12], labels[10:14, 6:11, 4:12] = LEFT, RIGHT
    voxels = np.full(SHAPE, -50, np.int16)
    voxels[labels == LEFT], voxels[labels == RIGHT] = LEFT_HU, RIGHT_HU
    return voxels, labels


def save_as(path: Path, values_RAS: np.ndarray, codes: str) -> Path:
    """Write an array whose axes run to R, A, S with other axes; every voxel stays where it is in the patient."""
    image = nib.Nifti1Image(values_RAS, np.diag([4.0, 4.0, 4.0, 1.0]))
    turned = nib.orientations.ornt_transform(nib.io_orientation(image.affine), nib.orientations.axcodes2ornt(codes))
    nib.save(image.as_reoriented(turned), path)
    return path


def make_kidney_model(folder: Path) -> Path:
    """It tells the kidneys by their HU, as a network could that saw one scan only."""
    voxels, labels = kidneys_RAS()
    low, high = PRESET.hu_window
    image = torch.from_numpy(((voxels - low) / (high - low)).clip(0, 1).astype(np.float32))[None, None]
    truth = torch.from_numpy(np.stack([labels == RIGHT, labels == LEFT]).astype(np.float32))[None]
    network = build(PRESET, seed=1)
    optimiser = torch.optim.Adam(network.parameters(), 0.02)
    for _ in range(40):
        logits = network.class_logits(image, torch.tensor([RIGHT, LEFT]))
        loss = functional.binary_cross_entropy_with_logits(logits, truth, pos_weight=torch.tensor(4.0))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    card = ModelCard.from_preset(PRESET, classes=(RIGHT, LEFT), name="kidneys")
    return save_model(network.eval(), card, folder).path
