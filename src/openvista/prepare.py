"""Prepare: a scan becomes what the network wants to see, and knows its way back.

One order, everywhere (training, inference, evaluation): orient to RAS, resample (linear), scale HU to 0..1.
Orientation and spacing are one step here, because from the scan's own voxels to the model grid each axis only
moves, flips and stretches: the map is one line per axis, so it is exact, cheap and has an exact inverse.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from openvista.geometry.grid import Float3, Grid
from openvista.geometry.resample import resample_linear
from openvista.scan import Scan


def scale_hu(volume: Tensor, hu_window: tuple[float, float]) -> Tensor:
    """Clip HU to the window and scale it linearly to 0..1."""
    low, high = hu_window
    return ((volume - low) / (high - low)).clamp_(0, 1)


@dataclass(frozen=True)
class Prepared:
    """A scan on the model grid.

    Attributes:
        image_XYZ: float32, 0..1, axes R A S.
        grid: the model grid the image lies on.
        scan_grid: the grid of the scan it came from: the way back.
    """

    image_XYZ: Tensor
    grid: Grid
    scan_grid: Grid


def model_grid(scan_grid: Grid, spacing: Float3 | None) -> Grid:
    """RAS order at ``spacing`` mm; ``None`` keeps the scan's own voxel size."""
    ras = scan_grid.in_ras_order()
    return ras if spacing is None else ras.with_spacing(spacing)


def prepare(
    scan: Scan, spacing: Float3 | None, hu_window: tuple[float, float], device: torch.device | str = "cpu"
) -> Prepared:
    """Scan to network input.

    Args:
        scan: HU on its own grid.
        spacing: mm of the model grid (R, A, S), or ``None`` to keep the scan's.
        hu_window: HU that become 0 and 1.
        device: where to do it and to leave the result.
    """
    grid = model_grid(scan.grid, spacing)
    volume = torch.as_tensor(np.ascontiguousarray(scan.voxels)).to(device)
    image_XYZ = scale_hu(resample_linear(volume, scan.grid, grid), hu_window)
    return Prepared(image_XYZ, grid, scan.grid)
