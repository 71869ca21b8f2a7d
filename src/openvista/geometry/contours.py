"""Contours of a mask in one plane, and back. Needs no torch.

Outlines run half-way between pixels; a hole is a contour of its own or a key-hole. Inside is what lies in an odd number
of contours.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from openvista.errors import needs_extra

Contour = NDArray[np.float64]
"""[N, 2] column and row in pixels, whole numbers at pixel centres; closed, the first point is not repeated."""


def contours_of(mask: NDArray[np.bool_], keyhole: bool = False) -> list[Contour]:
    """The outlines of a mask [row, column]. Pixels that touch by a corner only are apart.

    Args:
        mask: the pixels.
        keyhole: join a hole to the contour around it by a channel without width. Otherwise inside is what lies in an
            odd number of contours.

    Raises:
        MissingExtraError: scikit-image is not installed.
    """
    with needs_extra("skimage", "dicom", "write contours"):
        from skimage.measure import find_contours
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return []
    corner = np.array([rows[0], columns[0]])
    crop = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    exact = [points[:-1] for points in find_contours(np.pad(crop, 1).astype(np.float32), 0.5)]
    if keyhole:
        exact = _with_keyholes(exact)
    return [(_corners(points) - 1 + corner)[:, ::-1] for points in exact]


def fill_contours(contours: Iterable[Contour], rows: int, columns: int) -> NDArray[np.bool_]:
    """[row, column] pixels whose centre lies in an odd number of contours: the way back from :func:`contours_of`.

    Args:
        contours: closed ones.
        rows, columns: of the plane; contours may reach beyond it.
    """
    crossings = np.zeros((rows, columns + 1), dtype=np.int32)
    for points in contours:
        x, y = points.T
        ahead_x, ahead_y = np.roll(x, -1), np.roll(y, -1)
        first = np.ceil(np.minimum(y, ahead_y)).clip(0, rows).astype(np.intp)
        counts = np.ceil(np.maximum(y, ahead_y)).clip(0, rows).astype(np.intp) - first  # rows that an edge crosses
        edge = np.repeat(np.arange(len(points)), counts)
        row = np.arange(len(edge)) - np.repeat(np.cumsum(counts) - counts, counts) + first[edge]
        share = (row - y[edge]) / (ahead_y - y)[edge]
        column = np.ceil(x[edge] + share * (ahead_x - x)[edge]).clip(0, columns).astype(np.intp)
        np.add.at(crossings, (row, column), 1)
    return np.asarray(np.cumsum(crossings[:, :columns], axis=1) % 2 == 1)


def _corners(points: Contour) -> Contour:
    """A closed contour without the points that lie on a straight line between their neighbours."""
    before, after = points - np.roll(points, 1, axis=0), np.roll(points, -1, axis=0) - points
    turns = np.abs(before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]) > 1e-9
    back = (before * after).sum(axis=1) < 0  # the ends of a key-hole's channel
    return points[turns | back]


def _with_keyholes(contours: list[Contour]) -> list[Contour]:
    """Outer contours, each joined with the holes directly in it."""
    depth_of = [sum(_holds(outer, inner) for outer in contours if outer is not inner) for inner in contours]
    joined = []
    for outer, depth in zip(contours, depth_of, strict=True):
        if depth % 2 == 0:
            holes = [
                inner
                for inner, own in zip(contours, depth_of, strict=True)
                if own == depth + 1 and _holds(outer, inner)
            ]
            joined.append(_joined(outer, holes))
    return joined


def _joined(outer: Contour, holes: list[Contour]) -> Contour:
    """One contour, from the outer one along a channel round each hole and back; the nearest hole first."""
    while holes:
        nearest = [_nearest_points(outer, hole) for hole in holes]
        which = min(range(len(holes)), key=lambda index: nearest[index][0])
        _, here, there = nearest[which]
        hole = np.roll(holes.pop(which), -there, axis=0)
        outer = np.concatenate([outer[: here + 1], hole, hole[:1], outer[here:]])
    return outer


def _nearest_points(outer: Contour, hole: Contour) -> tuple[float, int, int]:
    squares = ((outer[:, None] - hole[None]) ** 2).sum(axis=-1)
    here, there = np.unravel_index(int(squares.argmin()), squares.shape)
    return float(squares.min()), int(here), int(there)


def _holds(outer: Contour, inner: Contour) -> bool:
    """Whether a contour lies in another one; contours of a mask do not cross, so a point tells."""
    x, y = inner[0]
    ahead = np.roll(outer, -1, axis=0)
    crosses = (outer[:, 1] > y) != (ahead[:, 1] > y)
    rise = np.where(crosses, ahead[:, 1] - outer[:, 1], 1.0)
    at = outer[:, 0] + (y - outer[:, 1]) / rise * (ahead[:, 0] - outer[:, 0])
    return bool(np.count_nonzero(crosses & (at > x)) % 2)
