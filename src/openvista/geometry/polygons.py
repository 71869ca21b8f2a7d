"""Closed contours filled, by the even-odd rule. Needs no torch."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray


def fill_contours(contours: Iterable[NDArray[np.float64]], rows: int, columns: int) -> NDArray[np.bool_]:
    """[row, column] pixels whose centre lies in an odd number of contours.

    Args:
        contours: [N, 2] column and row in pixels, whole numbers at pixel centres; closed, the first point not repeated.
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
