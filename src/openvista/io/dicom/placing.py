"""Planes of pixels in the patient: which grid they span, and their labels on a grid, by geometry and not by order."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from openvista.errors import ScanError
from openvista.geometry.grid import Float3, Grid

logger = logging.getLogger(__name__)

_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""From LPS to RAS and back."""

_PARALLEL = 1e-3
"""By how much a step from pixel to pixel may differ from a step from voxel to voxel, in voxels."""


@dataclass(frozen=True)
class Plane:
    """Where the pixels of a frame lie (PS3.3, C.7.6.2.1.1).

    Attributes:
        position: of the first pixel's centre, mm, LPS.
        orientation: direction cosines of a row and of a column.
        spacing: mm between rows and between columns (Pixel Spacing).
        rows, columns: of the frame.
    """

    position: Float3
    orientation: tuple[float, float, float, float, float, float]
    spacing: tuple[float, float]
    rows: int
    columns: int

    @property
    def axes(self) -> NDArray[np.float64]:
        """[3, 2] step of one column and of one row, mm, LPS."""
        cosines = np.array(self.orientation).reshape(2, 3)
        return np.asarray((cosines * np.array(self.spacing[::-1])[:, None]).T)

    @property
    def normal(self) -> NDArray[np.float64]:
        row, column = np.array(self.orientation).reshape(2, 3)
        return np.asarray(np.cross(row, column))


def grid_of_planes(planes: Sequence[Plane], between: float | None, source: object) -> Grid:
    """The smallest grid [column, row, slice] that holds parallel planes; slices that are left out get their place.

    Args:
        planes: in any order, each as often as it likes.
        between: mm between slices, where the object says it; otherwise the smallest distance of two planes.
        source: of the planes, for messages.

    Raises:
        ScanError: planes are not parallel, or do not lie at equal distances.
    """
    first = planes[0]
    if any(
        not np.allclose(one.orientation, first.orientation, atol=1e-3) or not np.allclose(one.spacing, first.spacing)
        for one in planes
    ):
        raise ScanError(f"{source}: its frames are not parallel or differ in spacing; give one volume per file")
    depths = np.array([np.dot(one.position, first.normal) for one in planes])
    steps = np.diff(np.unique(np.round(depths, 3)))
    distance = float(steps.min()) if steps.size else (between or 1.0)
    if between and abs(distance / between - round(distance / between)) < 0.05:
        distance = distance / max(1, round(distance / between))  # every second slice is there, for example
    places = (depths - depths.min()) / distance
    if np.abs(places - np.rint(places)).max() > 0.1:
        raise ScanError(f"{source}: its frames do not lie at equal distances, so they are no volume")
    lowest = planes[int(depths.argmin())]
    offsets = np.array([_in_plane(np.subtract(one.position, lowest.position), first) for one in planes])
    start, stop = np.floor(offsets.min(axis=0)), np.ceil(offsets.max(axis=0))  # beyond 0 where a gantry was tilted
    affine = np.eye(4)
    affine[:3, :2], affine[:3, 2] = first.axes, first.normal * distance
    affine[:3, 3] = lowest.position + first.axes @ start
    columns, rows = (stop - start).astype(int) + np.array([first.columns, first.rows])
    return Grid((int(columns), int(rows), int(np.rint(places.max())) + 1), _RAS @ affine)


def _in_plane(step: NDArray[np.float64], plane: Plane) -> NDArray[np.float64]:
    """A step in mm as columns and rows."""
    return np.asarray(np.rint(np.linalg.pinv(plane.axes) @ step * 1e4) / 1e4)


def share_axes(plane: Plane, own: Grid, grid: Grid) -> bool:
    """Whether pixels of planes are voxels of a grid, up to a shift: parallel axes, equal spacing.

    Args:
        plane: one of parallel ones.
        own: the grid that they span.
        grid: the other one.
    """
    steps, _ = _voxel_steps(plane, grid)
    across = np.linalg.inv(grid.affine)[:3, :3] @ own.affine[:3, 2]
    steps = np.column_stack([steps, across])
    whole = np.rint(steps)
    return bool(
        np.abs(steps - whole).max() < _PARALLEL and np.abs(np.linalg.det(whole)) == 1 and np.abs(whole).sum() == 3
    )


def voxels_of(
    plane: Plane, pixels: NDArray[np.generic], grid: Grid
) -> tuple[tuple[NDArray[np.intp], ...], NDArray[np.generic]]:
    """Which voxels the pixels of a plane are, apart from those that are 0.

    Args:
        plane: along axes of the grid, at its spacing.
        pixels: [row, column].
        grid: what lies beside it is left out.

    Returns:
        ``(voxels, values)``: index arrays along the three axes, and the pixel of each.
    """
    rows, columns = np.nonzero(pixels)
    steps, first = _voxel_steps(plane, grid)
    start = np.floor(first + 0.5)
    places = (start + np.outer(columns, np.rint(steps[:, 0])) + np.outer(rows, np.rint(steps[:, 1]))).astype(np.intp)
    inside = ((places >= 0) & (places < grid.shape)).all(axis=1)
    x, y, z = places[inside].T
    return (x, y, z), pixels[rows[inside], columns[inside]]


def _voxel_steps(plane: Plane, grid: Grid) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Steps of a column and of a row [3, 2] in voxels, and the voxel of the first pixel [3]."""
    inverse = np.linalg.inv(grid.affine) @ _RAS
    return inverse[:3, :3] @ plane.axes, inverse[:3, :3] @ np.array(plane.position) + inverse[:3, 3]


class Painting:
    """A label map that structures are painted on, one after another; later ones lie on top.

    Args:
        grid: of the label map.
        names: of all ids that will be painted.
    """

    def __init__(self, grid: Grid, names: Mapping[int, str]) -> None:
        self.grid, self._names = grid, names
        dtype = np.uint8 if max(names, default=0) <= np.iinfo(np.uint8).max else np.uint16
        self.labels_XYZ: NDArray[np.unsignedinteger] = np.zeros(grid.shape, dtype=dtype)
        self._lost: Counter[tuple[int, int]] = Counter()

    def put(self, voxels: tuple[NDArray[np.intp], ...], label_id: int) -> None:
        """Paint voxels of one structure, by index arrays along the three axes."""
        under, counts = np.unique(self.labels_XYZ[voxels], return_counts=True)
        for below, count in zip(under.tolist(), counts.tolist(), strict=True):
            if below not in (0, label_id):
                self._lost[label_id, below] += count
        self.labels_XYZ[voxels] = label_id

    def warn(self, source: object) -> None:
        """Log what was painted over."""
        for (top, below), count in self._lost.items():
            logger.warning(
                "%s: %d voxels of %s are given to %s, which lies over it",
                source,
                count,
                self._names[below],
                self._names[top],
            )


def nearest_labels(labels: NDArray[np.unsignedinteger], source: Grid, target: Grid) -> NDArray[np.unsignedinteger]:
    """Labels on another grid, turned as it may be: the nearest voxel, 0 outside."""
    result = np.zeros(target.shape, dtype=labels.dtype)
    step = np.linalg.inv(source.affine) @ target.affine
    i, j = (index.ravel() for index in np.indices(target.shape[:2]))
    plane = np.stack([i, j], axis=1) @ step[:3, :2].T + step[:3, 3]
    for k in range(target.shape[2]):  # plane by plane: places of all voxels of a CT would be gigabytes
        voxels = np.floor(plane + step[:3, 2] * k + 0.5).astype(np.intp)
        inside = ((voxels >= 0) & (voxels < source.shape)).all(axis=1)
        x, y, z = voxels[inside].T
        result[i[inside], j[inside], k] = labels[x, y, z]
    return result
