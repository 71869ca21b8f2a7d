"""How the slices of a series lie: their order, their distance, gaps, and the tilt of a gantry."""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from openvista.errors import MissingSlicesError, ScanError
from openvista.geometry.grid import Axis3
from openvista.io.dicom.instances import ImageFrame
from openvista.io.dicom.series import SAME_PLACE_MM, Series

logger = logging.getLogger(__name__)

_ROUNDING_MM = 0.051  # some scanners store positions with one decimal
_UNEVEN = 0.02  # of the distance between slices: less moves no voxel to another place
_PERPENDICULAR = 0.01
_MOST_GAPS = 0.5  # share of slices that may be missing; beyond it the distances vary
_THICKNESS_MM = 1.0  # of a single slice whose header does not say

_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0])


@dataclass(frozen=True, eq=False)
class Stack:
    """A regular grid, and where each frame lies on it.

    Attributes:
        shape: columns, rows, slices of the grid; larger in plane than a frame where a tilt is undone.
        affine: voxel [column, row, slice] to RAS+ mm.
        frames: those of the series, in the order of slices.
        places: slice index of each of them; two frames of one place are duplicates.
        shifts: [frame, 2] columns and rows: voxel (i, j) is pixel (i + shift[0], j + shift[1]) of the frame.
        missing: slice indices without a frame.
        rows, columns: size of a frame.
        orientation: direction cosines of a row and of a column, LPS; perpendicular unit vectors.
    """

    shape: Axis3
    affine: NDArray[np.float64]
    frames: tuple[ImageFrame, ...]
    places: tuple[int, ...]
    shifts: NDArray[np.float64]
    missing: tuple[int, ...]
    rows: int
    columns: int
    orientation: tuple[float, float, float, float, float, float]


def stack_of(series: Series, fill_gaps: bool, path: Path) -> Stack:
    """Lay the slices of a CT series on a regular grid.

    Args:
        series: a CT that is not left out: every frame has position, orientation and spacing.
        fill_gaps: accept missing slices, to be interpolated.
        path: for messages.

    Raises:
        MissingSlicesError: slices are missing, and are not to be filled.
        ScanError: orientation that is none, distances that vary.
    """
    orientation = _cosines(series, path)
    row, column = orientation[:3], orientation[3:]
    normal = np.cross(row, column)
    points = np.array([frame.position for frame in series.frames])
    order = np.lexsort((points @ column, points @ row, points @ normal))
    frames, points = tuple(series.frames[index] for index in order), points[order]
    along = points @ normal
    distance, places = _distances(series, along, path)
    count = int(places[-1]) + 1
    missing = tuple(sorted(set(range(count)) - set(places.tolist())))
    if missing:
        _judge_gaps(missing, along[0] + np.array(missing) * distance, normal, fill_gaps, path)
    row_mm, column_mm = frames[0].spacing or (1.0, 1.0)
    in_plane = np.stack([points @ row / column_mm, points @ column / row_mm], axis=1)
    shifts, extra = _shifts(in_plane, along, (column_mm, row_mm), path)
    first = points[0] + (shifts[0, 0] * column_mm) * row + (shifts[0, 1] * row_mm) * column
    affine = np.eye(4)
    affine[:3, :3] = _LPS_TO_RAS @ np.stack([row * column_mm, column * row_mm, normal * distance], axis=1)
    affine[:3, 3] = _LPS_TO_RAS @ first
    return Stack(
        shape=(series.columns + extra[0], series.rows + extra[1], count),
        affine=affine,
        frames=frames,
        places=tuple(places.tolist()),
        shifts=shifts,
        missing=missing,
        rows=series.rows,
        columns=series.columns,
        orientation=tuple(orientation.tolist()),
    )


def _cosines(series: Series, path: Path) -> NDArray[np.float64]:
    """Perpendicular unit vectors of a row and a column.

    Raises:
        ScanError: what the header says is far from it.
    """
    stored = np.array(series.frames[0].orientation)
    lengths = np.linalg.norm(stored.reshape(2, 3), axis=1)
    if abs(lengths - 1).max() > _PERPENDICULAR or abs(stored[:3] @ stored[3:]) > _PERPENDICULAR:
        raise ScanError(f"{path}: Image Orientation (Patient) {stored.tolist()} is no pair of perpendicular directions")
    row = stored[:3] / lengths[0]
    column = stored[3:] - (stored[3:] @ row) * row
    return np.concatenate([row, column / np.linalg.norm(column)])


def _distances(series: Series, along: NDArray[np.float64], path: Path) -> tuple[float, NDArray[np.int64]]:
    """mm between slices, and the index of each slice on a regular row of them, from its place along the normal.

    Raises:
        ScanError: the distances vary.
    """
    steps = np.diff(along)
    steps = np.sort(steps[steps > SAME_PLACE_MM])
    if not len(steps):
        return series.frames[0].thickness or _THICKNESS_MM, np.zeros(len(along), dtype=np.int64)
    from_first = along - along[0]
    distance = float(steps[(len(steps) - 1) // 2])  # the most common one, also where a few slices are missing
    distance = float(from_first[-1] / round(from_first[-1] / distance))
    places = np.round(from_first / distance).astype(np.int64)
    uneven = np.abs(from_first - places * distance).max()
    if uneven > max(_ROUNDING_MM, _UNEVEN * distance) or len(steps) + 1 < _MOST_GAPS * (places[-1] + 1):
        raise ScanError(
            f"{path}: the distance between slices varies from {steps[0]:.4g} to {steps[-1]:.4g} mm; "
            "reconstruct the series with one distance, or segment its parts as series of their own"
        )
    return distance, places


def _judge_gaps(
    missing: tuple[int, ...], along: NDArray[np.float64], normal: NDArray[np.float64], fill_gaps: bool, path: Path
) -> None:
    axis = next((letter for letter, part in zip("xyz", normal, strict=True) if abs(part) > 0.9999), None)
    where = f"{axis} = " if axis else ""
    sign = normal["xyz".index(axis)] if axis else 1.0
    shown = ", ".join(f"{where}{sign * place:.4g} mm" for place in along[:5]) + (", ..." if len(missing) > 5 else "")
    along_normal = "" if axis else " along the normal"
    count = "1 slice is" if len(missing) == 1 else f"{len(missing)} slices are"
    found = f"{path}: {count} missing, at {shown}{along_normal}"
    if not fill_gaps:
        raise MissingSlicesError(found, "get the whole series, or have them interpolated with --fill-gaps")
    logger.warning("%s: interpolated", found)


def _shifts(
    in_plane: NDArray[np.float64], along: NDArray[np.float64], spacing: tuple[float, float], path: Path
) -> tuple[NDArray[np.float64], tuple[int, int]]:
    """Columns and rows by which each slice lies off a common grid, and by how many the grid is larger than a slice.

    Raises:
        ScanError: the slices hardly lie above each other.
    """
    first, last = in_plane.min(axis=0), in_plane.max(axis=0)
    if ((last - first) * spacing).max() <= 2 * _ROUNDING_MM:
        return np.zeros_like(in_plane), (0, 0)
    span = np.abs((in_plane[-1] - in_plane[0]) * spacing)
    degrees = np.degrees(np.arctan2(np.linalg.norm(span), along[-1] - along[0]))
    logger.info("%s: tilted by %.1f degrees; each slice is shifted in its plane", path, degrees)
    extra = np.ceil(last - first - 1e-6).astype(int)
    return np.round(first - in_plane, 6), (int(extra[0]), int(extra[1]))
