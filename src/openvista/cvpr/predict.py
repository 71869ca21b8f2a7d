"""One run: an image and prompts to a label map, in the time there is."""

import logging
import time

import numpy as np

from openvista.cvpr.request import Labels, Request
from openvista.geometry.box import Box, Crop
from openvista.geometry.grid import triple
from openvista.inference.profiles import Profile, find_profile
from openvista.model import Model
from openvista.prompts import Click
from openvista.scan import Scan
from openvista.session.brought import BroughtMask
from openvista.session.grow import GROW_LIMIT
from openvista.session.masks import OUTSIDE
from openvista.session.open_scan import MASK_LOGIT, OpenScan
from openvista.session.state import MaskInputs, ObjectState
from openvista.simulate.challenge_user import ArrayClick

logger = logging.getLogger(__name__)

SECONDS_PER_CLASS = 90.0
"""What the challenge allows for all runs of a case together, per class (challenge facts §3)."""
RUNS = 6
"""One with boxes, five with clicks."""
KEPT_LOGIT = 2.0
"""Logit of what the run before found: an answer of this run that is surer has the voxel."""


class Deadline:
    """How long something may go on.

    Args:
        seconds: from now; ``None`` for as long as it takes.
    """

    def __init__(self, seconds: float | None) -> None:
        self.end = None if seconds is None else time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds; negative when it is over."""
        return float("inf") if self.end is None else self.end - time.monotonic()

    def share(self, parts: int) -> "Deadline":
        """An equal share of what is left, for the first of so many."""
        return Deadline(None if self.end is None else self.left / parts)


class Predictor:
    """Answers runs. Nothing is remembered from one to the next.

    Args:
        model: with a point branch.
        profile: inference profile; it says whether masks grow.

    Raises:
        InputError: no such profile.
    """

    def __init__(self, model: Model, profile: str | Profile = "best") -> None:
        self.model, self.profile = model, find_profile(profile)

    def answer(self, scan: Scan, request: Request, deadline: Deadline) -> Labels:
        """The label map [Z, Y, X] of all classes, uint8.

        A class that time is short for is given as far as it got: with fewer clicks answered, not grown to its end, or
        as the run before found it.

        Args:
            scan: of the image, [X, Y, Z] in the array's own voxels.
            request: the prompts.
            deadline: when to have the answer.

        Raises:
            ModelError: the model answers no clicks.
        """
        open_scan = self.model.open(scan, profile=self.profile).open_scan
        labels_XYZ = np.zeros(scan.grid.shape, np.uint8)
        best_XYZ = np.zeros(scan.grid.shape, np.float32)
        for index, value in enumerate(request.ids):
            logits = self._logits(open_scan, request, index, deadline.share(len(request.ids) - index))
            box = logits.slices
            better_XYZ = logits.values_XYZ > best_XYZ[box]
            best_XYZ[box][better_XYZ] = logits.values_XYZ[better_XYZ]
            labels_XYZ[box][better_XYZ] = value
        labels_ZYX = np.ascontiguousarray(labels_XYZ.transpose(2, 1, 0))
        for value, clicks in zip(request.ids, request.clicks, strict=True):
            _enforce(labels_ZYX, value, clicks)
        return labels_ZYX

    def _logits(self, open_scan: OpenScan, request: Request, index: int, deadline: Deadline) -> Crop:
        """Logits of one class on a box of the scan."""
        before = _previous(request, index)
        given = _without_repeats([click.on_scan() for click in request.clicks[index]])
        placed = _in_order(request.boxes[index].clicks(request.shape), open_scan) if request.boxes is not None else []
        if any(click.positive for click in given):  # the middle of a box was a guess, and need not be in the class
            placed = [click for click in placed if not click.positive]
        if before is None:
            logits = self._answer(open_scan, MaskInputs(), [*placed, *given], deadline)
        else:
            new = [click for click in given if (before.at(triple(map(int, click.voxel)), 0) > 0) != click.positive]
            known = tuple(click for click in (*placed, *given) if click not in new)
            if not new or deadline.left <= 0:
                logits = before
            else:
                base = open_scan.add_mask(BroughtMask.of(Crop(before.start, before.values_XYZ > 0)))
                answer = self._answer(open_scan, MaskInputs(base=base, clicks=known), new, deadline)
                logits = _softened(answer, before)
        return logits if request.boxes is None else _bounded(logits, request, index)

    def _answer(self, open_scan: OpenScan, inputs: MaskInputs, clicks: list[Click], deadline: Deadline) -> Crop:
        """Clicks answered one after the other, then growing window by window, while there is time."""
        masks = open_scan.object_masks
        for number, click in enumerate(clicks):
            if deadline.left <= 0:
                logger.warning("out of time: %d of %d clicks are not answered", len(clicks) - number, len(clicks))
                break
            inputs = masks.add_clicks(inputs, [click], grow_limit=0).inputs
        longest = 0.0
        for _ in range(GROW_LIMIT if self.profile.grow else 0):
            if deadline.left <= longest:
                logger.warning("out of time: an object may be larger than what was found")
                break
            began = time.monotonic()
            extended = masks.add_clicks(inputs, [], grow_limit=1)
            inputs, longest = extended.inputs, max(longest, time.monotonic() - began)
            if not extended.goes_on:
                break
        return open_scan.show(ObjectState(1, "class", (0, 0, 0), inputs)).whole()


def _in_order(clicks: list[Click], open_scan: OpenScan) -> list[Click]:
    """The clicks of a box, its middle first, then one face after the other. As clicks are answered in this order, it is
    that of the patient's axes (as in SimpleITK's arrays: to L, to P, to S), however the case is stored."""
    middle, *faces = (np.array(open_scan.to_model(click.voxel)) for click in clicks)

    def order(number: int) -> tuple[int, float]:
        away = (faces[number] - middle) * (-1, -1, 1)  # the model grid runs to R, A, S
        axis = int(np.argmax(np.abs(away)))
        return axis, float(away[axis])

    return [clicks[0], *(clicks[1 + number] for number in sorted(range(len(faces)), key=order))]


def _previous(request: Request, index: int) -> Crop | None:
    """What the run before found of a class, as logits on a box of the scan; ``None`` if that is nothing."""
    if request.previous_ZYX is None:
        return None
    mask_XYZ = (request.previous_ZYX == request.ids[index]).transpose(2, 1, 0)
    box = Box.around(mask_XYZ)
    if box is None:
        return None
    inside_XYZ = mask_XYZ[box.slices()]
    return Crop(box.start, np.where(inside_XYZ, np.float32(KEPT_LOGIT), np.float32(OUTSIDE)))


def _softened(answer: Crop, before: Crop) -> Crop:
    """An answer in which voxels that clicks have not changed count no more than they did in the run before."""
    held_XYZ = before.on(answer.box, OUTSIDE) > 0
    unchanged_XYZ = held_XYZ & (answer.values_XYZ == MASK_LOGIT / 2)
    return Crop(answer.start, np.where(unchanged_XYZ, np.float32(KEPT_LOGIT), answer.values_XYZ))


def _bounded(logits: Crop, request: Request, index: int) -> Crop:
    """Nothing beyond the slices of the box, and on its own slice nothing beyond the rectangle.

    Positive clicks outside it say that it is too small: then it reaches as far as they do.
    """
    assert request.boxes is not None
    box = request.boxes[index]
    inside = [click.voxel for click in request.clicks[index] if click.positive]
    z0, z1 = min([box.z[0], *(v[0] for v in inside)]), max([box.z[1], *(v[0] for v in inside)])
    flat = [v for v in inside if v[0] == box.middle]
    y0, y1 = min([box.y[0], *(v[1] for v in flat)]), max([box.y[1], *(v[1] for v in flat)])
    x0, x1 = min([box.x[0], *(v[2] for v in flat)]), max([box.x[1], *(v[2] for v in flat)])
    x, y, z = (np.arange(first, stop) for first, stop in zip(*logits.box, strict=True))
    rectangle_XY1 = ((x >= x0) & (x <= x1))[:, None, None] & ((y >= y0) & (y <= y1))[None, :, None]
    allowed_XYZ = ((z >= z0) & (z <= z1)) & (rectangle_XY1 | (z != box.middle))
    return Crop(logits.start, np.where(allowed_XYZ, logits.values_XYZ, np.float32(OUTSIDE)))


def _enforce(labels_ZYX: Labels, value: int, clicks: tuple[ArrayClick, ...]) -> None:
    """A clicked voxel is what the click says, so that the same click never has to be made again."""
    for click in clicks:
        if click.positive:
            labels_ZYX[click.voxel] = value
        elif labels_ZYX[click.voxel] == value:
            labels_ZYX[click.voxel] = 0


def _without_repeats(clicks: list[Click]) -> list[Click]:
    """Of several clicks on one voxel the last."""
    return list({click.voxel: click for click in clicks}.values())


def run_seconds(classes: int, seconds_per_class: float, spent: float = 0.0) -> float | None:
    """How long one run may compute.

    Args:
        classes: of the case.
        seconds_per_class: for all runs together; 0 for no limit.
        spent: what starting has taken already.
    """
    if not seconds_per_class:
        return None
    return max(seconds_per_class * classes / RUNS - spent, 0.0)
