"""A simulated user and whoever answers: the loop that protocols with clicks share.

The first click goes to the middle of the structure, each further one to the middle of the largest error (see
:mod:`openvista.simulate.user`). Only the user sees the truth; the mask is what the model says after exactly so many
clicks, not the best so far. The paper's own evaluation differs by habits that can be switched on one by one.
"""

from collections.abc import Callable, Iterator
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from openvista.errors import InputError
from openvista.evaluate.answers import Answer, Settings
from openvista.evaluate.labelled import LabelledScan, Structure
from openvista.evaluate.meter import Meter
from openvista.geometry.components import component_near, label_components
from openvista.geometry.grid import Axis3, Float3
from openvista.metrics.masks import dice
from openvista.simulate.user import first_user_click, next_user_click

Mask = NDArray[np.bool_]
Given = tuple[Axis3, bool]
"""A click in voxels of the scan, and whether it is positive."""
Respond = Callable[[Given], Mask]
"""One more click to the mask [X, Y, Z] on the whole scan after it."""


class Habit(str, Enum):
    """What the paper's zero-shot evaluation does, and the name to switch it on by.

    Attributes:
        BEST: the best value so far is reported at each number of clicks.
        BLANK: slices (along the file's third axis) without truth are emptied, before the next click as well.
        WINDOWS: clicks are answered in sliding windows, where a window without click contributes -9999
            (paper facts §5), instead of in windows around the clicks.
        NO_BACKGROUND: slices without truth are not even shown (protocol ``sam2-iterative``).
    """

    BEST = "best-so-far"
    BLANK = "blank-slices"
    WINDOWS = "sliding-windows"
    NO_BACKGROUND = "no-background"


def check_habits(names: frozenset[str], known: tuple[str, ...]) -> None:
    """Make sure that a protocol has these habits.

    Raises:
        InputError: there is one that it has not.
    """
    if unknown := sorted(names - set(known)):
        raise InputError(f"no habit {unknown[0]!r}: there is {', '.join(known)}")


def click_structure(
    labelled: LabelledScan, structure: Structure, settings: Settings, meter: Meter, respond: Respond
) -> Iterator[Answer]:
    """Click on one structure until the last number of clicks, or until nothing is wrong any more.

    Nothing is yielded for a structure that is not there. Where the user stops early, later answers are the last one.

    Args:
        labelled, structure: what to click on.
        settings: numbers of clicks, habits.
        meter: on while ``respond`` works.
        respond: answers one more click.
    """
    truth, region = labelled.truth(structure), structure.region
    if not truth.any():
        return
    before = meter.seconds
    mask = best = np.zeros(labelled.labels_XYZ.shape, bool)
    given: list[Given] = []
    for count in range(1, settings.clicks[-1] + 1):
        click = next_click(truth, mask[region], labelled.scan.grid.spacing, given)
        if click is not None:
            given.append(click)
            with meter.on():
                mask = respond(_on_scan(click, structure))
            mask = _blanked(mask, truth, structure) if Habit.BLANK in settings.habits else mask
        if Habit.BEST not in settings.habits or dice(mask[region], truth) > dice(best[region], truth):
            best = mask
        if count in settings.clicks:
            yield Answer(structure, best, count, meter.seconds - before)


def next_click(truth: Mask, predicted: Mask, spacing: Float3, given: list[Given]) -> Given | None:
    """Where the user clicks next; ``None`` when nothing is wrong, or all that is wrong was clicked on to no avail.

    The same place is never clicked twice: an error that is still there after a click in its very middle is passed
    over, for this time, in favour of the next largest.
    """
    if not given:
        return first_user_click(truth, spacing), True
    shown = predicted
    while (click := next_user_click(truth, shown, spacing)) is not None and click in given:
        voxel, positive = click
        wrong = truth & ~shown if positive else shown & ~truth
        labels, _ = label_components(wrong)
        shown = shown ^ (labels == component_near(labels, voxel, 0))
    return click


def _on_scan(click: Given, structure: Structure) -> Given:
    """From voxels of the region to voxels of the scan."""
    x, y, z = (index + side.start for index, side in zip(click[0], structure.region, strict=True))
    return (x, y, z), click[1]


def _blanked(mask: Mask, truth: Mask, structure: Structure) -> Mask:
    kept = np.zeros_like(mask)
    slices = np.flatnonzero(truth.any(axis=(0, 1))) + structure.region[2].start
    kept[:, :, slices] = mask[:, :, slices]
    return kept
