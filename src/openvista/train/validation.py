"""Validation during training: what the branches that are trained reach on held-out cases, on the model grid."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from openvista.network import Vista3D
from openvista.train.cases import TrainingCase
from openvista.train.distributed import Ranks
from openvista.train.recipe import Recipe
from openvista.train.validate import class_dice
from openvista.train.validate_clicks import one_click_dice

Scores = dict[str, dict[int, float]]


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
    """One number to compare checkpoints by: the mean over the branches' means; 0 where nothing was held out."""
    means = [float(np.mean([*dice.values()])) for dice in scores.values() if dice]
    return float(np.mean(means)) if means else 0.0
