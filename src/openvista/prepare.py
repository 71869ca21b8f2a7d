"""Prepare: a scan becomes what the network wants to see, and knows its way back.

One order, everywhere (training, inference, evaluation): orient to RAS, resample (linear), scale HU to 0..1.
Orientation and spacing are one step here, because from the scan's own voxels to the model grid each axis only
moves, flips and stretches: the map is one line per axis, so it is exact, cheap and has an exact inverse.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from openvista.grid import Axis3, Float3, Grid
from openvista.scan import Scan


@dataclass(frozen=True)
class AxisMap:
    """Where the voxels of a target grid fall on a source grid that differs by flips, permutation and spacing only.

    For the target's axis a: position on source axis ``axes[a]`` = ``scale[a] · index + offset[a]``, in voxels.
    """

    axes: Axis3
    scale: Float3
    offset: Float3

    def positions(self, axis: int, length: int) -> NDArray[np.float64]:
        """Source positions (voxels, fractional) of target indices 0..length-1 along one target axis."""
        return np.asarray(self.scale[axis] * np.arange(length) + self.offset[axis], dtype=np.float64)


def axis_map(source: Grid, target: Grid) -> AxisMap:
    """How to look up ``target``'s voxels in ``source``; both must have parallel axes (possibly permuted, flipped)."""
    step = np.linalg.solve(source.affine, target.affine)
    axes = [int(np.argmax(np.abs(step[:3, a]))) for a in range(3)]
    if sorted(axes) != [0, 1, 2]:
        raise ValueError(f"the grids' axes are not parallel: {step[:3, :3].tolist()}")
    x, y, z = axes
    return AxisMap(
        (x, y, z),
        (float(step[x, 0]), float(step[y, 1]), float(step[z, 2])),
        (float(step[x, 3]), float(step[y, 3]), float(step[z, 3])),
    )


def resample_linear(volume: Tensor, source: Grid, target: Grid) -> Tensor:
    """Trilinear interpolation [X, Y, Z] on ``source`` to ``target``; outside, the border voxel is repeated.

    Axis by axis, which is the same as trilinear. Works on any device; float32 inside.
    """
    mapping = axis_map(source, target)
    result = volume.permute(mapping.axes).float()
    for axis in range(3):
        positions = mapping.positions(axis, target.shape[axis]).clip(0, result.shape[axis] - 1)
        if np.array_equal(positions, np.arange(result.shape[axis])):
            continue
        low = np.minimum(np.floor(positions).astype(np.int64), max(result.shape[axis] - 2, 0))
        high = np.minimum(low + 1, result.shape[axis] - 1)
        weight = torch.as_tensor(positions - low, dtype=torch.float32, device=volume.device)
        weight = weight.view([-1 if a == axis else 1 for a in range(3)])
        low_part = result.index_select(axis, torch.as_tensor(low, device=volume.device))
        high_part = result.index_select(axis, torch.as_tensor(high, device=volume.device))
        result = torch.lerp(low_part, high_part, weight)
    return result.contiguous()


def resample_nearest(volume: Tensor, source: Grid, target: Grid) -> Tensor:
    """Nearest voxel of ``source`` for every voxel of ``target`` [X, Y, Z]; dtype kept; outside, the border voxel."""
    mapping = axis_map(source, target)
    result = volume.permute(mapping.axes)
    for axis in range(3):
        # half-way positions go to the even neighbour, as torch's and MONAI's nearest mode do
        nearest = np.rint(mapping.positions(axis, target.shape[axis])).astype(np.int64)
        index = torch.as_tensor(nearest.clip(0, result.shape[axis] - 1), device=volume.device)
        result = result.index_select(axis, index)
    return result.contiguous()


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
