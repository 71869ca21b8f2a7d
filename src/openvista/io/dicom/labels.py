"""Labels from whichever DICOM object holds them: a segmentation or an RT structure set, told apart by its class."""

from pathlib import Path

from pydicom import dcmread
from pydicom.errors import InvalidDicomError
from pydicom.uid import UID

from openvista.errors import ScanError, first_line
from openvista.geometry.grid import Grid
from openvista.io.dicom.instances import UNREADABLE
from openvista.io.dicom.read_rtstruct import read_rtstruct
from openvista.io.dicom.read_seg import SEG_CLASSES, read_seg
from openvista.io.dicom.rtstruct import RTSTRUCT_STORAGE
from openvista.io.raw import MAX_VOXELS
from openvista.scan import Segmentation

_REFERENCES = ["SOPClassUID", "ReferencedSeriesSequence", "ReferencedFrameOfReferenceSequence"]


def referenced_series(path: Path) -> str | None:
    """The UID of the CT series that a segmentation or structure set was drawn on; "" where it does not say.

    ``None`` if it is neither, or cannot be read.
    """
    try:
        header = dcmread(path, specific_tags=_REFERENCES, stop_before_pixels=True, force=True)
        kind = UID(header.get("SOPClassUID", ""))
        if kind in SEG_CLASSES:
            series = header.get("ReferencedSeriesSequence") or []
        elif kind == RTSTRUCT_STORAGE:
            frames = header.get("ReferencedFrameOfReferenceSequence") or []
            studies = [study for frame in frames for study in frame.get("RTReferencedStudySequence") or []]
            series = [one for study in studies for one in study.get("RTReferencedSeriesSequence") or []]
        else:
            return None
        return str(series[0].get("SeriesInstanceUID", "")) if series else ""
    except (OSError, *UNREADABLE):
        return None


def read_dicom_labels(path: Path, grid: Grid | None, *, max_voxels: int = MAX_VOXELS) -> Segmentation:
    """Read a DICOM Segmentation or an RT Structure Set.

    Args:
        path: the file.
        grid: of the scan; a structure set needs it, a segmentation does without.
        max_voxels: a larger one is refused.

    Raises:
        ScanError: neither of both, or a structure set without a grid; otherwise as for the readers of each.
        GridError: it lies beside the grid.
    """
    if not path.is_file():
        raise ScanError(f"{path}: not a label map; give the file of a DICOM segmentation or RT structure set")
    try:
        header = dcmread(path, specific_tags=["SOPClassUID"], stop_before_pixels=True, force=True)  # may lack "DICM"
        if not header.get("SOPClassUID"):
            raise InvalidDicomError("no object")
        kind = UID(header.SOPClassUID)
    except (OSError, *UNREADABLE) as error:
        raise ScanError(f"{path}: not a DICOM file that can be read: {first_line(error)}") from error
    if kind in SEG_CLASSES:
        return read_seg(path, grid, max_voxels=max_voxels)
    if kind != RTSTRUCT_STORAGE:
        raise ScanError(f"{path}: is DICOM {kind.name}, which holds no labels; give a segmentation or structure set")
    if grid is None:
        raise ScanError(f"{path}: an RT structure set holds contours, no voxels: it is read with its scan only")
    return read_rtstruct(path, grid)
