"""Validation during training: what the branches that are trained reach on held-out cases, on the model grid."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from openvista.anatomy.catalogue import SPECIAL_IDS
from openvista.distributed import Ranks
from openvista.geometry.box import Box, Slices, minus, plus
from openvista.geometry.grid import Axis3, triple
from openvista.inference.windows import WindowPlan, pad, plan_windows
from openvista.metrics.masks import dice
from openvista.network import ClickLabel, Vista3D
from openvista.simulate.class_prompts import class_target
from openvista.simulate.user import first_user_click
from openvista.train.cases import TrainingCase
from openvista.train.recipe import Recipe

Scores = dict[str, dict[int, float]]

TOGETHER = 4
"""Windows that go through the network at once."""


def validate_all(network: Vista3D, cases: Sequence[TrainingCase], recipe: Recipe, ranks: Ranks) -> Scores:
    """Mean Dice per class id of every branch that is trained; the same in all processes.

    Args:
        network: in any mode; left as it was.
        cases: this process's share of the held-out cases.
        recipe: says which branches are trained.
        ranks: the processes that share the work.

    Returns:
        "validation_dice" (by class prompt) and "one_click_dice", class id to mean over all cases annotated for it.
    """
    here: dict[str, list[dict[int, float]]] = {}
    autocast = getattr(torch, recipe.precision)
    with torch.autocast(ranks.device.type, autocast, enabled=autocast != torch.float32):
        if "automatic" in recipe.trained:
            here["validation_dice"] = [class_dice(network, case, recipe.class_ids) for case in cases]
        if "point" in recipe.trained:
            here["one_click_dice"] = [one_click_dice(network, case, recipe.class_ids) for case in cases]
    everywhere = ranks.gathered(here)
    return {kind: mean_scores([one for process in everywhere for one in process[kind]]) for kind in here}


def mean_scores(of_cases: Sequence[Mapping[int, float]]) -> dict[int, float]:
    """Mean per class id over the cases that have it."""
    class_ids = sorted({class_id for scores in of_cases for class_id in scores})
    return {one: float(np.mean([scores[one] for scores in of_cases if one in scores])) for one in class_ids}


def overall(scores: Scores) -> float:
    """One number to compare checkpoints by: the mean of the branches' means; 0 where nothing was held out."""
    means = [float(np.mean([*dice.values()])) for dice in scores.values() if dice]
    return float(np.mean(means)) if means else 0.0


def class_dice(network: Vista3D, case: TrainingCase, class_ids: Sequence[int]) -> dict[int, float]:
    """Dice by class id of every class the case is annotated for and has."""
    predicted = predict_labels(network, case.image_XYZ, torch.tensor(class_ids))
    found = {  # a voxel is predicted as one class, so an organ is judged without the tumour in it
        class_id: dice_where_known(predicted == index + 1, case.labels_XYZ == class_id, case, class_id)
        for index, class_id in enumerate(class_ids)
    }
    return {class_id: score for class_id, score in found.items() if score is not None}


@torch.no_grad()
def predict_labels(network: Vista3D, image_XYZ: Tensor, ids_K: Tensor) -> Tensor:
    """Place of the winning class in ``ids_K`` plus one, 0 for background, [X, Y, Z]; windows side by side: faster."""
    device = next(network.parameters()).device
    plan = plan_windows(triple(image_XYZ.shape), network.preset.window, overlap=0)
    padded_XYZ = pad(image_XYZ.float(), plan, "constant")
    best_XYZ = torch.zeros(padded_XYZ.shape)
    index_XYZ = torch.zeros(padded_XYZ.shape, dtype=torch.int16)
    for first in range(0, len(plan.starts), TOGETHER):
        boxes = [plan.slices(start) for start in plan.starts[first : first + TOGETHER]]
        best, index = network.class_logits(_stacked(padded_XYZ, boxes, device), ids_K.to(device)).max(1)
        for number, box in enumerate(boxes):
            best_XYZ[box] = best[number].float().cpu()
            index_XYZ[box] = index[number].to(torch.int16).cpu()
    return torch.where(best_XYZ > 0, index_XYZ + 1, 0)[plan.inner.slices()]


@torch.no_grad()
def one_click_dice(network: Vista3D, case: TrainingCase, class_ids: Sequence[int]) -> dict[int, float]:
    """Dice after one click by class id, of every class the case is annotated for and has.

    Args:
        network: with a point branch; in any mode, left as it was.
        case: a prepared case.
        class_ids: classes to click on.
    """
    plan = plan_windows(triple(case.image_XYZ.shape), network.preset.window, overlap=0)
    padded_XYZ = pad(case.image_XYZ.float(), plan, "constant")
    truths = {
        class_id: class_target(case.labels_XYZ, class_id, {one: one for one in class_ids})
        for class_id in case.annotated
        if class_id in class_ids and class_id not in case.pseudo
    }
    present = [class_id for class_id, truth in truths.items() if bool(truth.any())]
    scores = {}
    for first in range(0, len(present), TOGETHER):
        some = present[first : first + TOGETHER]
        clicks = {class_id: first_user_click(truths[class_id].numpy(), case.spacing) for class_id in some}
        for class_id, mask_XYZ in _click_masks(network, padded_XYZ, plan, clicks).items():
            score = dice_where_known(mask_XYZ, truths[class_id], case, class_id)
            if score is not None:
                scores[class_id] = score
    return scores


def window_around(place: Axis3, window: Axis3, volume: Axis3) -> Box:
    """The window whose middle is the place, shifted to lie inside a volume that is at least as large."""
    sides = zip(place, window, volume, strict=True)
    return Box.sized(triple(min(max(at - side // 2, 0), length - side) for at, side, length in sides), window)


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


def _click_masks(
    network: Vista3D, padded_XYZ: Tensor, plan: WindowPlan, clicks: Mapping[int, Axis3]
) -> dict[int, Tensor]:
    """Class id to the mask [X, Y, Z] after one click, at a voxel of the volume."""
    device = next(network.parameters()).device
    places = [plus(click, plan.pad_before) for click in clicks.values()]
    boxes = [window_around(place, plan.window, plan.padded) for place in places]
    pyramid = network.encoder(_stacked(padded_XYZ, [box.slices() for box in boxes], device))
    windows = network.point_head.prepare_all(network.point_decoder(pyramid))
    masks = {}
    for class_id, place, box, window in zip(clicks, places, boxes, windows, strict=True):
        label = ClickLabel.of(positive=True, special=class_id in SPECIAL_IDS)
        place_3 = torch.tensor(minus(place, box.start))
        logits = network.point_logits(window, place_3[None, None], torch.tensor([[int(label)]]))
        whole_XYZ = torch.zeros(plan.padded, dtype=torch.bool)
        whole_XYZ[box.slices()] = (logits[0, 0] > 0).cpu()
        masks[class_id] = whole_XYZ[plan.inner.slices()]
    return masks


def _stacked(padded_XYZ: Tensor, boxes: Sequence[Slices], device: torch.device) -> Tensor:
    """Windows as a network takes them, [N, 1, X, Y, Z]."""
    images_N1XYZ = torch.stack([padded_XYZ[box] for box in boxes])[:, None].to(device)
    return images_N1XYZ.contiguous(memory_format=torch.channels_last_3d)
