"""Which DICOM instance and frame each slice of a scan came from: what results need to lie on the original slices."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from openvista.geometry.grid import Float3

if TYPE_CHECKING:
    from pydicom import Dataset


@dataclass(frozen=True)
class DicomSlice:
    """One slice of a series.

    Attributes:
        instance: index into :attr:`DicomSlices.headers`.
        frame: index of the frame in a multi-frame instance; 0 in others.
        position: mm, LPS: centre of the slice's first pixel (Image Position (Patient)).
        shift: columns and rows. A slice of a scan with a tilted gantry lies sheared in its own plane: voxel (i, j) of
            the scan's grid is pixel (i + shift[0], j + shift[1]) of the slice. (0, 0) without tilt.
    """

    instance: int
    frame: int
    position: Float3
    shift: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True, eq=False)
class DicomSlices:
    """The series that a scan was read from.

    The scan's array is [column, row, slice]; its third axis is in the order of ``slices``.

    Attributes:
        headers: of each instance, without pixel data. They hold what identifies the patient: write it only where a
            format needs it and somebody asked for it.
        slices: one per slice of the scan; ``None`` where a missing slice was filled by interpolation.
        orientation: direction cosines of a row and of a column, LPS (Image Orientation (Patient)).
        columns, rows: size of the original frames; the scan's grid is larger in plane where a tilt was undone.
    """

    headers: "tuple[Dataset, ...]" = field(repr=False)
    slices: tuple[DicomSlice | None, ...]
    orientation: tuple[float, float, float, float, float, float]
    columns: int
    rows: int
