"""Box: voxels of a grid, from a first one to the one after the last. Crop: values on a box.

An organ does not need an array as large as the scan. Neither a box nor a crop has a grid of its own; callers say which
grid it counts on. Needs no torch.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from openvista.geometry.grid import Axis3, triple

Slices = tuple[slice, slice, slice]

EDGE_MARGIN = 1
"""Rows to keep around positive voxels, so that their edge can be interpolated."""


def plus(voxel: Sequence[int], by: Sequence[int]) -> Axis3:
    """A voxel moved by some voxels; or the sum of two shapes."""
    return triple(a + b for a, b in zip(voxel, by, strict=True))


def minus(voxel: Sequence[int], by: Sequence[int]) -> Axis3:
    """A voxel counted from another one; or the difference of two shapes."""
    return triple(a - b for a, b in zip(voxel, by, strict=True))


class Box(NamedTuple):
    """A half-open box of voxels; a pair (start, stop) for whoever wants one.

    Attributes:
        start: first voxel along X, Y, Z.
        stop: the one after the last; where it does not exceed ``start`` the box is empty.
    """

    start: Axis3
    stop: Axis3

    @classmethod
    def whole(cls, shape: Sequence[int]) -> "Box":
        """All voxels of an array of this shape."""
        return cls((0, 0, 0), triple(shape))

    @classmethod
    def sized(cls, start: Axis3, shape: Sequence[int]) -> "Box":
        """The box of this shape that starts at a voxel."""
        return cls(start, plus(start, shape))

    @classmethod
    def of_slices(cls, slices: Sequence[slice]) -> "Box":
        """The box of three slices that have a start and a stop."""
        return cls(triple(side.start for side in slices), triple(side.stop for side in slices))

    @classmethod
    def around(cls, mask_XYZ: NDArray[np.bool_], margin: int | Sequence[int] = 0) -> "Box | None":
        """The smallest box around the True voxels, widened by a margin within the array; ``None`` if none is True."""
        sides = []
        for axis in range(3):
            used = np.flatnonzero(mask_XYZ.any(axis=tuple(other for other in range(3) if other != axis)))
            if len(used) == 0:
                return None
            sides.append((int(used[0]), int(used[-1]) + 1))
        (x, u), (y, v), (z, w) = sides
        return cls((x, y, z), (u, v, w)).widened(margin, mask_XYZ.shape)

    @staticmethod
    def hull(boxes: "Iterable[Box]") -> "Box":
        """The smallest box around all boxes that are not empty; an empty one at the origin if there are none."""
        filled = [box for box in boxes if not box.empty]
        if not filled:
            return Box((0, 0, 0), (0, 0, 0))
        first = triple(min(box.start[axis] for box in filled) for axis in range(3))
        return Box(first, triple(max(box.stop[axis] for box in filled) for axis in range(3)))

    @property
    def shape(self) -> Axis3:
        """Voxels along X, Y, Z."""
        return triple(max(b - a, 0) for a, b in zip(self.start, self.stop, strict=True))

    @property
    def empty(self) -> bool:
        """Whether it holds no voxel."""
        return min(self.shape) == 0

    def slices(self, origin: Axis3 = (0, 0, 0)) -> Slices:
        """Slices of an array whose first voxel is ``origin``."""
        return triple(slice(a - o, b - o) for a, b, o in zip(self.start, self.stop, origin, strict=True))

    def intersect(self, other: "Box") -> "Box | None":
        """What two boxes share; ``None`` if nothing."""
        shared = Box(triple(map(max, self.start, other.start)), triple(map(min, self.stop, other.stop)))
        return None if shared.empty else shared

    def reaches_face(self, whole: "Box", margin: int = 0) -> bool:
        """Whether it has a voxel on a face of another box, or no more than ``margin`` voxels from one, or beyond it."""
        first = any(ours <= theirs + margin for ours, theirs in zip(self.start, whole.start, strict=True))
        return first or any(ours >= theirs - margin for ours, theirs in zip(self.stop, whole.stop, strict=True))

    def shifted(self, by: Sequence[int]) -> "Box":
        """The box moved by some voxels."""
        return Box(plus(self.start, by), plus(self.stop, by))

    def scaled(self, by: int) -> "Box":
        """The same voxels on a grid that cuts each of them into ``by``³."""
        return Box(triple(first * by for first in self.start), triple(stop * by for stop in self.stop))

    def widened(self, margin: int | Sequence[int], shape: Sequence[int]) -> "Box":
        """The box with a margin on every side (one number, or one per axis), within an array of this shape."""
        margins = (margin,) * 3 if isinstance(margin, int) else margin
        start = triple(max(a - m, 0) for a, m in zip(self.start, margins, strict=True))
        return Box(start, triple(min(b + m, length) for b, m, length in zip(self.stop, margins, shape, strict=True)))

    def contains(self, voxel: Sequence[float]) -> bool:
        """Whether a voxel, or a place between voxels, lies between the first voxel and the one after the last."""
        return all(a <= where < b for a, where, b in zip(self.start, voxel, self.stop, strict=True))


@dataclass(frozen=True, eq=False)
class Crop:
    """Values on the box that starts at one voxel of a grid.

    Attributes:
        start: first voxel of the box.
        values_XYZ: one value per voxel of the box; may be empty.
    """

    start: Axis3
    values_XYZ: NDArray[Any]

    @classmethod
    def nothing(cls, dtype: DTypeLike) -> "Crop":
        """A crop without voxels. An empty slice of a volume would do, but keep all of the volume in memory."""
        return cls((0, 0, 0), np.zeros((0, 0, 0), dtype=dtype))

    @property
    def box(self) -> Box:
        """The voxels it has values for."""
        return Box.sized(self.start, self.values_XYZ.shape)

    @property
    def slices(self) -> Slices:
        """Its box as slices of the grid's array."""
        return self.box.slices()

    @property
    def nbytes(self) -> int:
        """Memory of the values."""
        return int(self.values_XYZ.nbytes)

    def on(self, box: Box, fill: float) -> NDArray[Any]:
        """The values on another box, ``fill`` where the crop has none."""
        result = np.full(box.shape, fill, dtype=self.values_XYZ.dtype)
        shared = box.intersect(self.box)
        if shared is not None:
            result[shared.slices(box.start)] = self.values_XYZ[shared.slices(self.start)]
        return result

    def at(self, voxel: Axis3, fill: float) -> float:
        """The value at one voxel."""
        return float(self.values_XYZ[minus(voxel, self.start)]) if self.box.contains(voxel) else fill

    def cropped(self, needed_XYZ: NDArray[np.bool_], margin: int = 0) -> "Crop":
        """A copy of what is needed: the box around the True voxels.

        Args:
            needed_XYZ: of the crop's shape.
            margin: voxels to add on every side, within the crop.
        """
        box = Box.around(needed_XYZ, margin)
        if box is None:
            return Crop.nothing(self.values_XYZ.dtype)
        return Crop(box.shifted(self.start).start, self.values_XYZ[box.slices()].copy())
