"""Numbers that compare a predicted mask with the truth, on the scan's own grid and in its millimetres.

What cannot be said is NaN, never 0 or 1:

================== ============ ============ ============= ===================
                   Dice, NSD    HD95         volume error  volume error in %
================== ============ ============ ============= ===================
both have voxels   0..1         mm           ml            %
prediction empty   0 (missed)   NaN          minus truth   -100
truth empty        NaN          NaN          false ml      NaN
both empty         NaN          NaN          0             NaN
================== ============ ============ ============= ===================

So a mean of Dice runs over the cases that have the structure (paper facts §7, as MONAI's ``ignore_empty``); a missed
structure counts with 0 there but has no distance, hence reports give the number of missed ones beside HD95. What
is found where there is nothing shows in the volume error.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from openvista.errors import InputError
from openvista.geometry.grid import Grid
from openvista.metrics.surface import Surface, surface_distances

DEFAULT_TOLERANCE_MM = 2.0
"""Tolerance of NSD where no other is given; the CVPR 2025 challenge's."""

NAN = float("nan")


@dataclass(frozen=True)
class Measures:
    """A predicted mask against the truth; the module's table says when a number is NaN.

    Attributes:
        dice: overlap 2·|A∩B| / (|A| + |B|), 0..1.
        nsd: normalised surface Dice: the share of both surfaces within the tolerance of the other, 0..1.
        hd95_mm: 95th percentile of the distances between the surfaces, the worse direction.
        truth_ml, predicted_ml: volumes.
        volume_error_ml: predicted minus truth.
        volume_error_percent: the same in percent of the truth.
    """

    dice: float
    nsd: float
    hd95_mm: float
    truth_ml: float
    predicted_ml: float
    volume_error_ml: float
    volume_error_percent: float


def measure_masks(
    truth_XYZ: NDArray[np.bool_],
    predicted_XYZ: NDArray[np.bool_],
    grid: Grid,
    tolerance_mm: float = DEFAULT_TOLERANCE_MM,
    surface: Surface = "elements",
    open_axis: int | None = None,
) -> Measures:
    """Every measure of one mask.

    Args:
        truth_XYZ, predicted_XYZ: bool, of the same shape; on the grid or a box of it.
        grid: for the spacing and the volume of a voxel.
        tolerance_mm: of NSD.
        surface: ``"elements"`` (DeepMind's definition) or ``"voxels"`` (MONAI's), for NSD and HD95.
        open_axis: the masks are cut out of longer ones along this axis; the end faces are no surface.
    """
    truth, predicted = (int(np.count_nonzero(mask)) * grid.voxel_ml for mask in (truth_XYZ, predicted_XYZ))
    distances = surface_distances(truth_XYZ, predicted_XYZ, grid.spacing, surface, open_axis)
    missed = 0.0 if truth else NAN
    return Measures(
        dice=dice(predicted_XYZ, truth_XYZ),
        nsd=missed if distances is None else distances.within(tolerance_mm),
        hd95_mm=NAN if distances is None else distances.hausdorff_mm(95),
        truth_ml=truth,
        predicted_ml=predicted,
        volume_error_ml=predicted - truth,
        volume_error_percent=100 * (predicted - truth) / truth if truth else NAN,
    )


def dice(predicted: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    """Dice overlap 2·|A∩B| / (|A| + |B|) of two masks on the same grid; NaN when the truth is empty."""
    wanted = int(np.count_nonzero(truth))
    if not wanted:
        return NAN
    return 2 * int(np.count_nonzero(predicted & truth)) / (int(np.count_nonzero(predicted)) + wanted)


def check_tolerance(tolerance_mm: float) -> float:
    """The tolerance itself, if it is one.

    Raises:
        InputError: negative or not finite.
    """
    if not math.isfinite(tolerance_mm) or tolerance_mm < 0:
        raise InputError(f"a tolerance of {tolerance_mm} mm is impossible: give 0 or more")
    return tolerance_mm
