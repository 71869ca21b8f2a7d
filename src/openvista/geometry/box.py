"""Parts: values on a box of a grid. An organ does not need an array as large as the scan.

Pure functions on numpy arrays; a part has no grid of its own, callers say which grid its box counts on.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from openvista.geometry.grid import Axis3

Slices = tuple[slice, slice, slice]

EDGE_MARGIN = 1
"""Rows to keep around positive voxels, so that their edge can be interpolated."""


@dataclass(frozen=True, eq=False)
class Part:
    """Values on the box that starts at one voxel of a grid.

    Attributes:
        start: first voxel of the box.
        values_XYZ: one value per voxel of the box; may be empty.
    """

    start: Axis3
    values_XYZ: NDArray[Any]

    @classmethod
    def nothing(cls, dtype: DTypeLike) -> "Part":
        """A part without voxels. An empty slice of a volume would do, but keep all of the volume in memory."""
        return cls((0, 0, 0), np.zeros((0, 0, 0), dtype=dtype))

    @property
    def stop(self) -> Axis3:
        """The voxel after the last one."""
        x, y, z = (first + length for first, length in zip(self.start, self.values_XYZ.shape, strict=True))
        return (x, y, z)

    @property
    def box(self) -> Slices:
        """The box as slices of the grid's array."""
        return box_slices(self.start, self.stop)

    @property
    def nbytes(self) -> int:
        """Memory of the values."""
        return int(self.values_XYZ.nbytes)

    def on(self, start: Axis3, stop: Axis3, fill: float) -> NDArray[Any]:
        """The values on another box, ``fill`` where the part has none."""
        shape = [max(b - a, 0) for a, b in zip(start, stop, strict=True)]
        result = np.full(shape, fill, dtype=self.values_XYZ.dtype)
        both = shared_box(self.start, self.stop, start, stop)
        if both is not None:
            result[box_slices(*both, origin=start)] = self.values_XYZ[box_slices(*both, origin=self.start)]
        return result

    def at(self, voxel: Axis3, fill: float) -> float:
        """The value at one voxel."""
        place = tuple(v - first for v, first in zip(voxel, self.start, strict=True))
        inside = all(0 <= v < n for v, n in zip(place, self.values_XYZ.shape, strict=True))
        return float(self.values_XYZ[place]) if inside else fill


def box_slices(start: Axis3, stop: Axis3, origin: Axis3 = (0, 0, 0)) -> Slices:
    """A box as slices of an array whose first voxel is ``origin``."""
    x, y, z = (slice(a - o, b - o) for a, b, o in zip(start, stop, origin, strict=True))
    return (x, y, z)


def shared_box(start: Axis3, stop: Axis3, other_start: Axis3, other_stop: Axis3) -> tuple[Axis3, Axis3] | None:
    """What two boxes share; ``None`` if nothing."""
    x, y, z = (max(a, b) for a, b in zip(start, other_start, strict=True))
    u, v, w = (min(a, b) for a, b in zip(stop, other_stop, strict=True))
    return ((x, y, z), (u, v, w)) if x < u and y < v and z < w else None


def joint_box(boxes: Iterable[tuple[Axis3, Axis3]]) -> tuple[Axis3, Axis3]:
    """The smallest box around boxes (start, stop) that are not empty; an empty one at the origin if there are none."""
    filled = [(start, stop) for start, stop in boxes if all(a < b for a, b in zip(start, stop, strict=True))]
    if not filled:
        return (0, 0, 0), (0, 0, 0)
    x, y, z = (min(start[axis] for start, _ in filled) for axis in range(3))
    u, v, w = (max(stop[axis] for _, stop in filled) for axis in range(3))
    return (x, y, z), (u, v, w)


def around(mask_XYZ: NDArray[np.bool_], margin: int = 0) -> tuple[Axis3, Axis3] | None:
    """The smallest box (start, stop) around the True voxels, widened by a margin within the array; ``None`` if none."""
    sides = []
    for axis in range(3):
        used = np.flatnonzero(mask_XYZ.any(axis=tuple(other for other in range(3) if other != axis)))
        if len(used) == 0:
            return None
        sides.append((max(int(used[0]) - margin, 0), min(int(used[-1]) + 1 + margin, mask_XYZ.shape[axis])))
    (x, u), (y, v), (z, w) = sides
    return (x, y, z), (u, v, w)


def cropped(part: Part, needed_XYZ: NDArray[np.bool_], margin: int = 0) -> Part:
    """A copy of what of a part is needed: the box around the True voxels.

    Args:
        part: values on a box.
        needed_XYZ: of the part's shape.
        margin: voxels to add on every side, within the part.
    """
    box = around(needed_XYZ, margin)
    if box is None:
        return Part.nothing(part.values_XYZ.dtype)
    x, y, z = (first + offset for first, offset in zip(part.start, box[0], strict=True))
    return Part((x, y, z), part.values_XYZ[box_slices(*box)].copy())
