"""The working grid, and feature volumes that are put together on it piece by piece.

Shape letters: C channels, X Y Z voxels in RAS order.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from openvista.geometry.grid import Grid, triple
from openvista.geometry.resample import axis_map
from openvista.scan import Scan

MOST_VOXELS = 4_000_000
"""Of the working grid: with 32 channels in float16 a feature volume has 256 MB. A CT of 40 x 30 x 40 cm is worked on
at 2.3 mm then, finer than the smoothing (paper facts §6: 3)."""


@dataclass(frozen=True, eq=False)
class GridFeatures:
    """A feature vector for each voxel of a grid.

    Attributes:
        values_XYZC: float16; arbitrary in air.
        grid: in RAS order.
    """

    values_XYZC: Tensor
    grid: Grid


def working_grid(scan_grid: Grid, most_voxels: int = MOST_VOXELS) -> Grid:
    """The scan's own voxels in RAS order or, where these are too many, coarser ones; never finer along any axis."""
    own = scan_grid.in_ras_order()
    grid, finest = own, min(own.spacing)
    while np.prod(grid.shape) > most_voxels:
        finest *= 1.02
        grid = own.with_spacing(triple(max(length, finest) for length in own.spacing))
    return grid


def triangle_weights(positions: NDArray[np.float64], length: int, width: float = 1.0) -> Tensor:
    """How much each source voxel of an axis counts at each position: a matrix [positions, length], rows sum to 1.

    Linear interpolation where ``width`` is 1; larger widths average, so that a coarser grid skips nothing.

    Args:
        positions: in source voxels, fractional; outside, the border voxel counts.
        length: source voxels.
        width: half the foot of the triangle, in source voxels; at least 1.
    """
    distance = np.abs(positions.clip(0, length - 1)[:, None] - np.arange(length)[None])
    weights = (1 - distance / max(width, 1.0)).clip(min=0)
    return torch.as_tensor(weights / weights.sum(1, keepdims=True), dtype=torch.float32)


def grid_weights(source: Grid, target: Grid) -> tuple[Tensor, Tensor, Tensor]:
    """For each axis the matrix [target, source] that brings a volume from one grid in RAS order to another."""
    mapping = axis_map(source, target)
    if mapping.axes != (0, 1, 2):
        raise ValueError(f"both grids must be in RAS order, not {source.axis_codes} and {target.axis_codes}")
    return triple(
        triangle_weights(mapping.positions(axis, target.shape[axis]), source.shape[axis], abs(mapping.scale[axis]))
        for axis in range(3)
    )


def along(weights: Tensor, values: Tensor, axis: int) -> Tensor:
    """Apply a matrix [new, old] along one axis."""
    return torch.tensordot(weights, values, dims=([1], [axis])).movedim(0, axis)


def resample(volume_XYZ: Tensor, source: Grid, target: Grid) -> Tensor:
    """A volume on another grid, float32; both in RAS order. Averages where the target is coarser."""
    result = volume_XYZ.float()
    for axis, weights in enumerate(grid_weights(source, target)):
        if not _is_identity(weights):
            result = along(weights, result, axis)
    return result


class Gathering:
    """A feature volume that grows by weighted sums: whatever comes in is spread over the rows that it touches.

    Args:
        grid: the working grid.
        channels: C.
    """

    def __init__(self, grid: Grid, channels: int) -> None:
        self.grid = grid
        self.values_XYZC = torch.zeros(*grid.shape, channels, dtype=torch.float16)

    def add(self, slab_XYZC: Tensor, axis: int, weights: Tensor) -> None:
        """Add rows along ``axis``; the two other axes lie on the grid already.

        Args:
            slab_XYZC: n rows along ``axis``.
            axis: 0, 1 or 2.
            weights: [rows of the grid, n], how much of each goes where.
        """
        rows = weights.any(1).nonzero()[:, 0]
        if len(rows) == 0:
            return
        first, stop = int(rows[0]), int(rows[-1]) + 1
        touched_XYZC = self.values_XYZC.narrow(axis, first, stop - first)
        touched_XYZC += along(weights[first:stop], slab_XYZC.float().cpu(), axis)

    def volume(self) -> GridFeatures:
        """What came together."""
        return GridFeatures(self.values_XYZC, self.grid)


def ras_voxels(scan: Scan) -> Tensor:
    """A scan's HU as [X, Y, Z] float32 in RAS order."""
    axes, signs = scan.grid.ras_order
    flipped = [axis for axis, sign in enumerate(signs) if sign < 0]
    return torch.as_tensor(np.ascontiguousarray(scan.voxels)).permute(axes).flip(flipped).float()


def in_file_order(volume_XYZ: NDArray[np.generic], grid: Grid) -> NDArray[np.generic]:
    """The inverse of RAS order: a volume back in the axis order and directions of ``grid``."""
    axes, signs = grid.ras_order
    turned = volume_XYZ[tuple(slice(None, None, sign) for sign in signs)]
    return np.ascontiguousarray(turned.transpose(np.argsort(axes)))


def _is_identity(weights: Tensor) -> bool:
    return weights.shape[0] == weights.shape[1] and bool(torch.allclose(weights, torch.eye(len(weights)), atol=1e-6))
