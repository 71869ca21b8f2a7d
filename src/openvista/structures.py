"""Measures of labelled structures: how large, how dense, cut by the border or not."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from openvista.geometry.grid import Grid


@dataclass(frozen=True)
class StructureRow:
    """What is known about one structure.

    Attributes:
        id: label id.
        name: its name.
        voxels: number of voxels.
        volume_ml: their volume in millilitres.
        mean_hu: mean HU; ``None`` without voxels or scan.
        sd_hu: standard deviation of the HU; ``None`` without voxels or scan.
        touches_border: a voxel lies on a face of the volume, so part of the structure may be outside the scan.
    """

    id: int
    name: str
    voxels: int
    volume_ml: float
    mean_hu: float | None
    sd_hu: float | None
    touches_border: bool


def measure(
    labels: NDArray[np.unsignedinteger], grid: Grid, names: Mapping[int, str], hu: NDArray[np.generic] | None = None
) -> list[StructureRow]:
    """One row per named structure, in order of id.

    Args:
        labels: [X, Y, Z] ids.
        grid: their grid, for volumes.
        names: the ids to report.
        hu: [X, Y, Z] HU on the same grid, or ``None``.
    """
    size = max([*names, 0]) + 1
    counts, sums, squares = np.zeros(size), np.zeros(size), np.zeros(size)
    order = _memory_order(labels)
    slabs = labels.transpose(order)
    hu_slabs = None if hu is None else hu.transpose(order)
    for index, slab in enumerate(slabs):  # slab by slab: a whole CT's weights in float64 would be gigabytes
        inside = np.flatnonzero((slab > 0) & (slab < size))
        ids = slab.reshape(-1)[inside]
        counts += np.bincount(ids, minlength=size)
        if hu_slabs is not None and ids.size:
            values = hu_slabs[index].reshape(-1)[inside].astype(np.float64)
            sums += np.bincount(ids, weights=values, minlength=size)
            squares += np.bincount(ids, weights=values * values, minlength=size)
    border = border_ids(labels)
    rows = []
    for key, name in sorted(names.items()):
        voxels = int(counts[key])
        mean = float(sums[key] / voxels) if voxels and hu is not None else None
        sd = None if mean is None else float(np.sqrt(max(squares[key] / voxels - mean * mean, 0.0)))
        rows.append(StructureRow(key, name, voxels, voxels * grid.voxel_ml, mean, sd, key in border))
    return rows


def present_ids(labels: NDArray[np.unsignedinteger]) -> list[int]:
    """The ids above 0 that occur in [X, Y, Z] labels, in order."""
    seen = np.zeros(int(np.iinfo(labels.dtype).max) + 1, dtype=bool)
    for slab in labels.transpose(_memory_order(labels)):
        seen |= np.bincount(slab.reshape(-1), minlength=seen.size) > 0
    return [key for key in np.flatnonzero(seen).tolist() if key]


def border_ids(labels: NDArray[np.unsignedinteger]) -> set[int]:
    """The ids with a voxel on one of the six faces of the volume."""
    found: set[int] = set()
    for axis in range(3):
        for end in (0, -1):
            found |= set(np.unique(np.moveaxis(labels, axis, 0)[end]).tolist())
    return found - {0}


def _memory_order(volume: NDArray[np.generic]) -> list[int]:
    """Axes from the largest stride to the smallest: slabs along the first are contiguous in memory."""
    return np.argsort([-abs(stride) for stride in volume.strides], kind="stable").tolist()
