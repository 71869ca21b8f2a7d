"""Where a scan shows nothing but the air around the patient."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from openvista.grid import Grid
from openvista.supervoxels.planes import count_voxels, look_up

AIR_HU = -500.0
"""Half-way between air and water: a voxel half filled with skin is on the border."""
_LEAST_SHARE = 0.01
"""Of the scan: smaller pieces of air at its sides (gas cut by the border, noise) belong to the patient."""


def outside_air(voxels: NDArray[Any], grid: Grid) -> NDArray[np.bool_]:
    """True in the air around the patient, [X, Y, Z] in the order of ``voxels``.

    That is each large piece of air that reaches the right, left, front or back side of the scan; so lungs, which may
    reach its lower end, stay tissue. Where no air reaches a side (a round field of view), it is the largest piece of
    air, which is the rule of the paper (paper facts §6).

    Args:
        voxels: HU.
        grid: says which axes run to the patient's sides.
    """
    pieces, count = ndimage.label(voxels < AIR_HU)
    if count == 0:
        return np.zeros(voxels.shape, bool)
    sizes = count_voxels(pieces, count + 1)
    sizes[0] = 0
    at_side = np.zeros(count + 1, bool)
    for axis in grid.ras_order[0][:2]:
        for end in (0, -1):
            at_side[np.unique(pieces.take(end, axis))] = True
    chosen = at_side & (sizes >= _LEAST_SHARE * voxels.size)
    if not chosen[1:].any():
        chosen[:] = False
        chosen[int(np.argmax(sizes))] = True
    chosen[0] = False
    return np.asarray(look_up(chosen, pieces))
