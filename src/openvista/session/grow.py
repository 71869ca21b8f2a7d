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

from openvista.geometry.box import Box, minus
from openvista.geometry.components import components_at, deepest_voxels, label_components, nearest_voxel
from openvista.geometry.grid import Axis3, Float3
from openvista.session.lattice import Lattice
from openvista.session.state import ClickWindow

GROW_LIMIT = 16
"""Windows opened at most for one prompt: about 0.5 m of a vessel, and an end to a mask that leaks."""

Mask = NDArray[np.bool_]


def next_window(
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
    largest_N3 = np.argwhere(labels_XYZ == largest)
    centre, outward = nearest_voxel(largest_N3), _outward(largest_N3, _seen(visited_XYZ, origin, lattice.volume))
    x, y, z = (c + o + d * s for c, o, d, s in zip(centre, origin, outward, lattice.step, strict=True))
    start = lattice.start((x, y, z))
    placed = []
    for piece, found in enumerate(ndimage.find_objects(labels_XYZ), start=1):
        middle = nearest_voxel(np.argwhere(labels_XYZ[found] == piece) + [side.start for side in found])
        if lattice.holds(start, _plus(middle, origin)):
            placed.append(_plus(_deepest(mask_XYZ, middle, origin, start, lattice, spacing), origin))
    return ClickWindow(start, tuple(placed))


def find_rim(mask_XYZ: Mask, visited_XYZ: Mask, origin: Axis3, volume: Axis3) -> Mask:
    """The mask's voxels with one of six neighbours in the volume that no window has looked at."""
    seen_XYZ = _seen(visited_XYZ, origin, volume)
    all_seen_XYZ = np.ones(mask_XYZ.shape, dtype=bool)
    inner = slice(1, -1)
    for axis in range(3):
        for shifted in (slice(None, -2), slice(2, None)):
            all_seen_XYZ &= seen_XYZ[tuple(shifted if other == axis else inner for other in range(3))]
    return mask_XYZ & ~all_seen_XYZ


def _seen(visited_XYZ: Mask, origin: Axis3, volume: Axis3) -> Mask:
    """Where windows have looked, with one voxel more on every side; beyond the volume there is nothing to see."""
    seen_XYZ = np.pad(visited_XYZ, 1)
    for axis, (first, length) in enumerate(zip(origin, visited_XYZ.shape, strict=True)):
        faces = np.moveaxis(seen_XYZ, axis, 0)
        faces[0] |= first == 0
        faces[-1] |= first + length == volume[axis]
    return seen_XYZ


def _outward(voxels_N3: NDArray[np.intp], seen_XYZ: Mask) -> NDArray[np.float64]:
    """The mean direction from rim voxels to their unseen neighbours, longest component 1; zero where they cancel."""
    total = np.zeros(3)
    for axis in range(3):
        for sign in (-1, 1):
            neighbours_N3 = voxels_N3 + 1
            neighbours_N3[:, axis] += sign
            total[axis] += sign * np.count_nonzero(~seen_XYZ[tuple(neighbours_N3.T)])
    longest = np.abs(total).max()
    return total / longest if longest > 0 else total


def _deepest(mask_XYZ: Mask, near: Axis3, origin: Axis3, start: Axis3, lattice: Lattice, spacing: Float3) -> Axis3:
    """The voxel of the mask that lies deepest inside it, within a quarter of a side of ``near`` and in the window; of
    equally deep ones that nearest to ``near``."""
    window = Box.sized(minus(start, origin), lattice.window)
    box = Box.sized(near, (1, 1, 1)).widened(lattice.step, mask_XYZ.shape).intersect(window)
    if box is None:
        raise ValueError(f"voxel {near} does not lie in the window that starts at {start}")
    own_XYZ = components_at(mask_XYZ[box.slices()], [minus(near, box.start)])
    return nearest_voxel(deepest_voxels(own_XYZ, spacing) + box.start, near)


def _plus(voxel: Sequence[int], origin: Axis3) -> Float3:
    x, y, z = (float(v + o) for v, o in zip(voxel, origin, strict=True))
    return (x, y, z)
