"""Counting and looking up plane by plane: numpy makes 8-byte copies of whole index arrays, which a large CT feels."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def count_voxels(numbers_XYZ: NDArray[Any], count: int) -> NDArray[np.int64]:
    """How often each of the numbers 0..count-1 occurs."""
    counts = np.zeros(count, np.int64)
    for plane in numbers_XYZ:
        counts += np.bincount(plane.ravel(), minlength=count)
    return counts


def look_up(table: NDArray[Any], numbers_XYZ: NDArray[Any]) -> NDArray[Any]:
    """``table[numbers_XYZ]``."""
    result = np.empty(numbers_XYZ.shape, table.dtype)
    for plane, numbers in zip(result, numbers_XYZ, strict=True):
        plane[...] = table[numbers]
    return result
