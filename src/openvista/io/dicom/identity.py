"""Whom a DICOM object belongs to, what made it, and its UIDs."""

import copy
import uuid
from collections.abc import Mapping

from pydicom import Dataset
from pydicom.valuerep import format_number_as_ds

from openvista.dicom_slices import DicomSlices
from openvista.errors import OutputError
from openvista.geometry.grid import Float3, Grid
from openvista.io.dicom.frames import original_slices
from openvista.scan import Scan, Segmentation

MANUFACTURER = "OpenVISTA"

STUDY_ATTRIBUTES = (
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "ReferringPhysicianName",
)
"""Every object has them, if only empty (type 2 in PS3.3, C.7.1.1 and C.7.2.1)."""

_REFERENCES = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
_COPIED = (
    *_REFERENCES,
    "Modality",
    "FrameOfReferenceUID",
    "PositionReferenceIndicator",
    "SliceThickness",
    "NumberOfFrames",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
    "DimensionOrganizationSequence",
    "DimensionIndexSequence",
    "LossyImageCompression",
    "LossyImageCompressionRatio",
    "LossyImageCompressionMethod",
)


def scan_of(segmentation: Segmentation) -> tuple[Scan, DicomSlices]:
    """The scan of a segmentation, and its slices.

    Raises:
        OutputError: it does not come from DICOM.
    """
    scan = segmentation.scan
    if scan is None or scan.dicom is None:
        name = "this segmentation" if scan is None else f"scan {scan.name}"
        raise OutputError(
            f"{name} was not read from DICOM, so there are no slices for a DICOM result to refer to: segment the DICOM "
            "series itself, or choose another format such as nii.gz or seg.nrrd"
        )
    return scan, scan.dicom


def new_uid(*parts: object) -> str:
    """A UID that is the same whenever the parts are (PS3.5, B.2: ``2.25.`` and a UUID as a number)."""
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, chr(0).join(map(str, parts))).int}"


def source_headers(slices: DicomSlices, grid: Grid, keep_identifiers: bool) -> list[Dataset]:
    """Headers of the original instances with what a result takes over, and no more.

    Args:
        slices: of the scan.
        grid: of the scan.
        keep_identifiers: with all that the first header says of patient and study. Without, its attributes are there
            but empty, apart from UIDs.

    Returns:
        One per original slice, in their order; a single one for a multi-frame instance.

    Raises:
        OutputError: a series of several multi-frame objects, or without the UIDs that a reference needs.
    """
    kept = original_slices(slices)
    instances = list(dict.fromkeys(one.instance for one in kept))
    if len(instances) > 1 and any("NumberOfFrames" in slices.headers[index] for index in instances):
        raise OutputError("a series of several multi-frame objects cannot take DICOM results: write nii.gz or seg.nrrd")
    position_of = {one.instance: one.position for one in kept}
    headers = [_reference(slices, index, position_of[index], grid) for index in instances]
    for header in headers:
        _add_study(header, slices.headers[instances[0]], keep_identifiers)
    return headers


def _reference(slices: DicomSlices, index: int, position: Float3, grid: Grid) -> Dataset:
    original, header = slices.headers[index], Dataset()
    for keyword in _COPIED:
        if keyword in original:
            header[keyword] = original[keyword]
    missing = [keyword for keyword in _REFERENCES if not header.get(keyword)]
    if missing:
        raise OutputError(f"the DICOM series has no {', '.join(missing)}: results could not refer to it")
    header.Modality = header.get("Modality") or "CT"
    if not header.get("FrameOfReferenceUID"):
        header.FrameOfReferenceUID = new_uid("frame of reference", header.SeriesInstanceUID)
    header.Rows, header.Columns = slices.rows, slices.columns
    if "NumberOfFrames" not in header:
        header.ImageOrientationPatient = [format_number_as_ds(value) for value in slices.orientation]
        header.ImagePositionPatient = [format_number_as_ds(float(value)) for value in position]
        header.PixelSpacing = [format_number_as_ds(float(grid.spacing[axis])) for axis in (1, 0)]
        header.SliceThickness = header.get("SliceThickness") or format_number_as_ds(float(grid.spacing[2]))
    return header


def _add_study(header: Dataset, original: Dataset, keep_identifiers: bool) -> None:
    """Patient and study, all of it or empty; text in UTF-8, which holds every name."""
    if keep_identifiers:
        for element in original:
            if element.tag not in header and element.tag.group in (0x0008, 0x0010, 0x0012, 0x0020, 0x0032):
                header[element.tag] = copy.copy(element)
    for keyword in STUDY_ATTRIBUTES:
        value = header.get(keyword)
        setattr(header, keyword, "" if value is None else str(value))
    header.SpecificCharacterSet = "ISO_IR 192"


def weights_of(provenance: Mapping[str, object]) -> str:
    """The SHA-256 of the weights that made a segmentation; "unknown" where nobody wrote it down."""
    return str(provenance.get("weights_sha256") or "unknown")
