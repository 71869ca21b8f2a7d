"""Protocol ``auto``: class prompts only, scored on each scan's own grid (paper facts §7)."""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from openvista.datalist import Case
from openvista.errors import DataListError
from openvista.evaluate.metrics import dice
from openvista.inference.model import Model
from openvista.io import read_labels, read_scan

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Score:
    """One structure of one case.

    Attributes:
        case: name of the case.
        class_id: id of the structure in the model.
        dice: 0..1, NaN when neither truth nor prediction has a voxel.
        truth_ml, predicted_ml: volumes inside the scored region.
    """

    case: str
    class_id: int
    dice: float
    truth_ml: float
    predicted_ml: float


def evaluate_automatic(
    model: Model,
    cases: Sequence[Case],
    classes: dict[int, int],
    range_limited: Iterable[int] = (),
    profile: str = "best",
    done: Callable[[Case], None] | None = None,
) -> list[Score]:
    """Segment every case by class prompts and compare with its labels.

    Every class of ``classes`` is prompted in every case, whether or not it is there; only structures that somebody
    annotated in the case are scored.

    Args:
        model: the model to judge.
        cases: from a data list.
        classes: label value of the data list to class id of the model.
        range_limited: label values that are scored only between the case's ``label_slices``, because the structure
            goes on unmarked beyond them.
        profile: inference profile.
        done: called after each case.

    Raises:
        DataListError: labels do not lie on the grid of their scan.
    """
    scores: list[Score] = []
    limited = frozenset(range_limited)
    for case in cases:
        scan = read_scan(case.image)
        labels, grid = read_labels(case.label)
        if not grid.matches(scan.grid, tolerance_mm=0.1):
            raise DataListError(f"{case.label} is not on the grid of {case.image}; resample it first")
        predicted = model.segment(scan, sorted(set(classes.values())), profile=profile).labels
        for value in sorted(case.annotated & classes.keys()):
            region = _region(case, value, labels.shape[2], value in limited)
            scores.append(_score(case, classes[value], predicted[region], labels[region], value, grid.voxel_ml))
        if done is not None:
            done(case)
    return scores


def _region(case: Case, value: int, slices: int, limited: bool) -> tuple[slice, slice, slice]:
    first, last = case.label_slices.get(value, (0, slices - 1)) if limited else (0, slices - 1)
    return slice(None), slice(None), slice(first, last + 1)


def _score(
    case: Case, class_id: int, predicted: NDArray[np.generic], labels: NDArray[np.generic], value: int, voxel_ml: float
) -> Score:
    found, truth = predicted == class_id, labels == value
    return Score(case.name, class_id, dice(found, truth), float(truth.sum()) * voxel_ml, float(found.sum()) * voxel_ml)


@dataclass(frozen=True)
class Summary:
    """One structure over all cases.

    Attributes:
        class_id: id of the structure.
        cases: number of scored cases.
        mean, median, worst: Dice; NaN cases are left out.
    """

    class_id: int
    cases: int
    mean: float
    median: float
    worst: float


def summarise(scores: Iterable[Score]) -> list[Summary]:
    """Scores per structure, in order of id."""
    by_class: dict[int, list[float]] = {}
    for score in scores:
        if not np.isnan(score.dice):
            by_class.setdefault(score.class_id, []).append(score.dice)
    return [
        Summary(class_id, len(values), float(np.mean(values)), float(np.median(values)), float(np.min(values)))
        for class_id, values in sorted(by_class.items())
    ]
