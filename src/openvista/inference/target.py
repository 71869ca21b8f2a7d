"""Where a result is wanted: on which grid, and in which part of the scan."""

import logging
import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from openvista.errors import GridError
from openvista.geometry.box import Box
from openvista.geometry.grid import Grid, triple
from openvista.geometry.resample import are_parallel, axis_map, bytes_to_resample, resample_linear
from openvista.io.scratch import scratch_array
from openvista.prepare import refuse_too_large
from openvista.scan import UNSEEN_LOGIT, ClassMaps, Scan, Segmentation

logger = logging.getLogger(__name__)
Value = TypeVar("Value", bound=np.generic)

AIR_HU = -1000
"""What a scan holds on a grid that reaches beyond it."""


@dataclass(frozen=True, eq=False)
class Target:
    """The grid that a result is wanted on, and the part of it that is looked at; elsewhere nothing is found.

    Attributes:
        scan: the scan.
        grid: of the result; its axes run along the scan's, whatever their order.
        region: voxels of the scan that are looked at.

    Raises:
        GridError: the grid and the region, or the scan, have nothing in common; or it is too large for this machine.
    """

    scan: Scan
    grid: Grid
    region: Box

    @classmethod
    def of(cls, scan: Scan, grid: Grid | None = None, region: Box | None = None) -> "Target":
        """By default the scan's own grid, and all of it."""
        return cls(scan, grid or scan.grid, region or Box.whole(scan.grid.shape))

    def __post_init__(self) -> None:
        _check_size(self.scan, self.grid)
        if self.box.empty:
            what = "the region" if self.grid is self.scan.grid else "the grid of the result"
            raise GridError(f"{self.scan.name}: {what} lies outside the scan")

    @property
    def is_whole_scan(self) -> bool:
        """All of the scan, on its own voxels."""
        return self.grid is self.scan.grid and self.region == Box.whole(self.grid.shape)

    @cached_property
    def box(self) -> Box:
        """The voxels of the grid that are looked at: those in the region, and of a coarser grid those that reach into
        the scan."""
        mapping, sides = axis_map(self.scan.grid, self.grid), []
        for axis, scan_axis in enumerate(mapping.axes):
            reach = max(abs(mapping.scale[axis]), 1) / 2 + 1e-6
            first, stop, length = (
                self.region.start[scan_axis],
                self.region.stop[scan_axis],
                self.scan.grid.shape[scan_axis],
            )
            low = first - 0.5 if first > 0 else -reach
            high = stop - 0.5 if stop < length else length - 1 + reach
            positions = mapping.positions(axis, self.grid.shape[axis])
            inside = np.flatnonzero((positions >= low) & (positions < high))
            sides.append((int(inside[0]), int(inside[-1]) + 1) if len(inside) else (0, 0))
        return Box(triple(first for first, _ in sides), triple(stop for _, stop in sides))

    @property
    def box_grid(self) -> Grid:
        """The grid of the voxels that are looked at."""
        return self.grid.part(self.box.start, self.box.shape)

    def needed(self, model_grid: Grid) -> Box:
        """The voxels of the model grid that lie around those that are looked at."""
        mapping = axis_map(model_grid, self.box_grid)
        starts, stops = [0, 0, 0], [0, 0, 0]
        for axis, model_axis in enumerate(mapping.axes):
            places = mapping.positions(axis, self.box.shape[axis]).clip(0, model_grid.shape[model_axis] - 1)
            starts[model_axis] = math.floor(places.min())
            stops[model_axis] = math.ceil(places.max()) + 1
        return Box(triple(starts), triple(stops))

    def seen_scan(self) -> Scan:
        """The scan on this grid: HU interpolated, air beyond its ends."""
        if self.grid is self.scan.grid:
            return self.scan
        inside = Target.of(self.scan, self.grid).box
        part = self.grid.part(inside.start, inside.shape)
        voxels = np.full(self.grid.shape, AIR_HU, dtype=self.scan.voxels.dtype)
        source = torch.as_tensor(np.ascontiguousarray(self.scan.voxels))
        values = resample_linear(source, self.scan.grid, part).numpy()
        voxels[inside.slices()] = _as_stored(values, voxels.dtype)
        return replace(self.scan, voxels=voxels, grid=self.grid, geometry=None, dicom=None)

    def maps_part(self, maps: ClassMaps) -> ClassMaps:
        """Maps on this grid; of these the part that is looked at, in the same memory."""
        return replace(maps.cropped(self.box), scan=None)

    def pasted(self, labels: NDArray[np.unsignedinteger]) -> NDArray[np.unsignedinteger]:
        """Labels of the voxels that are looked at, on the whole grid."""
        if labels.shape == self.grid.shape:
            return labels
        result = np.zeros(self.grid.shape, dtype=labels.dtype)
        result[self.box.slices()] = labels
        return result


def nearest_on(result: Segmentation, grid: Grid) -> Segmentation:
    """A result on a grid whose axes run in other directions: each voxel gets what the nearest of its own voxels has.

    That is coarser than deciding on the grid itself, but the way back from the network works axis by axis.

    Raises:
        GridError: the grid lies outside the result's, or is too large for this machine.
    """
    logger.info("the grid is turned against the scan's: labels are those of the nearest voxel of the scan")
    if result.scan is not None:
        _check_size(result.scan, grid)
    where = _Voxels(result.grid, grid)
    labels = where.nearest(result.labels, 0)
    if not where.any_inside:
        raise GridError(f"{result.scan.name if result.scan else 'scan'}: the grid of the result lies outside the scan")
    scan, maps = result.scan, result.class_maps
    if scan is not None:
        scan = scan_on(scan, grid)
    if maps is not None:
        # first axis fastest, as files have it
        values_KXYZ = scratch_array((len(maps.names), *reversed(grid.shape)), maps.values_KXYZ.dtype)
        values_KXYZ = values_KXYZ.transpose(0, 3, 2, 1)
        for target_XYZ, values_XYZ in zip(values_KXYZ, maps.values_KXYZ, strict=True):
            target_XYZ[:] = where.nearest(values_XYZ, UNSEEN_LOGIT if maps.kind == "logits" else 0)
        maps = replace(maps, values_KXYZ=values_KXYZ, grid=grid, scan=scan)
    return replace(result, labels=labels, grid=grid, scan=scan, class_maps=maps, looked_at=None)


def scan_on(scan: Scan, grid: Grid, fill: float = AIR_HU) -> Scan:
    """A scan interpolated on a grid whose axes run in any direction, ``fill`` beyond its ends."""
    voxels = _Voxels(scan.grid, grid).linear(scan.voxels, fill)
    return replace(scan, voxels=voxels, grid=grid, geometry=None, dicom=None)


class _Voxels:
    """Where the voxels of one grid lie in another, plane by plane, so that places never take much memory."""

    def __init__(self, source: Grid, grid: Grid) -> None:
        self.shape, self.step = grid.shape, np.linalg.solve(source.affine, grid.affine)
        self.source_shape = source.shape
        self.any_inside = False

    def nearest(self, values_XYZ: NDArray[Value], fill: float) -> NDArray[Value]:
        """The nearest value, ``fill`` beyond the source."""
        result = np.full(self.shape, fill, dtype=values_XYZ.dtype)
        for plane in range(self.shape[2]):
            index, inside = self._places(plane)
            self.any_inside |= bool(inside.any())
            result[:, :, plane][inside] = values_XYZ[tuple(np.rint(index[:, inside]).astype(np.int64))]
        return result

    def linear(self, values_XYZ: NDArray[np.generic], fill: float) -> NDArray[np.generic]:
        """Trilinear interpolation, ``fill`` beyond the source."""
        result = np.empty(self.shape, dtype=values_XYZ.dtype)
        for plane in range(self.shape[2]):
            places, inside = self._places(plane)
            found = ndimage.map_coordinates(values_XYZ, places, np.float32, order=1, mode="nearest")
            result[:, :, plane] = np.where(inside, _as_stored(found, values_XYZ.dtype), fill)
        return result

    def _places(self, plane: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Places [3, X, Y] in the source of the voxels of a plane, and which of them lie in a voxel of it."""
        x, y = np.indices(self.shape[:2], dtype=np.float64, sparse=True)
        places = np.stack([row[0] * x + row[1] * y + row[2] * plane + row[3] for row in self.step[:3]])
        ends = np.array(self.source_shape)[:, None, None] - 0.5
        return places, np.asarray(((places > -0.5) & (places < ends)).all(axis=0))


def _as_stored(values: NDArray[np.floating], dtype: np.dtype[np.generic]) -> NDArray[np.generic]:
    return np.rint(values).astype(dtype) if np.issubdtype(dtype, np.integer) else values.astype(dtype)


def _check_size(scan: Scan, grid: Grid) -> None:
    if grid is scan.grid:
        return
    needed = math.prod(grid.shape) * 8  # labels, HU, and HU once more
    if are_parallel(scan.grid, grid):
        needed = max(needed, bytes_to_resample(scan.grid, grid))
    what, remedy = f"{scan.name}: the result would have", "give a larger spacing, or a smaller grid"
    refuse_too_large(grid, needed, torch.device("cpu"), what, remedy)
