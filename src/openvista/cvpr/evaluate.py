"""The iterative protocol of the CVPR 2025 challenge, as its official evaluation does it (challenge facts §4, §5).

First a box; then five times one click per class, in the middle of the largest error, and everything is asked again with
the clicks so far and the previous label map. Arrays are [Z, Y, X], as in the challenge's files.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from openvista.cvpr.case_file import CaseFile, class_ids
from openvista.cvpr.predict import RUNS, SECONDS_PER_CLASS
from openvista.cvpr.request import Labels, Request
from openvista.errors import PromptError, ScanError
from openvista.geometry.box import Box, plus
from openvista.geometry.grid import Axis3, Float3
from openvista.io.atomic import write_text
from openvista.metrics.masks import DEFAULT_TOLERANCE_MM, dice
from openvista.metrics.surface import surface_distances
from openvista.report.table import csv_text
from openvista.simulate.challenge_user import ArrayClick, MiddleBox, official_click

CLICKS = RUNS - 1
NSD_FROM_DICE = 0.2
"""With a mean Dice up to this, NSD is not computed and counts as 0."""
RANKED_BY = ("DSC_AUC", "NSD_AUC", "DSC_Final", "NSD_Final")

Respond = Callable[[Request], Labels]


@dataclass(frozen=True, eq=False)
class Step:
    """One run.

    Attributes:
        clicks: how many rounds of clicks it had; 0 for the run with boxes only.
        labels_ZYX: its answer.
        seconds: it took.
    """

    clicks: int
    labels_ZYX: Labels
    seconds: float


@dataclass(frozen=True)
class Outcome:
    """A case after all runs; a run that there was not counts as 0 everywhere.

    Attributes:
        name: of the case.
        classes: how many.
        dsc, nsd: mean over classes, one per run, that with boxes first.
        seconds: one per run.
    """

    name: str
    classes: int
    dsc: tuple[float, ...]
    nsd: tuple[float, ...]
    seconds: tuple[float, ...]

    @property
    def too_slow(self) -> bool:
        """Over 90 s per class: the final test counted such a case as 0, the public script warns."""
        return sum(self.seconds) > SECONDS_PER_CLASS * self.classes

    def row(self) -> dict[str, str | float | int]:
        """Column to value, named and ordered as in the official table."""

        def numbered(name: str, values: Sequence[float]) -> dict[str, float]:
            return {f"{name}_{run}": value for run, value in enumerate(values, start=1)}

        return {
            "CaseName": self.name,
            "TotalRunningTime": sum(self.seconds),
            **numbered("RunningTime", self.seconds),
            **ranking_numbers(self.dsc[1:], self.nsd[1:]),
            **numbered("DSC", self.dsc),
            **numbered("NSD", self.nsd),
            "num_class": self.classes,
            "runtime_upperbound": SECONDS_PER_CLASS * self.classes,
        }


def ranking_numbers(dsc: Sequence[float], nsd: Sequence[float]) -> dict[str, float]:
    """The four numbers the challenge ranked by, from the values after each click."""
    return dict(zip(RANKED_BY, (area(dsc), area(nsd), dsc[-1], nsd[-1]), strict=True))


def area(values: Sequence[float]) -> float:
    """Area under a curve over 0, 1, 2, ... by the trapezoid rule: 4 at most for five clicks."""
    return sum((first + second) / 2 for first, second in pairwise(values))


def iterate(
    respond: Respond,
    truth_ZYX: NDArray[np.integer],
    ids: tuple[int, ...],
    boxes: tuple[MiddleBox, ...] | None,
    clicks: int = CLICKS,
    regions: Sequence[Box] | None = None,
) -> Iterator[Step]:
    """All runs of a case. Without boxes there is no run before the first click.

    Args:
        respond: answers a run.
        truth_ZYX: label values.
        ids: those to ask for, rising.
        boxes: one per class.
        clicks: rounds of clicks.
        regions: per class where its truth is known; no error is seen elsewhere. Everywhere if ``None``.
    """
    shape: Axis3 = truth_ZYX.shape
    given: list[list[ArrayClick]] = [[] for _ in ids]
    labels_ZYX: Labels = np.zeros(shape, np.uint8)
    for count in range(0 if boxes is not None else 1, clicks + 1):
        for index, value in enumerate(ids if count > 0 else ()):
            region = Box.whole(shape) if regions is None else regions[index]
            click = official_click(truth_ZYX[region.slices()] == value, labels_ZYX[region.slices()] == value)
            if click is not None:
                given[index].append(ArrayClick(plus(click.voxel, region.start), click.positive))
        request = Request(shape, ids, boxes, tuple(map(tuple, given)), labels_ZYX if count > 0 else None)
        began = time.perf_counter()
        labels_ZYX = respond(request)
        yield Step(count, labels_ZYX, time.perf_counter() - began)


def check_truth(case: CaseFile, truth_ZYX: NDArray[np.integer]) -> tuple[int, ...]:
    """The classes of a truth, if the case can be scored by it.

    Raises:
        ScanError: it is empty, or of another shape than the image.
        PromptError: the case has boxes for another number of classes.
    """
    ids = class_ids(truth_ZYX)
    if truth_ZYX.shape != case.image_ZYX.shape:
        raise ScanError(f"{case.path}: the truth has shape {truth_ZYX.shape}, the image {case.image_ZYX.shape}")
    if not ids:
        raise ScanError(f"{case.path}: the truth holds no class; leave the case out")
    boxes = None if case.request is None else case.request.boxes
    if boxes is not None and len(boxes) != len(ids):
        raise PromptError(f"{case.path}: has {len(boxes)} boxes, but the truth {len(ids)} classes; give one for each")
    return ids


def score_case(case: CaseFile, truth_ZYX: NDArray[np.integer], respond: Respond) -> tuple[Outcome, Labels]:
    """All runs of a case file, scored; and their label maps [run, Z, Y, X], empty for a run that there was not.

    Args:
        case: image and boxes; clicks in it are not looked at.
        truth_ZYX: that :func:`check_truth` accepts.
        respond: answers a run.
    """
    ids = class_ids(truth_ZYX)
    dsc, nsd, seconds = [0.0] * RUNS, [0.0] * RUNS, [0.0] * RUNS
    maps = np.zeros((RUNS, *truth_ZYX.shape), np.uint8)
    for step in iterate(respond, truth_ZYX, ids, None if case.request is None else case.request.boxes):
        run = step.clicks
        dsc[run], nsd[run] = score_labels(truth_ZYX, step.labels_ZYX, ids, case.spacing)
        maps[run], seconds[run] = step.labels_ZYX, step.seconds
    return Outcome(case.path.name, len(ids), tuple(dsc), tuple(nsd), tuple(seconds)), maps


def write_table(path: Path, outcomes: Sequence[Outcome]) -> None:
    """The official table: one row per case.

    Raises:
        OutputError: it cannot be written.
    """
    rows = [outcome.row() for outcome in outcomes]
    write_text(path, csv_text([rows[0], *(row.values() for row in rows)]))


def score_labels(
    truth_ZYX: NDArray[np.integer], labels_ZYX: Labels, ids: Sequence[int], spacing: Float3
) -> tuple[float, float]:
    """Mean Dice and mean NSD at 2 mm over classes.

    Args:
        truth_ZYX, labels_ZYX: label values.
        ids: classes of the truth.
        spacing: mm along the array's axes.
    """
    pairs = [(truth_ZYX == value, labels_ZYX == value) for value in ids]
    mean_dice = float(np.mean([dice(found, wanted) for wanted, found in pairs]))
    if mean_dice <= NSD_FROM_DICE:
        return mean_dice, 0.0
    distances = [surface_distances(wanted, found, spacing) for wanted, found in pairs]
    values = [0.0 if each is None else each.within(DEFAULT_TOLERANCE_MM) for each in distances]
    return mean_dice, float(np.mean(values))
