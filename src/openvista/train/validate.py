"""Validation of the automatic branch during training: Dice per class of a held-out case, on the model grid."""

from collections.abc import Sequence

import torch
from torch import Tensor

from openvista.inference.windows import pad, plan_windows
from openvista.metrics.masks import dice
from openvista.network import Vista3D
from openvista.train.cases import TrainingCase

TOGETHER = 4
"""Windows that go through the network at once."""


def class_dice(network: Vista3D, case: TrainingCase, class_ids: Sequence[int]) -> dict[int, float]:
    """Dice by class id of every class the case is annotated for and has."""
    predicted = predict_labels(network, case.image_XYZ, torch.tensor(class_ids))
    found = {  # a voxel is predicted as one class, so an organ is judged without the tumour in it
        class_id: dice_where_known(predicted == index + 1, case.labels_XYZ == class_id, case, class_id)
        for index, class_id in enumerate(class_ids)
    }
    return {class_id: score for class_id, score in found.items() if score is not None}


@torch.no_grad()
def predict_labels(network: Vista3D, image_XYZ: Tensor, ids: Tensor) -> Tensor:
    """Index of the winning class plus one, 0 for background, [X, Y, Z]; windows side by side, for speed."""
    x, y, z = image_XYZ.shape
    device = next(network.parameters()).device
    plan = plan_windows((x, y, z), network.preset.window, overlap=0)
    padded_XYZ = pad(image_XYZ.float(), plan, "constant")
    best_XYZ = torch.zeros(padded_XYZ.shape)
    index_XYZ = torch.zeros(padded_XYZ.shape, dtype=torch.int16)
    for first in range(0, len(plan.starts), TOGETHER):
        boxes = [plan.box(start) for start in plan.starts[first : first + TOGETHER]]
        images_N1XYZ = torch.stack([padded_XYZ[box] for box in boxes])[:, None].to(device)
        images_N1XYZ = images_N1XYZ.contiguous(memory_format=torch.channels_last_3d)
        best, index = network.class_logits(images_N1XYZ, ids.to(device)).max(1)
        for number, box in enumerate(boxes):
            best_XYZ[box] = best[number].float().cpu()
            index_XYZ[box] = index[number].to(torch.int16).cpu()
    labels = torch.where(best_XYZ > 0, index_XYZ + 1, 0)
    a, b, c = plan.pad_before
    return labels[a : a + x, b : b + y, c : c + z]


def dice_where_known(predicted_XYZ: Tensor, truth_XYZ: Tensor, case: TrainingCase, class_id: int) -> float | None:
    """Dice of one class where it is known; ``None`` where it is not annotated or nothing of it is there."""
    if class_id not in case.annotated or class_id in case.pseudo:
        return None
    if class_id in case.known:
        known = case.known[class_id]
        length = max(known.last - known.first + 1, 0)
        predicted_XYZ = predicted_XYZ.narrow(known.axis, known.first, length)
        truth_XYZ = truth_XYZ.narrow(known.axis, known.first, length)
    return dice(predicted_XYZ.numpy(), truth_XYZ.numpy()) if truth_XYZ.any() else None
