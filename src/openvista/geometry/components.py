"""Connected components of one mask. 26-connected: voxels with a common corner belong together (paper facts §5)."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from openvista.geometry.grid import Axis3

_NEIGHBOURS = np.ones((3, 3, 3), dtype=bool)


def label_components(mask_XYZ: NDArray[np.bool_]) -> tuple[NDArray[np.int32], int]:
    """Components numbered from 1, 0 elsewhere, and how many there are."""
    labels_XYZ, count = ndimage.label(mask_XYZ, structure=_NEIGHBOURS)
    return labels_XYZ, int(count)


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
    voxels = [voxel for voxel in voxels if all(0 <= v < n for v, n in zip(voxel, mask_XYZ.shape, strict=True))]
    if not voxels or not mask_XYZ.any():
        return np.zeros(mask_XYZ.shape, dtype=bool)
    labels_XYZ, count = label_components(mask_XYZ)
    taken = np.zeros(count + 1, dtype=bool)
    taken[[component_near(labels_XYZ, voxel, reach) for voxel in voxels]] = True
    taken[0] = False
    return np.asarray(taken[labels_XYZ])
