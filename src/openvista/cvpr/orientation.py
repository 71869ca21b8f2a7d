"""Which way a case lies: its file does not say, so its prompts have to.

Networks know anatomy the way they were trained on it. A case file has a spacing, but no directions: it may be stored
with any axis first, and any axis reversed. So the first prompts of a few classes are asked in each of the 48 ways, and
the one counts in which the answers fit their boxes best. Whatever way a case is stored in, the network is then shown
the same image. A left and a right that are swapped fit about as well, and hardly matter.
"""

import itertools
import logging
import math
from collections.abc import Sequence

import numpy as np

from openvista.cvpr.case_file import CaseFile
from openvista.cvpr.image import AS_STORED, Reading
from openvista.cvpr.predict import Deadline, Predictor
from openvista.cvpr.request import Labels, Request
from openvista.errors import InputError
from openvista.geometry.box import Box, Crop, plus
from openvista.geometry.grid import AXIS_LETTERS, triple
from openvista.network import Preset
from openvista.prompts import Click
from openvista.scan import Scan
from openvista.session.state import MaskInputs, ObjectState
from openvista.simulate.challenge_user import MiddleBox

logger = logging.getLogger(__name__)

ORIENTATIONS = tuple(
    "".join(codes) for order in itertools.permutations(AXIS_LETTERS) for codes in itertools.product(*order)
)
"""The 48 ways in which axes can run, as letters for [X, Y, Z]."""
AUTO = "auto"
MOST_CLASSES = 5
"""Of a case, that are asked for: those with the largest boxes."""
ASKED_IN_ALL = 2
"""So many of them in all orientations, each further one in the better half of those that are left."""
_SHARE = 2
"""The search has one part in so many of a run's time."""


class OrientedCase:
    """A case that is answered the right way up. What the first run finds is kept for the others.

    Args:
        case: image and spacing.
        predictor: answers runs.
        reading: how images are read.
        preset: of the model.
        orientation: which way the axes [X, Y, Z] run, as three letters (``"LPS"`` is how SimpleITK's arrays do); or
            ``"auto"``: find out.

    Raises:
        InputError: no such orientation.
    """

    def __init__(
        self, case: CaseFile, predictor: Predictor, reading: Reading, preset: Preset, orientation: str = AUTO
    ) -> None:
        check_orientation(orientation)
        self.case, self.predictor, self.reading, self.preset = case, predictor, reading, preset
        self.orientation = orientation
        self._scan = reading.scan(case.image_ZYX, case.spacing, preset, case.path.stem)

    def answer(self, request: Request, deadline: Deadline) -> Labels:
        """As :meth:`openvista.cvpr.predict.Predictor.answer`."""
        if self.orientation == AUTO:
            self.orientation = self.find_orientation(request, deadline.share(_SHARE))
            logger.info("%s: axes run to %s", self.case.path.name, self.orientation)
        whole = Box.whole(self._scan.grid.shape)
        return self.predictor.answer(self.oriented(self.orientation, whole), request, deadline)

    def oriented(self, orientation: str, box: Box) -> Scan:
        """The voxels of a box of the array, with axes that run this way."""
        grid = self.reading.grid(box.shape, self.case.spacing, self.preset, orientation)
        return Scan(self._scan.voxels[box.slices()], grid, self._scan.name)

    def find_orientation(self, request: Request, deadline: Deadline) -> str:
        """The orientation in which answers fit the prompts best.

        A class is asked by a click in the middle of its box, or by its first positive click where there are no boxes.
        What follows is not looked at, so every run of a case finds the same. One window is computed per class and
        orientation: 48 for one class, 138 at most.

        Args:
            request: the prompts; voxels are those of the array.
            deadline: when that is over, the case is taken as it is stored.

        Raises:
            ModelError: the model answers no clicks.
        """
        left, scores = list(ORIENTATIONS), dict.fromkeys(ORIENTATIONS, 0.0)
        for number, (click, box) in enumerate(_first_prompts(request)):
            if number >= ASKED_IN_ALL:
                left = sorted(left, key=scores.__getitem__, reverse=True)[: len(left) // 2]
            for orientation in left:
                if deadline.left <= 0:
                    logger.warning("out of time: the case is taken as it is stored")
                    return AS_STORED
                scores[orientation] += self._fit(orientation, click, box)
        best = max(left, key=scores.__getitem__)
        return best if scores[best] > 0 else AS_STORED

    def _fit(self, orientation: str, click: Click, box: MiddleBox | None) -> float:
        """How well the answer to a click fits, if axes run this way."""
        near = self._around(click, orientation)
        inside = Click(triple(place - first for place, first in zip(click.voxel, near.start, strict=True)), True)
        profile = self.predictor.profile.override(enforce_clicks=False)  # what the network itself thinks
        open_scan = self.predictor.model.open(self.oriented(orientation, near), profile=profile).open_scan
        inputs = open_scan.object_masks.add_clicks(MaskInputs(), [inside], grow_limit=0).inputs
        logits = open_scan.show(ObjectState(1, "class", (0, 0, 0), inputs)).whole()
        return fit(Crop(plus(logits.start, near.start), logits.values_XYZ), box)

    def _around(self, click: Click, orientation: str) -> Box:
        """What a window with a click in its middle can see: more of the image need not be resampled."""
        shape = self._scan.grid.shape
        spacing = self.reading.grid(shape, self.case.spacing, self.preset, orientation).spacing
        longest = max(length * size for length, size in zip(self.preset.window, self.preset.spacing, strict=True))
        sides = [
            (max(math.ceil(place - longest / 2 / size), 0), min(math.floor(place + longest / 2 / size) + 1, length))
            for place, size, length in zip(click.voxel, spacing, shape, strict=True)
        ]
        return Box(triple(first for first, _ in sides), triple(stop for _, stop in sides))


def check_orientation(orientation: str) -> None:
    """Refuse what is none.

    Raises:
        InputError: neither ``"auto"`` nor three letters that name three axes.
    """
    if orientation != AUTO and orientation not in ORIENTATIONS:
        raise InputError(
            f"orientation {orientation!r}: write {AUTO}, or to where the columns, rows and slices of the array run, "
            f"such as {AS_STORED} (left, posterior, superior)"
        )


def fit(logits: Crop, box: MiddleBox | None) -> float:
    """How well an answer fits its box, 0 to 1.

    Both say between which slices the class lies, and between which rows and columns on one of them: the shared part
    of each counts (intersection over union), and how sure the network is inside.

    Args:
        logits: the answer, on a box of the scan.
        box: of the class; without one only how sure the answer is counts.
    """
    inside_XYZ = logits.values_XYZ > 0
    found = Box.around(inside_XYZ)
    if found is None:
        return 0.0
    sure = float((1 / (1 + np.exp(-logits.values_XYZ[inside_XYZ].astype(np.float64)))).mean())
    if box is None:
        return sure
    (_, _, first), (_, _, stop) = found.shifted(logits.start)
    slices = _shared(Box((0, 0, first), (1, 1, stop)), Box((0, 0, box.z[0]), (1, 1, box.z[1] + 1)))
    middle = Box((*logits.box.start[:2], box.middle), (*logits.box.stop[:2], box.middle + 1))
    flat = Box.around(logits.on(middle, 0) > 0)
    rectangle = Box((box.x[0], box.y[0], box.middle), (box.x[1] + 1, box.y[1] + 1, box.middle + 1))
    return 0.0 if flat is None else sure * slices * _shared(flat.shifted(middle.start), rectangle)


def _shared(one: Box, other: Box) -> float:
    """Intersection over union."""
    both = one.intersect(other)
    voxels = 0 if both is None else math.prod(both.shape)
    return voxels / (math.prod(one.shape) + math.prod(other.shape) - voxels)


def _first_prompts(request: Request) -> Sequence[tuple[Click, MiddleBox | None]]:
    """A positive click of each class that is asked for: the largest ones, or the first ones where boxes are missing."""
    if request.boxes is not None:
        largest = sorted(request.boxes, key=_size, reverse=True)[:MOST_CLASSES]
        return [(box.clicks(request.shape)[0], box) for box in largest]
    first = (next((click for click in clicks if click.positive), None) for clicks in request.clicks)
    return [(click.on_scan(), None) for click in first if click is not None][:MOST_CLASSES]


def _size(box: MiddleBox) -> int:
    """Voxels between its faces."""
    (z0, z1), (y0, y1), (x0, x1) = box.z, box.y, box.x
    return (z1 - z0 + 1) * (y1 - y0 + 1) * (x1 - x0 + 1)
