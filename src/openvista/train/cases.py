"""A labelled scan on the model grid, ready to be cut into patches."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from openvista.datalist import Case, SliceRange
from openvista.errors import DataListError
from openvista.grid import Float3, Grid
from openvista.io import read_labels, read_scan
from openvista.model import Preset
from openvista.prepare import axis_map, prepare, resample_linear, resample_nearest


@dataclass(frozen=True)
class KnownRange:
    """A structure was marked only between two planes: it is unknown before ``first`` and after ``last``.

    Attributes:
        axis: axis of the prepared volume.
        first, last: inclusive voxel range along it.
    """

    axis: int
    first: int
    last: int


@dataclass(frozen=True)
class TrainingCase:
    """What training keeps of a case in memory.

    Attributes:
        name: for messages.
        image_XYZ: float16, 0..1, RAS, at the preset's spacing.
        labels_XYZ: uint8 label values of the data list on the same grid.
        annotated: label values somebody marked in this case.
        known: label values that are known in a range only.
        spacing: mm per voxel.
        supervoxels_XYZ: int32 number of each voxel's supervoxel, 0 for air; ``None`` where the case has none.
    """

    name: str
    image_XYZ: Tensor
    labels_XYZ: Tensor
    annotated: tuple[int, ...]
    known: dict[int, KnownRange]
    spacing: Float3
    supervoxels_XYZ: Tensor | None = None


def load_case(case: Case, preset: Preset, label_values: frozenset[int], range_limited: frozenset[int]) -> TrainingCase:
    """Read and prepare one case.

    Args:
        case: entry of the data list.
        preset: gives spacing and HU window.
        label_values: label values the recipe uses; others are ignored.
        range_limited: label values that count only between their ``label_slices``.

    Raises:
        DataListError: image and label are not on the same grid.
    """
    scan = read_scan(case.image)
    labels, label_grid = read_labels(case.label)
    if not label_grid.matches(scan.grid, tolerance_mm=0.1):
        raise DataListError(f"{case.label} is not on the grid of {case.image}; resample it first")
    prepared = prepare(scan, preset.spacing, preset.hu_window)
    annotated = tuple(sorted(case.annotated & label_values))
    return TrainingCase(
        name=case.name,
        image_XYZ=prepared.image_XYZ.half(),
        labels_XYZ=resample_labels(torch.as_tensor(labels), scan.grid, prepared.grid, annotated),
        annotated=annotated,
        known={
            value: known_range(case.label_slices[value], scan.grid, prepared.grid)
            for value in annotated
            if value in range_limited and value in case.label_slices
        },
        spacing=prepared.grid.spacing,
        supervoxels_XYZ=None if case.supervoxels is None else _supervoxels(case.supervoxels, scan.grid, prepared.grid),
    )


def _supervoxels(path: Path, scan_grid: Grid, target: Grid) -> Tensor:
    numbers, grid = read_labels(path)
    if not grid.matches(scan_grid, tolerance_mm=0.1):
        raise DataListError(f"{path} is not on the grid of its scan; make the supervoxels again")
    return resample_nearest(torch.as_tensor(numbers.astype(np.int32)), scan_grid, target)


def resample_labels(labels: Tensor, source: Grid, target: Grid, values: tuple[int, ...]) -> Tensor:
    """Label map to the model grid with smooth edges: each structure linearly, then the strongest above one half.

    Nearest neighbour would carry the staircase of coarse voxels over to the finer grid.
    """
    best = torch.full(target.shape, 0.5)
    result = torch.zeros(target.shape, dtype=torch.uint8)
    for value in values:
        share = resample_linear((labels == value).float(), source, target)
        stronger = share > best
        result[stronger] = value
        best[stronger] = share[stronger]
    return result


def known_range(slices: SliceRange, scan_grid: Grid, grid: Grid) -> KnownRange:
    """Slices of the file's third axis as a range of the prepared volume."""
    mapping = axis_map(scan_grid, grid)
    axis = mapping.axes.index(2)
    positions = mapping.positions(axis, grid.shape[axis])
    inside = (positions >= slices[0] - 0.5) & (positions <= slices[1] + 0.5)
    indices = inside.nonzero()[0]
    if len(indices) == 0:
        return KnownRange(axis, 0, -1)
    return KnownRange(axis, int(indices[0]), int(indices[-1]))
