"""Connected components and the middle of a mask. 26-connected: voxels with a common corner belong together.

Sources: paper facts §5 (connectivity).
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from openvista.geometry.box import Box, Crop
from openvista.geometry.grid import Axis3, Float3

_NEIGHBOURS = np.ones((3, 3, 3), dtype=bool)
_SAME_DEPTH = 1e-6
"""Depths that differ by less than this share are equal: distances are rounded."""


def label_components(mask_XYZ: NDArray[np.bool_]) -> tuple[NDArray[np.int32], int]:
    """Components numbered from 1, 0 elsewhere, and how many there are."""
    labels_XYZ, count = ndimage.label(mask_XYZ, structure=_NEIGHBOURS)
    return labels_XYZ, int(count)


def largest_component(mask_XYZ: NDArray[np.bool_], touching_XYZ: NDArray[np.bool_] | None = None) -> Crop | None:
    """The component with the most voxels, a bool crop on the smallest box around it; ``None`` if there is none.

    Of several that are equally large the first in memory order counts.

    Args:
        mask_XYZ: bool.
        touching_XYZ: of the same shape; only components with a voxel in this mask count.
    """
    around = Box.around(mask_XYZ)
    if around is None:
        return None
    labels_XYZ, count = label_components(mask_XYZ[around.slices()])
    sizes = np.bincount(labels_XYZ.ravel())
    sizes[0] = 0
    if touching_XYZ is not None:
        sizes[np.bincount(labels_XYZ[touching_XYZ[around.slices()]], minlength=count + 1) == 0] = 0
    if not sizes.any():
        return None
    component_XYZ = labels_XYZ == sizes.argmax()
    return Crop(around.start, component_XYZ).cropped(component_XYZ)


def deepest_voxels(mask_XYZ: NDArray[np.bool_], spacing: Float3) -> NDArray[np.intp]:
    """The voxels [N, 3] of a mask that is not empty that lie farthest from the outside; all that lie equally far.

    What lies beyond the array counts as outside.

    Args:
        mask_XYZ: bool.
        spacing: mm per voxel along X, Y, Z.
    """
    # one voxel of outside all around: the nearest voxel outside is never further away than that
    depth_XYZ = ndimage.distance_transform_edt(np.pad(mask_XYZ, 1), sampling=spacing)[1:-1, 1:-1, 1:-1]
    return np.argwhere(depth_XYZ >= depth_XYZ.max() * (1 - _SAME_DEPTH))


def nearest_voxel(
    voxels_N3: NDArray[np.intp], place: ArrayLike | None = None, spacing: Float3 = (1.0, 1.0, 1.0)
) -> Axis3:
    """The voxel of a set that lies nearest to a place; the first of several that lie equally near.

    Args:
        voxels_N3: at least one.
        place: in voxels, fractions allowed; the mean of the set if ``None``.
        spacing: mm per voxel, where "near" is meant in mm.
    """
    place_3 = voxels_N3.mean(axis=0) if place is None else np.asarray(place)
    distance_N = (((voxels_N3 - place_3) * np.asarray(spacing)) ** 2).sum(axis=1)
    x, y, z = voxels_N3[distance_N.argmin()].tolist()
    return (x, y, z)


def component_near(labels_XYZ: NDArray[np.int32], voxel: Axis3, reach: int) -> int:
    """The component at a voxel; failing that, the nearest one in a cube of half-width 1, then 2, ... ``reach``; else 0.

    Of equally near voxels the first in memory order decides.
    """
    for half in range(reach + 1):
        low = [max(v - half, 0) for v in voxel]
        cube = labels_XYZ[tuple(slice(a, v + half + 1) for a, v in zip(low, voxel, strict=True))]
        found = np.argwhere(cube > 0)
        if len(found):
            distance = ((found + low - np.array(voxel)) ** 2).sum(axis=1)
            return int(cube[tuple(found[int(distance.argmin())])])
    return 0


def components_at(mask_XYZ: NDArray[np.bool_], voxels: Iterable[Axis3], reach: int = 0) -> NDArray[np.bool_]:
    """The components of a mask that hold one of the voxels (or lie within reach, see :func:`component_near`)."""
    voxels = list(filter(Box.whole(mask_XYZ.shape).contains, voxels))
    if not voxels or not mask_XYZ.any():
        return np.zeros(mask_XYZ.shape, dtype=bool)
    labels_XYZ, count = label_components(mask_XYZ)
    taken = np.zeros(count + 1, dtype=bool)
    taken[[component_near(labels_XYZ, voxel, reach) for voxel in voxels]] = True
    taken[0] = False
    return np.asarray(taken[labels_XYZ])
