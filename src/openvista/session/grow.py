"""Growing: where a mask reaches the end of what its windows have seen, the next window is opened. Pure functions.

A window ends somewhere inside most organs, and a mask that stops there has a flat face that no anatomy has. So: find
the rim, the mask's voxels with a neighbour that no window has seen; take its largest piece; open a window that looks
beyond it; and put a click into the middle of the mask behind each piece of the rim that the window holds. Repeat until
there is no rim. Faces of the scan itself are no rim.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from openvista.geometry.components import label_components
from openvista.geometry.grid import Axis3, Float3
from openvista.session.lattice import Lattice
from openvista.session.state import ClickWindow

GROW_LIMIT = 16
"""Windows opened at most for one prompt: about 0.5 m of a vessel, and an end to a mask that leaks."""

Mask = NDArray[np.bool_]


def next_opening(
    mask_XYZ: Mask, visited_XYZ: Mask, origin: Axis3, lattice: Lattice, spacing: Float3
) -> ClickWindow | None:
    """The next window of an object and the clicks in it; ``None`` when the mask has no rim.

    The window's middle lies a quarter of its side beyond the middle of the rim's largest piece, so it overlaps what was
    seen by about a quarter, and holds something new: growing always ends.

    Args:
        mask_XYZ: the object, on a box of the model grid.
        visited_XYZ: where a window has looked, on the same box; beyond the box none has.
        origin: first voxel of that box.
        lattice: where windows may lie.
        spacing: mm of the model grid.
    """
    rim_XYZ = find_rim(mask_XYZ, visited_XYZ, origin, lattice.volume)
    if not rim_XYZ.any():
        return None
    labels_XYZ, count = label_components(rim_XYZ)
    largest = int(np.argmax(np.bincount(labels_XYZ.ravel(), minlength=count + 1)[1:])) + 1
    centre = _middle_voxel(np.argwhere(labels_XYZ == largest))
    outward = _outward(np.argwhere(labels_XYZ == largest), visited_XYZ, origin, lattice.volume)
    x, y, z = (c + o + d * s for c, o, d, s in zip(centre, origin, outward, lattice.step, strict=True))
    start = lattice.start((x, y, z))
    placed = []
    for piece, found in enumerate(ndimage.find_objects(labels_XYZ), start=1):
        middle = _middle_voxel(np.argwhere(labels_XYZ[found] == piece) + [side.start for side in found])
        if lattice.holds(start, _plus(middle, origin)):
            placed.append(_plus(_deepest(mask_XYZ, middle, origin, start, lattice, spacing), origin))
    return ClickWindow(start, tuple(placed))


def find_rim(mask_XYZ: Mask, visited_XYZ: Mask, origin: Axis3, volume: Axis3) -> Mask:
    """The mask's voxels with one of six neighbours in the volume that no window has looked at."""
    rim_XYZ = np.zeros(mask_XYZ.shape, dtype=bool)
    for axis, first in enumerate(origin):
        length = mask_XYZ.shape[axis]
        for sign, at_end in ((-1, first == 0), (1, first + length == volume[axis])):
            unseen = np.empty(mask_XYZ.shape, dtype=bool)
            here, there = _along(axis, slice(1, None)), _along(axis, slice(None, -1))
            edge = _along(axis, slice(0, 1)) if sign < 0 else _along(axis, slice(length - 1, length))
            near, far = (here, there) if sign < 0 else (there, here)
            unseen[near] = ~visited_XYZ[far]
            unseen[edge] = not at_end
            rim_XYZ |= mask_XYZ & unseen
    return rim_XYZ


def _along(axis: int, side: slice) -> tuple[slice, ...]:
    return tuple(side if other == axis else slice(None) for other in range(3))


def _outward(voxels_N3: NDArray[np.intp], visited_XYZ: Mask, origin: Axis3, volume: Axis3) -> NDArray[np.float64]:
    """The mean direction from rim voxels to their unseen neighbours, longest component 1; zero where they cancel."""
    total = np.zeros(3)
    for axis in range(3):
        for sign in (-1, 1):
            neighbours_N3 = voxels_N3.copy()
            neighbours_N3[:, axis] += sign
            places_N3 = neighbours_N3 + origin
            real_N = ((places_N3 >= 0) & (places_N3 < volume)).all(axis=1)
            in_box_N = ((neighbours_N3 >= 0) & (neighbours_N3 < visited_XYZ.shape)).all(axis=1)
            seen_N = np.zeros(len(voxels_N3), dtype=bool)
            seen_N[in_box_N] = visited_XYZ[tuple(neighbours_N3[in_box_N].T)]
            total[axis] += sign * np.count_nonzero(real_N & ~seen_N)
    longest = np.abs(total).max()
    return total / longest if longest > 0 else total


def _middle_voxel(voxels_N3: NDArray[np.intp]) -> Axis3:
    """The voxel of a set that lies nearest to its mean."""
    distance_N = ((voxels_N3 - voxels_N3.mean(axis=0)) ** 2).sum(axis=1)
    x, y, z = voxels_N3[int(distance_N.argmin())].tolist()
    return (x, y, z)


def _deepest(mask_XYZ: Mask, near: Axis3, origin: Axis3, start: Axis3, lattice: Lattice, spacing: Float3) -> Axis3:
    """The voxel of the mask that lies deepest inside it, within a quarter of a side of ``near`` and in the window; of
    equally deep ones that nearest to ``near``."""
    low = [max(n - s, first - o, 0) for n, s, first, o in zip(near, lattice.step, start, origin, strict=True)]
    high = [
        min(n + s + 1, stop - o, length)
        for n, s, stop, o, length in zip(near, lattice.step, lattice.stop(start), origin, mask_XYZ.shape, strict=True)
    ]
    piece_XYZ = mask_XYZ[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    labels_XYZ, _ = label_components(piece_XYZ)
    own_XYZ = labels_XYZ == labels_XYZ[tuple(n - a for n, a in zip(near, low, strict=True))]
    depth_XYZ = ndimage.distance_transform_edt(np.pad(own_XYZ, 1), sampling=spacing)[1:-1, 1:-1, 1:-1]
    best_N3 = np.argwhere(depth_XYZ >= depth_XYZ.max() - 1e-6) + low
    distance_N = ((best_N3 - np.array(near)) ** 2).sum(axis=1)
    x, y, z = best_N3[int(distance_N.argmin())].tolist()
    return (x, y, z)


def _plus(voxel: Sequence[int], origin: Axis3) -> Float3:
    x, y, z = (float(v + o) for v, o in zip(voxel, origin, strict=True))
    return (x, y, z)
