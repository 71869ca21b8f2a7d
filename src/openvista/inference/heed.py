"""A click is right: where the network's answer contradicts one, its logits are shifted around that click.

The network sees a click as a hint and may not follow it; the user would see that a click did nothing, or get an empty
mask. Pure functions, for one object at a time.
"""

from collections.abc import Sequence

import numpy as np

from openvista.geometry.box import Slices
from openvista.geometry.grid import Axis3, Float3
from openvista.inference.merge import Logits, Mask, Place, is_inside, nearest_click

RADIUS = 10.0
"""mm: standard deviation of the Gaussian that a shift has around its click (chosen in benchmarks/accuracy.md)."""
_SHARE = 0.1
"""Of a window's shortest side: no Gaussian is wider, for models of small animals."""
CERTAINTY = 1.0
"""Logit that the voxel of a contradicted click gets, with the click's sign (same place)."""
_REACH = 4
"""Standard deviations after which nothing is shifted."""


def heed_radius(window: Axis3, spacing: Float3) -> float:
    """mm: standard deviation of the Gaussian for windows of so many voxels of so many mm."""
    return min(RADIUS, _SHARE * min(side * step for side, step in zip(window, spacing, strict=True)))


def heed_clicks(
    answer_XYZ: Logits, places: Sequence[Place], spacing: Float3, visited_XYZ: Mask, radius: float = RADIUS
) -> Logits:
    """Logits that agree with every click in them.

    Where a click lies, the difference to ``CERTAINTY`` with the click's sign is added; around it less and less, by a
    Gaussian, among the voxels that are nearer to it than to the object's other clicks. So the network still says how
    far the object goes, but from a threshold that lets the click be right. What no click contradicts stays as it is.

    Args:
        answer_XYZ: logits of the point branch.
        places: all clicks on the object, oldest first; those outside the array, or where no window has answered, are
            left alone. Of two in one voxel the newer counts.
        spacing: mm per voxel along X, Y, Z.
        visited_XYZ: where a window has answered.
        radius: mm, of :func:`heed_radius`.
    """
    heeded_XYZ = answer_XYZ
    for number, place in enumerate(places):
        if not is_inside(place.voxel, visited_XYZ) or not visited_XYZ[place.voxel]:
            continue
        if (answer_XYZ[place.voxel] > 0) == place.positive:
            continue
        if heeded_XYZ is answer_XYZ:
            heeded_XYZ = answer_XYZ.copy()
        box = _reached(place.voxel, answer_XYZ.shape, spacing, radius)
        moved = _moved(places, box)
        wanted = np.float32(CERTAINTY if place.positive else -CERTAINTY)
        weight_XYZ = _gaussian(moved[number].voxel, heeded_XYZ[box].shape, spacing, radius)
        weight_XYZ *= visited_XYZ[box] & (nearest_click(moved, weight_XYZ.shape, spacing) == number)
        heeded_XYZ[box] += (wanted - answer_XYZ[place.voxel]) * weight_XYZ
    return heeded_XYZ


def _reached(voxel: Axis3, shape: Axis3, spacing: Float3, radius: float) -> Slices:
    """The box of an array that a click's Gaussian reaches."""
    x, y, z = (
        slice(max(v - int(_REACH * radius / step), 0), min(v + int(_REACH * radius / step) + 1, side))
        for v, side, step in zip(voxel, shape, spacing, strict=True)
    )
    return (x, y, z)


def _moved(places: Sequence[Place], box: Slices) -> list[Place]:
    """The clicks in voxels of a box."""
    moved = []
    for place in places:
        x, y, z = (v - side.start for v, side in zip(place.voxel, box, strict=True))
        moved.append(Place((x, y, z), place.positive))
    return moved


def _gaussian(voxel: Axis3, shape: Axis3, spacing: Float3, radius: float) -> Logits:
    """[X, Y, Z]: 1 at a voxel, less with its distance in mm."""
    x, y, z = (
        np.exp(-(((np.arange(side, dtype=np.float32) - first) * step / radius) ** 2) / 2).astype(np.float32)
        for side, first, step in zip(shape, voxel, spacing, strict=True)
    )
    return x[:, None, None] * y[:, None] * z
