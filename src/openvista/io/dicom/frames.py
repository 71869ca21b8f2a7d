"""From a scan's grid to the original slices of its series, and where their pixels lie in the patient."""

import numpy as np
from numpy.typing import NDArray

from openvista.dicom_slices import DicomSlice, DicomSlices
from openvista.geometry.grid import Grid


def original_slices(slices: DicomSlices) -> list[DicomSlice]:
    """The slices that are in the series, in the order of the scan's third axis; filled ones are left out."""
    return [one for one in slices.slices if one is not None]


def labels_on_slices(labels_XYZ: NDArray[np.unsignedinteger], slices: DicomSlices) -> NDArray[np.unsignedinteger]:
    """Labels as they lie on the original frames: without filled slices, and with the tilt as it was.

    Args:
        labels_XYZ: [column, row, slice] ids on the scan's grid.
        slices: of the scan.

    Returns:
        [slice, row, column], slices as in :func:`original_slices`; 0 where the scan's grid does not reach. A pixel
        takes the nearest voxel.
    """
    kept = [(index, one) for index, one in enumerate(slices.slices) if one is not None]
    frames = np.zeros((len(kept), slices.rows, slices.columns), dtype=labels_XYZ.dtype)
    for frame, (index, one) in zip(frames, kept, strict=True):
        columns, from_columns = _overlap(slices.columns, labels_XYZ.shape[0], one.shift[0])
        rows, from_rows = _overlap(slices.rows, labels_XYZ.shape[1], one.shift[1])
        frame[rows, columns] = labels_XYZ[from_columns, from_rows, index].T
    return frames


def pixels_to_lps(
    pixels_N2: NDArray[np.floating], one: DicomSlice, slices: DicomSlices, grid: Grid
) -> NDArray[np.float64]:
    """Pixels (column, row) of a slice to millimetres in the patient, LPS [N, 3] (PS3.3, C.7.6.2.1.1).

    Args:
        pixels_N2: positions in pixels; whole numbers are the centres.
        one: the slice.
        slices: its series.
        grid: of the scan, for the spacing.
    """
    axes = np.array(slices.orientation).reshape(2, 3) * np.array(grid.spacing[:2])[:, None]
    return np.asarray(np.asarray(pixels_N2) @ axes + np.array(one.position), dtype=np.float64)


def _overlap(pixels: int, voxels: int, shift: float) -> tuple[slice, slice]:
    """Where pixels meet voxels along one axis: voxel i is pixel i + shift."""
    whole = int(np.floor(shift + 0.5))
    first, stop = max(0, whole), min(pixels, voxels + whole)
    stop = max(first, stop)
    return slice(first, stop), slice(first - whole, stop - whole)
