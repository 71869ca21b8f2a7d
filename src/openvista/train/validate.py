"""Validation during training: Dice per structure on held-out cases, on the model grid."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from openvista.evaluate.metrics import dice
from openvista.inference.windows import pad, plan_windows
from openvista.model import Vista3D
from openvista.train.cases import TrainingCase


def validate(network: Vista3D, cases: Sequence[TrainingCase], classes: dict[int, int]) -> dict[int, float]:
    """Mean Dice per class id over the cases that are annotated for it.

    Args:
        network: in any mode; left as it was.
        cases: prepared, held-out cases.
        classes: label value to class id.

    Returns:
        class id to mean Dice; a class no case is annotated for is left out.
    """
    values = sorted(classes)
    ids = torch.tensor([classes[value] for value in values])
    scores: dict[int, list[float]] = {}
    for case in cases:
        predicted = predict_labels(network, case.image_XYZ, ids)
        for index, value in enumerate(values):
            score = dice_where_known(predicted == index + 1, case, value)
            if score is not None:
                scores.setdefault(classes[value], []).append(score)
    return {class_id: float(np.mean(values)) for class_id, values in sorted(scores.items())}


@torch.no_grad()
def predict_labels(network: Vista3D, image_XYZ: Tensor, ids: Tensor) -> Tensor:
    """Index of the winning class plus one, 0 for background, [X, Y, Z]; windows side by side, for speed."""
    x, y, z = image_XYZ.shape
    plan = plan_windows((x, y, z), network.preset.window, overlap=0)
    device = next(network.parameters()).device
    ids = ids.to(device)
    padded_XYZ = pad(image_XYZ.float(), plan, "constant")
    logits_KXYZ = torch.zeros(len(ids), *padded_XYZ.shape)
    for start in plan.starts:
        window_11XYZ = padded_XYZ[plan.box(start)][None, None].contiguous(memory_format=torch.channels_last_3d)
        logits_KXYZ[(slice(None), *plan.box(start))] = network.class_logits(window_11XYZ.to(device), ids)[0].cpu()
    best, index = logits_KXYZ.max(0)
    labels = torch.where(best > 0, index + 1, 0)
    a, b, c = plan.pad_before
    return labels[a : a + x, b : b + y, c : c + z]


def dice_where_known(predicted: Tensor, case: TrainingCase, value: int) -> float | None:
    """Dice of one structure where it is known; ``None`` where it is not annotated or nothing of it is left."""
    truth = case.labels_XYZ == value
    if value not in case.annotated or not truth.any():
        return None
    if value in case.known:
        known = case.known[value]
        length = known.last - known.first + 1
        predicted = predicted.narrow(known.axis, known.first, length)
        truth = truth.narrow(known.axis, known.first, length)
    return dice(predicted.numpy(), truth.numpy())
