"""Validation during training: Dice per structure on held-out cases, on the model grid."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

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
            score = _dice(predicted == index + 1, case, value)
            if score is not None:
                scores.setdefault(classes[value], []).append(score)
    return {class_id: float(np.mean(values)) for class_id, values in sorted(scores.items())}


@torch.no_grad()
def predict_labels(network: Vista3D, image_XYZ: Tensor, ids: Tensor) -> Tensor:
    """Index of the winning class plus one, 0 for background, by windows side by side."""
    window = network.preset.window
    padding = [max(w - n, 0) for w, n in zip(window, image_XYZ.shape, strict=True)]
    padded = torch.nn.functional.pad(image_XYZ.float(), [0, padding[2], 0, padding[1], 0, padding[0]])
    total = torch.zeros(len(ids), *padded.shape)
    for corner in _corners(padded.shape, window):
        box = tuple(slice(a, a + w) for a, w in zip(corner, window, strict=True))
        patch = padded[box][None, None].contiguous(memory_format=torch.channels_last_3d)
        total[(slice(None), *box)] = network.class_logits(patch, ids)[0]
    x, y, z = image_XYZ.shape
    best, index = total[:, :x, :y, :z].max(0)
    return torch.where(best > 0, index + 1, 0)


def _corners(shape: Sequence[int], window: Sequence[int]) -> Iterator[tuple[int, ...]]:
    axes = [sorted({*range(0, n - w, w), n - w}) for n, w in zip(shape, window, strict=True)]
    return ((x, y, z) for x in axes[0] for y in axes[1] for z in axes[2])


def _dice(predicted: Tensor, case: TrainingCase, value: int) -> float | None:
    """Dice of one structure where it is known; ``None`` where it is not annotated or nothing of it is left."""
    truth = case.labels_XYZ == value
    if value not in case.annotated or not truth.any():
        return None
    if value in case.known:
        known = case.known[value]
        length = known.last - known.first + 1
        predicted = predicted.narrow(known.axis, known.first, length)
        truth = truth.narrow(known.axis, known.first, length)
    return float(2 * (predicted & truth).sum() / (predicted.sum() + truth.sum()))
