"""Measures of labelled structures: how large, how dense, cut by the border or not."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from openvista.geometry.box import Box
from openvista.geometry.grid import Axis3, Float3, Grid, triple


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
        touches_border: a voxel lies on a face of what was looked at, so part of the structure may be outside.
        unlikely: which of "volume", "HU", "elongation" and "place" are unlike what the model was trained on
            (:mod:`openvista.plausibility`). Without voxels: it was left out for that.
    """

    id: int
    name: str
    voxels: int
    volume_ml: float
    mean_hu: float | None
    sd_hu: float | None
    touches_border: bool
    unlikely: tuple[str, ...] = ()


@dataclass(frozen=True)
class StructureStatistics:
    """All that is measured of one structure; what needs voxels, or a scan, is ``None`` without.

    Attributes:
        id, name, voxels, volume_ml, touches_border: as in :class:`StructureRow`.
        centroid_mm: mean of its voxels' centres, RAS+.
        first_voxel, last_voxel: corners of the box around it, both inside.
        hu_mean, hu_sd, hu_min, hu_p05, hu_p25, hu_median, hu_p75, hu_p95, hu_max: of its voxels.
    """

    id: int
    name: str
    voxels: int
    volume_ml: float
    touches_border: bool
    centroid_mm: Float3 | None = None
    first_voxel: Axis3 | None = None
    last_voxel: Axis3 | None = None
    hu_mean: float | None = None
    hu_sd: float | None = None
    hu_min: float | None = None
    hu_p05: float | None = None
    hu_p25: float | None = None
    hu_median: float | None = None
    hu_p75: float | None = None
    hu_p95: float | None = None
    hu_max: float | None = None


def statistics(
    labels: NDArray[np.unsignedinteger],
    grid: Grid,
    names: Mapping[int, str],
    hu: NDArray[np.generic] | None = None,
    looked_at: Box | None = None,
) -> list[StructureStatistics]:
    """One entry per named structure, in order of id; arguments as for :func:`measure`.

    A structure that is cut by the border is measured as far as it is seen, and says so.
    """
    from scipy.ndimage import find_objects  # slow to load, and most of who imports this file needs rows only

    boxes, found, looked_at = find_objects(labels), [], looked_at or Box.whole(labels.shape)
    for key, name in sorted(names.items()):
        sides = boxes[key - 1] if key <= len(boxes) else None
        if sides is None:
            found.append(StructureStatistics(key, name, 0, 0.0, False))
            continue
        mask = labels[sides] == key
        voxels = int(mask.sum())
        box = Box.of_slices(sides)
        first, last = box.start, triple(stop - 1 for stop in box.stop)
        centre = np.array([where.mean() for where in np.nonzero(mask)]) + first
        at_border = box.reaches_face(looked_at)
        place = triple(grid.to_world(centre[None])[0].tolist())
        values = {} if hu is None else _hu_statistics(hu[sides][mask])
        found.append(
            StructureStatistics(key, name, voxels, voxels * grid.voxel_ml, at_border, place, first, last, **values)
        )
    return found


def _hu_statistics(values: NDArray[np.generic]) -> dict[str, float]:
    numbers = values.astype(np.float64)
    names = ("hu_min", "hu_p05", "hu_p25", "hu_median", "hu_p75", "hu_p95", "hu_max")
    quantiles = np.percentile(numbers, (0, 5, 25, 50, 75, 95, 100)).tolist()
    return {"hu_mean": float(numbers.mean()), "hu_sd": float(numbers.std())} | dict(zip(names, quantiles, strict=True))


def measure(
    labels: NDArray[np.unsignedinteger],
    grid: Grid,
    names: Mapping[int, str],
    hu: NDArray[np.generic] | None = None,
    looked_at: Box | None = None,
) -> list[StructureRow]:
    """One row per named structure, in order of id.

    Args:
        labels: [X, Y, Z] ids.
        grid: their grid, for volumes.
        names: the ids to report.
        hu: [X, Y, Z] HU on the same grid, or ``None``.
        looked_at: the box outside of which nothing was looked for, if it is not all: its faces are the border.
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
    border = border_ids(labels if looked_at is None else labels[looked_at.slices()])
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
