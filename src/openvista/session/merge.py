"""How the network's answer to clicks becomes an object. Pure functions, for one object at a time.

The rules of paper facts §5 (:func:`merge_clicks` for an automatic result, :func:`keep_clicked` for clicks alone), and
ours for clicks that correct a mask (:func:`correct_nearby`) and for clicks that the network contradicts
(:func:`enforce_clicks`). "Not visited" is a mask; logits there may hold anything and are never computed with.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from openvista.geometry.box import Box, minus
from openvista.geometry.components import components_at
from openvista.geometry.grid import Axis3, Float3

REACH = 2
"""A click that is not in a component looks in cubes of half-width 1, then 2."""
NOT_ASKED = -1.0
"""Logit of what is not the object's although no answer says so: nobody clicked on it, or no window looks there now."""
RADIUS = 10.0
"""mm: standard deviation of the Gaussian that a shift has around its click (chosen in benchmarks/accuracy.md)."""
CERTAINTY = 1.0
"""Logit that the voxel of a contradicted click gets, with the click's sign (same place)."""
_SHARE = 0.1
"""Of a window's shortest side: no Gaussian is wider, for models of small animals."""
_DEVIATIONS = 4
"""Standard deviations after which nothing is shifted."""

Logits = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class VoxelClick:
    """A click on the voxel it falls into.

    Attributes:
        voxel: of the array that is merged; may lie outside it.
        positive: whether the object is there.
    """

    voxel: Axis3
    positive: bool

    def from_voxel(self, origin: Axis3) -> "VoxelClick":
        """The click counted from another first voxel."""
        return VoxelClick(minus(self.voxel, origin), self.positive)

    def is_in(self, array_XYZ: Mask) -> bool:
        """Whether an array has its voxel."""
        return Box.whole(array_XYZ.shape).contains(self.voxel)


@dataclass(frozen=True, eq=False)
class Merged:
    """An object after clicks.

    Attributes:
        logits_XYZ: positive inside the object.
        known_XYZ: where the logits mean something.
        taken_XYZ: the components that the clicks chose: here the logits are the answer's.
    """

    logits_XYZ: Logits
    known_XYZ: Mask
    taken_XYZ: Mask


def merge_clicks(
    previous_XYZ: Logits,
    answer_XYZ: Logits,
    clicks: Sequence[VoxelClick],
    visited_XYZ: Mask | None = None,
) -> Merged:
    """Correct a previous result with the answer to clicks.

    With P the answer's positive voxels and A the previous ones: *added* is P without A, or all of P as soon as any
    click, of either sign, lies in A; *removed* is A without P. Each positive click takes its component of *added*,
    each negative one its component of *removed*. The answer counts inside what was taken.

    A pure function of its arguments: the same answer merged into the same previous result is the same object, and two
    clicks in one component take it once. A merged result taken as the next previous one may change again, because its
    clicks then lie in A; so sessions always merge into what an object started from.

    Args:
        previous_XYZ: logits of the automatic branch or of an earlier mask.
        answer_XYZ: logits of the point branch.
        clicks: all clicks on the object; those outside the array count for nothing.
        visited_XYZ: where a window has answered; everywhere if ``None``.
    """
    visited = np.ones(answer_XYZ.shape, dtype=bool) if visited_XYZ is None else visited_XYZ
    before = previous_XYZ > 0
    positive = visited & (answer_XYZ > 0)
    in_before = any(before[click.voxel] for click in clicks if click.is_in(before))
    added = positive if in_before else positive & ~before
    removed = visited & before & ~positive
    taken = components_at(added, _voxels(clicks, True), REACH)
    taken |= components_at(removed, _voxels(clicks, False), REACH)
    return Merged(np.where(taken, answer_XYZ, previous_XYZ), np.ones(previous_XYZ.shape, dtype=bool), taken)


def keep_clicked(answer_XYZ: Logits, clicks: Sequence[VoxelClick], visited_XYZ: Mask | None = None) -> Merged:
    """Clicks alone: keep the components with a positive click; other positive voxels get the mean negative logit.

    Args: as :func:`merge_clicks`.
    """
    visited = np.ones(answer_XYZ.shape, dtype=bool) if visited_XYZ is None else visited_XYZ
    positive = visited & (answer_XYZ > 0)
    taken = components_at(positive, _voxels(clicks, True))
    negative = answer_XYZ[visited & ~positive]
    elsewhere = np.float32(negative.mean(dtype=np.float64)) if negative.size else np.float32(NOT_ASKED)
    # a mean of zeros would be neither: no voxel that was not taken may look positive or undecided
    elsewhere = min(elsewhere, np.float32(-np.finfo(np.float16).smallest_normal))
    return Merged(np.where(positive & ~taken, elsewhere, answer_XYZ), visited, taken)


def correct_nearby(
    previous_XYZ: Logits,
    answer_XYZ: Logits,
    earlier: Sequence[VoxelClick],
    new: Sequence[VoxelClick],
    spacing: Float3,
    visited_XYZ: Mask,
    seen_XYZ: Mask,
    forgettable_XYZ: Mask,
) -> Merged:
    """Correct the answer to fewer clicks with the answer to all: a new click changes only what is near it.

    A network that is asked again with one more click may change its mind about the whole object. A user who corrects
    one place means that place. So a positive click only adds and a negative one only takes away; what it changes is
    nearer to it, in mm, than to any other click of the object, and connected with it (26-connected, within ``REACH``),
    through the object if the click lies in it. Where no answer has looked before, nothing was decided, and distance
    does not matter: an object grows on. This is the rule of paper facts §5 with an added condition; the paper has no
    rule for a second correction.

    Args:
        previous_XYZ: logits of the answer to the earlier clicks.
        answer_XYZ: logits of the answer to all of them.
        earlier: anchors and clicks on the object, oldest first; those outside the array count as the nearest all the
            same.
        new: the clicks that follow them, likewise.
        spacing: mm per voxel along X, Y, Z.
        visited_XYZ: where a window has answered.
        seen_XYZ: where one had answered the earlier clicks.
        forgettable_XYZ: what may be taken away although no window looks at it any more.

    Returns:
        All is known; ``taken_XYZ`` is what was changed.
    """
    before = previous_XYZ > 0
    positive = visited_XYZ & (answer_XYZ > 0)
    removable = before & ~positive & (visited_XYZ | forgettable_XYZ)
    nearest = nearest_click([*earlier, *new], before.shape, spacing)
    near_new_XYZ = ~seen_XYZ | (nearest >= len(earlier))
    taken = np.zeros(before.shape, dtype=bool)
    for sign, area in ((True, positive & ~before), (False, removable)):
        own = [number for number, click in enumerate(new, start=len(earlier)) if click.positive == sign]
        if own:
            near = area & (~seen_XYZ | np.isin(nearest, own))
            in_object = sign and any(before[click.voxel] for click in new if click.positive and click.is_in(before))
            taken |= near & components_at(near | before if in_object else near, _voxels(new, sign), REACH)
    # where both agree the answer's edge is the better one, between the voxels
    agreed = visited_XYZ & near_new_XYZ & (positive == (before ^ taken))
    logits = np.where(agreed, answer_XYZ, np.where(taken, np.float32(NOT_ASKED), previous_XYZ))
    return Merged(logits, np.ones(before.shape, dtype=bool), taken)


def enforce_clicks(
    answer_XYZ: Logits, clicks: Sequence[VoxelClick], spacing: Float3, visited_XYZ: Mask, radius: float = RADIUS
) -> Logits:
    """Logits that agree with every click in them.

    Where a click lies, the difference to ``CERTAINTY`` with the click's sign is added; around it less and less, by a
    Gaussian, among the voxels that are nearer to it than to the object's other clicks. So the network still says how
    far the object goes, but from a threshold that lets the click be right. What no click contradicts stays as it is.

    Args:
        answer_XYZ: logits of the point branch.
        clicks: all clicks on the object, oldest first; those outside the array, or where no window has answered, are
            left alone. Of two in one voxel the newer counts.
        spacing: mm per voxel along X, Y, Z.
        visited_XYZ: where a window has answered.
        radius: mm, of :func:`enforcement_radius`.
    """
    reach = [int(_DEVIATIONS * radius / step) for step in spacing]
    contradicted = {
        number: Box.sized(click.voxel, (1, 1, 1)).widened(reach, answer_XYZ.shape)
        for number, click in enumerate(clicks)
        if click.is_in(visited_XYZ) and visited_XYZ[click.voxel] and (answer_XYZ[click.voxel] > 0) != click.positive
    }
    if not contradicted:
        return answer_XYZ
    enforced_XYZ = answer_XYZ.copy()
    nearest = _nearest_in_boxes(clicks, list(contradicted.values()), spacing)
    for (number, box), nearest_XYZ in zip(contradicted.items(), nearest, strict=True):
        click = clicks[number]
        weight_XYZ = _gaussian(click.from_voxel(box.start).voxel, box.shape, spacing, radius)
        weight_XYZ *= visited_XYZ[box.slices()] & (nearest_XYZ == number)
        wanted = np.float32(CERTAINTY if click.positive else -CERTAINTY)
        enforced_XYZ[box.slices()] += (wanted - answer_XYZ[click.voxel]) * weight_XYZ
    return enforced_XYZ


def enforcement_radius(window: Axis3, spacing: Float3) -> float:
    """mm: standard deviation of the Gaussian for windows of so many voxels of so many mm."""
    return min(RADIUS, _SHARE * min(side * step for side, step in zip(window, spacing, strict=True)))


def nearest_click(clicks: Sequence[VoxelClick], shape: Axis3, spacing: Float3) -> NDArray[np.int32]:
    """[X, Y, Z]: the number of the click that is nearest to each voxel, in mm; -1 where there is no click.

    Args:
        clicks: oldest first, inside the array or not; of equally near ones the newest counts.
        shape: of the array, in voxels.
        spacing: mm per voxel along X, Y, Z.
    """
    nearest_XYZ = np.full(shape, -1, dtype=np.int32)
    shortest_XYZ = np.full(shape, np.inf, dtype=np.float32)
    voxels = np.array([click.voxel for click in clicks], dtype=np.float32).reshape(-1, 3)
    along_X, along_Y, along_Z = (
        ((np.arange(side, dtype=np.float32) - voxels[:, axis, None]) * np.float32(spacing[axis])) ** 2
        for axis, side in enumerate(shape)
    )
    for index in range(len(clicks)):
        distance_XYZ = along_X[index][:, None, None] + along_Y[index][:, None] + along_Z[index]
        nearer_XYZ = distance_XYZ <= shortest_XYZ
        nearest_XYZ[nearer_XYZ] = index
        np.minimum(shortest_XYZ, distance_XYZ, out=shortest_XYZ)
    return nearest_XYZ


def _nearest_in_boxes(
    clicks: Sequence[VoxelClick], boxes: Sequence[Box], spacing: Float3
) -> Iterator[NDArray[np.int32]]:
    """[X, Y, Z] for each box: :func:`nearest_click`; looked up once for all boxes where they overlap a lot."""
    around = Box.hull(boxes)
    if np.prod(around.shape) < sum(np.prod(box.shape) for box in boxes):
        nearest_XYZ = nearest_click([click.from_voxel(around.start) for click in clicks], around.shape, spacing)
        yield from (nearest_XYZ[box.slices(around.start)] for box in boxes)
        return
    for box in boxes:
        yield nearest_click([click.from_voxel(box.start) for click in clicks], box.shape, spacing)


def _voxels(clicks: Sequence[VoxelClick], positive: bool) -> list[Axis3]:
    """The voxels of the clicks of one sign."""
    return [click.voxel for click in clicks if click.positive == positive]


def _gaussian(voxel: Axis3, shape: Axis3, spacing: Float3, radius: float) -> Logits:
    """[X, Y, Z]: 1 at a voxel, less with its distance in mm."""
    x, y, z = (
        np.exp(-(((np.arange(side, dtype=np.float32) - first) * step / radius) ** 2) / 2).astype(np.float32)
        for side, first, step in zip(shape, voxel, spacing, strict=True)
    )
    return x[:, None, None] * y[:, None] * z
