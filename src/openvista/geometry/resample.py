"""From the voxels of one grid to those of another with parallel axes: linear or nearest, whole volumes or crops."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from openvista.geometry.box import Crop
from openvista.geometry.grid import Axis3, Float3, Grid


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


def are_parallel(source: Grid, target: Grid) -> bool:
    """Whether the axes of two grids run in the same directions, in any order and sense: nowhere on the target does the
    difference come to a tenth of a voxel, and :func:`axis_map` holds."""
    step = np.linalg.solve(source.affine, target.affine)[:3, :3]
    axes = [int(np.argmax(np.abs(step[:, axis]))) for axis in range(3)]
    if sorted(axes) != [0, 1, 2]:
        return False
    drift = np.abs(step) * np.array(target.shape)
    drift[axes, range(3)] = 0
    return bool(drift.sum(axis=1).max() < 0.1)


_AT_ONCE = 1 << 23
"""Voxels in use at once beside the volume and the result; on a CPU not many more than its cache holds."""

_Lookup = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]
"""For every target row along one axis: the source rows on either side, and how far it lies from the first."""


def resample_linear(volume: Tensor, source: Grid, target: Grid, between: Callable[[], None] = lambda: None) -> Tensor:
    """Trilinear interpolation [X, Y, Z] on ``source`` to ``target``; outside, the border voxel is repeated.

    Slab by slab and in a slab axis by axis, which is the same as trilinear. Works on any device; float32 inside.
    :func:`bytes_to_resample` says how much memory it takes.

    Args:
        volume, source, target: values, where they lie, and where they are wanted.
        between: called before each axis of a slab; what it raises ends the work.
    """
    mapping = axis_map(source, target)
    volume = volume.permute(mapping.axes)
    lookups = [_lookup(mapping.positions(axis, target.shape[axis]), volume.shape[axis]) for axis in range(3)]
    result = torch.empty(target.shape, dtype=torch.float32, device=volume.device)
    along = int(np.argmax(volume.stride()))
    rows = _rows_at_once(volume.shape, target.shape, along)
    for start in range(0, target.shape[along], rows):
        chosen = slice(start, start + rows)
        low, high, weight = lookups[along][0][chosen], lookups[along][1][chosen], lookups[along][2][chosen]
        first = int(low.min())
        slab = volume.narrow(along, first, int(high.max()) + 1 - first).float()
        for axis in range(3):
            between()
            lookup = (low - first, high - first, weight) if axis == along else lookups[axis]
            slab = _between(slab, axis, *lookup)
        result.narrow(along, start, len(low)).copy_(slab)
    return result


def bytes_to_resample(source: Grid, target: Grid) -> int:
    """The most memory that :func:`resample_linear` has in use at once beside the volume: the result and a slab."""
    shape = [source.shape[axis] for axis in axis_map(source, target).axes]
    slabs = [
        _voxels_of_slab(shape, target.shape, along, _rows_at_once(shape, target.shape, along)) for along in range(3)
    ]
    return (math.prod(target.shape) + max(slabs)) * torch.float32.itemsize


def _lookup(positions: NDArray[np.float64], length: int) -> _Lookup:
    positions = positions.clip(0, length - 1)
    low = np.floor(positions).astype(np.int64)
    if np.array_equal(low, positions):
        return low, low, np.zeros(len(low))
    low = np.minimum(low, max(length - 2, 0))
    return low, np.minimum(low + 1, length - 1), positions - low


def _rows_at_once(shape: Sequence[int], wanted: Sequence[int], along: int) -> int:
    """Target rows of a slab: halved until they keep to ``_AT_ONCE``, or there is one."""
    rows = wanted[along]
    while rows > 1 and _voxels_of_slab(shape, wanted, along, rows) > _AT_ONCE:
        rows = -(-rows // 2)
    return rows


def _voxels_of_slab(shape: Sequence[int], wanted: Sequence[int], along: int, rows: int) -> int:
    """Voxels in use for so many target rows: one axis' input, both neighbours, the result."""
    slab = list(shape)
    slab[along] = min(math.ceil(rows * shape[along] / wanted[along]) + 2, shape[along])
    most = math.prod(slab)
    for axis in range(3):
        before, slab[axis] = math.prod(slab), rows if axis == along else wanted[axis]
        most = max(most, before + 3 * math.prod(slab))
    return most


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


def resample_crop(crop: Crop, source: Grid, target: Grid, fill: float, mode: str = "smooth") -> Crop:
    """A crop of ``source`` on the voxels of ``target``; the grids' axes must be parallel (permuted or flipped is fine).

    Args:
        crop: values on a box of ``source``.
        source, target: the grids.
        fill: the value around the crop. Beyond the source's own border its last voxel is repeated.
        mode: ``"smooth"``: trilinear, float32; the result reaches as far as the crop has any weight.
            ``"exact"``: the nearest voxel, dtype kept.
    """
    mapping = axis_map(source, target)
    values = torch.from_numpy(np.ascontiguousarray(crop.values_XYZ)).permute(mapping.axes)
    starts = []
    for axis, source_axis in enumerate(mapping.axes):
        positions = mapping.positions(axis, target.shape[axis])
        side = (crop.start[source_axis], crop.box.stop[source_axis], source.shape[source_axis])
        first, values = _along(values, axis, positions, side, fill, mode)
        starts.append(first)
    return Crop((starts[0], starts[1], starts[2]), values.contiguous().numpy())


def _along(
    values: Tensor, axis: int, positions: NDArray[np.float64], side: tuple[int, int, int], fill: float, mode: str
) -> tuple[int, Tensor]:
    """One axis of :func:`resample_crop`: first target voxel, and values there."""
    start, stop, length = side
    if start == stop or values.numel() == 0:
        return 0, values.narrow(axis, 0, 0)
    if mode == "exact":
        positions = np.rint(positions)
        before, after = start - 0.5, stop - 0.5
    else:
        before, after = start - 1.0, float(stop)
    chosen = np.flatnonzero(((positions > before) | (start == 0)) & ((positions < after) | (stop == length)))
    first = int(chosen[0]) if len(chosen) else 0
    places = positions[chosen].clip(0, length - 1) - start
    if mode == "exact":
        return first, values.index_select(axis, torch.from_numpy(places.astype(np.int64)))
    return first, _interpolated(values.float(), axis, places, fill)


def _interpolated(values: Tensor, axis: int, places: NDArray[np.float64], fill: float) -> Tensor:
    """Linear interpolation along one axis at fractional places; one more voxel of ``fill`` lies on either side."""
    shape = [1 if other == axis else length for other, length in enumerate(values.shape)]
    border = torch.full(shape, fill)
    padded = torch.cat((border, values, border), dim=axis)
    low = np.floor(places).astype(np.int64)
    return _between(padded, axis, low + 1, np.minimum(low + 2, padded.shape[axis] - 1), places - low)


def _between(
    values: Tensor, axis: int, low: NDArray[np.int64], high: NDArray[np.int64], weight: NDArray[np.float64]
) -> Tensor:
    """Rows between two rows along one axis: ``low`` where the weight is 0, ``high`` where it is 1."""
    if not weight.any():
        unmoved = np.array_equal(low, np.arange(values.shape[axis]))
        return values if unmoved else values.index_select(axis, torch.as_tensor(low, device=values.device))
    low_part = values.index_select(axis, torch.as_tensor(low, device=values.device))
    high_part = values.index_select(axis, torch.as_tensor(high, device=values.device))
    share = torch.as_tensor(weight, dtype=torch.float32, device=values.device)
    return torch.lerp(low_part, high_part, share.view([-1 if other == axis else 1 for other in range(3)]))
