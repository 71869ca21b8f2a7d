"""Masks made from masks: holes filled, smoothed, grown, interpolated. Pure functions on the scan's voxels, in mm.

All take and give a mask as a bool crop of the scan; nothing leaves the scan. Needs no torch.
"""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from openvista.errors import PromptError
from openvista.geometry.box import Box, Crop, minus, plus
from openvista.geometry.components import components_at, largest_component
from openvista.geometry.grid import Axis3, Float3

_REACH = 2
"""A place that is not in a piece looks so many voxels around."""
_DEVIATIONS = 3.0
"""Standard deviations after which the Gaussian ends."""

Plane = NDArray[np.bool_]


def with_holes_filled(mask: Crop, axis: int | None) -> Crop:
    """With what it encloses: in space, or slice by slice along an axis."""
    faces = ndimage.generate_binary_structure(3, 1)
    if axis is not None:
        np.moveaxis(faces, axis, 0)[[0, 2]] = False
    return Crop(mask.start, ndimage.binary_fill_holes(mask.values_XYZ, faces))


def piece_kept(mask: Crop, voxels: list[Axis3]) -> Crop:
    """The pieces at some voxels, or the largest piece if none is given.

    Raises:
        PromptError: there is no piece at any of them.
    """
    if not voxels:
        largest = largest_component(mask.values_XYZ) or Crop.nothing(bool)
        return Crop(plus(largest.start, mask.start), largest.values_XYZ)
    places = [minus(voxel, mask.start) for voxel in voxels]
    kept_XYZ = components_at(mask.values_XYZ, places, _REACH)
    if not kept_XYZ.any():
        raise PromptError(f"there is no piece of the object at {voxels[0]}: choose a voxel inside it")
    return Crop(mask.start, kept_XYZ)


def smoothed(mask: Crop, mm: float, shape: Axis3, spacing: Float3) -> Crop:
    """What a Gaussian with a standard deviation of so many mm leaves above one half."""
    deviations = [mm / each for each in spacing]
    wide = _widened(mask, [int(_DEVIATIONS * each + 1) for each in deviations], shape)
    values_XYZ = wide.values_XYZ.astype(np.float32)
    blurred_XYZ = ndimage.gaussian_filter(values_XYZ, deviations, mode="nearest", truncate=_DEVIATIONS)
    return Crop(wide.start, blurred_XYZ > 0.5)


def with_margin(mask: Crop, mm: float, shape: Axis3, spacing: Float3) -> Crop:
    """Grown by all voxels whose centres lie within so many mm of one inside, or, if negative, without those that lie so
    near to one outside. Where the scan ends nothing is taken away."""
    if not mask.values_XYZ.any():
        return mask
    wide = _widened(mask, [int(abs(mm) / each) + 1 for each in spacing], shape)
    if mm >= 0:
        return Crop(wide.start, ndimage.distance_transform_edt(~wide.values_XYZ, sampling=spacing) <= mm)
    if wide.values_XYZ.all():
        return mask
    return Crop(wide.start, ndimage.distance_transform_edt(wide.values_XYZ, sampling=spacing) > -mm)


def interpolated(mask: Crop, axis: int, between: tuple[int, int] | None, spacing: Float3) -> Crop:
    """With the slices between drawn ones filled.

    Slices are interpolated by their signed distances (Raya and Udupa 1990, shape-based interpolation); two that do not
    overlap move along the line between their middles meanwhile.

    Args:
        mask: of the object.
        axis: of the slices.
        between: two slices of the scan, between which all are replaced; every run of empty slices if ``None``.
        spacing: mm per voxel.

    Raises:
        PromptError: one of the two slices is empty.
    """
    slices_NRC = np.moveaxis(mask.values_XYZ, axis, 0).copy()
    drawn = np.flatnonzero(slices_NRC.any(axis=(1, 2))).tolist()
    runs = list(pairwise(drawn))
    if between is not None:
        first, last = sorted(index - mask.start[axis] for index in between)
        empty = [index + mask.start[axis] for index in (first, last) if index not in drawn]
        if empty:
            raise PromptError(f"the object has no voxel on slice {empty[0]} along axis {axis}: draw it there first")
        runs = [(first, last)]
    in_plane = [spacing[other] for other in range(3) if other != axis]
    for first, last in runs:
        slices_NRC[first + 1 : last] = _between(slices_NRC[first], slices_NRC[last], last - first - 1, in_plane)
    return Crop(mask.start, np.moveaxis(slices_NRC, 0, axis))


def slice_copied(mask: Crop, axis: int, index: int, by: int, shape: Axis3) -> Crop:
    """With one slice of it in place of a neighbouring one.

    Raises:
        PromptError: it is empty, or there is no such neighbour.
    """
    if not 0 <= index + by < shape[axis]:
        raise PromptError(f"there is no slice {index + by} along axis {axis} in a scan of shape {shape}")
    wide = _widened(mask, [1 if each == axis else 0 for each in range(3)], shape)
    slices_NRC, place = np.moveaxis(wide.values_XYZ, axis, 0), index - wide.start[axis]
    if not (0 <= place < len(slices_NRC) and slices_NRC[place].any()):
        raise PromptError(f"the object has no voxel on slice {index} along axis {axis}: there is nothing to copy")
    slices_NRC[place + by] = slices_NRC[place]
    return wide


def combined(mask: Crop, other: Crop, operation: str) -> Crop:
    """Two masks as sets: ``"union"``, ``"subtract"`` or ``"intersect"``."""
    box = Box.hull([mask.box, other.box])
    one_XYZ, other_XYZ = mask.on(box, False), other.on(box, False)
    if operation == "union":
        return Crop(box.start, one_XYZ | other_XYZ)
    return Crop(box.start, one_XYZ & (other_XYZ if operation == "intersect" else ~other_XYZ))


def _widened(mask: Crop, margins: list[int], shape: Axis3) -> Crop:
    """A copy with a margin, within the scan."""
    box = mask.box.widened(margins, shape)
    return Crop(box.start, mask.on(box, False))


def _between(first_RC: Plane, last_RC: Plane, count: int, spacing: list[float]) -> NDArray[np.bool_]:
    """So many slices between two, [N, R, C]."""
    way_2 = np.zeros(2)
    if not (first_RC & last_RC).any():
        way_2 = np.argwhere(last_RC).mean(axis=0) - np.argwhere(first_RC).mean(axis=0)
    rows, columns = (int(side) + 2 for side in np.abs(way_2))  # room for what moves out of the plane
    room = ((rows, rows), (columns, columns))
    one_RC, other_RC = (_signed_distance(np.pad(plane, room), spacing) for plane in (first_RC, last_RC))
    made = []
    for number in range(1, count + 1):
        share = number / (count + 1)
        moved = [one_RC, other_RC]
        if way_2.any():
            steps = (way_2 * share, way_2 * (share - 1))
            moved = [ndimage.shift(each, by, order=1, mode="nearest") for each, by in zip(moved, steps, strict=True)]
        inside_RC = (1 - share) * moved[0] + share * moved[1] > 0
        made.append(inside_RC[rows:-rows, columns:-columns])
    return np.array(made, dtype=bool).reshape(count, *first_RC.shape)


def _signed_distance(plane_RC: Plane, spacing: list[float]) -> NDArray[np.float64]:
    """mm to the other side, positive inside."""
    inside, outside = (ndimage.distance_transform_edt(side, sampling=spacing) for side in (plane_RC, ~plane_RC))
    distance_RC: NDArray[np.float64] = inside - outside
    return distance_RC
