"""A scan on the model grid with what is known about it, ready to be cut into patches."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from openvista.datalist import AnyCase, Case, SliceRange
from openvista.errors import DataListError
from openvista.geometry.grid import Float3, Grid
from openvista.geometry.resample import axis_map, resample_linear, resample_nearest
from openvista.io import read_labels, read_scan
from openvista.network import Preset
from openvista.prepare import prepare

MOST_PLACES = 4096
"""Voxels remembered per class to centre patches on; of a larger structure these are evenly spread."""


@dataclass(frozen=True)
class KnownRange:
    """A structure was marked only between two planes: before ``first`` and after ``last`` it is known only not to be
    where another structure is marked.

    Attributes:
        axis: axis of the prepared volume.
        first, last: inclusive voxel range along it.
    """

    axis: int
    first: int
    last: int


@dataclass(frozen=True)
class LabelUse:
    """What a run takes from the cases of one data list.

    Attributes:
        classes: label value to class id; other values are ignored.
        range_limited: class ids that count only between their ``label_slices``.
        pseudo: class ids to take from the pseudo-label where nobody marked them. One that a pseudo-label does not show
            is unknown there, not absent: its model may not know it.
        supervoxels: whether to read the supervoxel map.
        absent: class ids that no case shows, which is known though nobody marked anything.
    """

    classes: Mapping[int, int]
    range_limited: frozenset[int] = frozenset()
    pseudo: frozenset[int] = frozenset()
    supervoxels: bool = False
    absent: frozenset[int] = frozenset()


@dataclass(frozen=True)
class TrainingCase:
    """What training keeps of a case.

    Attributes:
        name: for messages.
        image_XYZ: float16, 0..1, RAS, at the preset's spacing.
        labels_XYZ: int16 class ids on the same grid.
        annotated: class ids that are known in this case, marked by hand or taken from the pseudo-label.
        known: class ids that are known in a range only.
        spacing: mm per voxel.
        supervoxels_XYZ: int32 number of each voxel's supervoxel, 0 for air; ``None`` where the case has none.
        pseudo: those of ``annotated`` that come from the pseudo-label.
        places: class id to some of its voxels, int16 [M, 3].
    """

    name: str
    image_XYZ: Tensor
    labels_XYZ: Tensor
    annotated: tuple[int, ...]
    known: dict[int, KnownRange]
    spacing: Float3
    supervoxels_XYZ: Tensor | None = None
    pseudo: frozenset[int] = frozenset()
    places: dict[int, Tensor] = field(default_factory=dict)

    def places_of(self, class_id: int) -> Tensor:
        """Some voxels of a class, [M, 3]."""
        return self.places[class_id] if class_id in self.places else some_voxels(self.labels_XYZ == class_id)


def load_case(case: AnyCase, preset: Preset, use: LabelUse) -> TrainingCase:
    """Read and prepare one case.

    Args:
        case: entry of the data list.
        preset: gives spacing and HU window.
        use: which labels count.

    Raises:
        DataListError: a map is not on the grid of its image.
        ScanError: a file cannot be read.
    """
    scan = read_scan(case.image, apart=True)
    prepared = prepare(scan, preset.spacing, preset.hu_window)
    labels_XYZ = torch.zeros(prepared.grid.shape, dtype=torch.int16)
    manual: frozenset[int] = frozenset()
    known: dict[int, KnownRange] = {}
    if isinstance(case, Case):
        classes = case.marked_classes(use.classes)
        marked = {value: class_id for class_id, values in classes.items() for value in values}
        labels_XYZ = resample_labels(_labels(case.label, scan.grid), scan.grid, prepared.grid, marked)
        manual = frozenset(classes)
        known = {
            class_id: known_range(slices, scan.grid, prepared.grid)
            for class_id, values in classes.items()
            if class_id in use.range_limited and (slices := case.common_slices(values)) is not None
        }
    pseudo: frozenset[int] = frozenset()
    if use.pseudo and case.pseudo_label is not None and case.pseudo_label_reliable:
        guessed = _labels(case.pseudo_label, scan.grid)
        pseudo = (use.pseudo - manual - use.absent) & set(torch.unique(guessed).tolist())
        guessed_XYZ = resample_labels(guessed, scan.grid, prepared.grid, {one: one for one in pseudo})
        labels_XYZ = torch.where(labels_XYZ > 0, labels_XYZ, guessed_XYZ)
    supervoxels_XYZ = None
    if use.supervoxels and case.supervoxels is not None:
        supervoxels_XYZ = resample_nearest(_labels(case.supervoxels, scan.grid), scan.grid, prepared.grid)
    annotated = tuple(sorted(manual | pseudo | use.absent))
    return TrainingCase(
        name=case.name,
        image_XYZ=prepared.image_XYZ.half(),
        labels_XYZ=labels_XYZ,
        annotated=annotated,
        known=known,
        spacing=prepared.grid.spacing,
        supervoxels_XYZ=supervoxels_XYZ,
        pseudo=pseudo,
        places={class_id: some_voxels(labels_XYZ == class_id) for class_id in annotated},
    )


def resample_labels(labels: Tensor, source: Grid, target: Grid, classes: Mapping[int, int]) -> Tensor:
    """Label map to class ids on the model grid, with smooth edges: each class linearly, then the strongest above half.

    Nearest neighbour would carry the staircase of coarse voxels over to the finer grid.

    Args:
        labels: label values on ``source``.
        source, target: grids with parallel axes.
        classes: label value to class id; several values may be one class; other values vanish.
    """
    best = torch.full(target.shape, 0.5)
    result = torch.zeros(target.shape, dtype=torch.int16)
    present = set(torch.unique(labels).tolist())
    for class_id in sorted(set(classes.values())):
        values = [value for value, one in classes.items() if one == class_id and value in present]
        if not values:
            continue
        share = resample_linear(torch.isin(labels, torch.tensor(values, dtype=labels.dtype)).float(), source, target)
        stronger = share > best
        result[stronger] = class_id
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


def some_voxels(mask_XYZ: Tensor) -> Tensor:
    """Up to ``MOST_PLACES`` voxels of a mask, evenly spread over its list of voxels; int16 [M, 3]."""
    voxels_M3 = mask_XYZ.nonzero()
    if len(voxels_M3) > MOST_PLACES:
        voxels_M3 = voxels_M3[torch.arange(MOST_PLACES) * len(voxels_M3) // MOST_PLACES]
    return voxels_M3.to(torch.int16)


def _labels(path: Path, scan_grid: Grid) -> Tensor:
    """A map on the scan's grid, int32."""
    labels, grid = read_labels(path, scan_grid=scan_grid, apart=True)
    if not grid.matches(scan_grid, tolerance_mm=0.1):
        raise DataListError(f"{path} is not on the grid of its image: resample it, or run openvista datalist check")
    return torch.as_tensor(labels.astype(np.int32))
