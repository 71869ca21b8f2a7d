"""Whom a DICOM object belongs to, what made it, and its UIDs."""

import uuid
from collections.abc import Mapping

from pydicom import Dataset
from pydicom.valuerep import format_number_as_ds

from openvista.dicom_slices import DicomSlice, DicomSlices
from openvista.errors import OutputError
from openvista.geometry.grid import Grid
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

_FURTHER_ATTRIBUTES = (
    "IssuerOfPatientID",
    "OtherPatientIDsSequence",
    "PatientBirthTime",
    "PatientAge",
    "PatientSize",
    "PatientWeight",
    "StudyDescription",
)
"""What a PACS may show of patient and study, too."""

_REFERENCES = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
_COPIED = (
    *_REFERENCES,
    "Modality",
    "FrameOfReferenceUID",
    "PositionReferenceIndicator",
    "SliceThickness",
    "NumberOfFrames",
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


def source_headers(slices: DicomSlices, grid: Grid) -> list[Dataset]:
    """Headers of the original instances with what a result refers to. What tells of the patient is there, but empty.

    Args:
        slices: of the scan.
        grid: of the scan.

    Returns:
        One per original slice, in their order; a single one for a multi-frame instance.

    Raises:
        OutputError: a series of several multi-frame objects, or without the UIDs that a reference needs.
    """
    kept = original_slices(slices)
    instances = list(dict.fromkeys(one.instance for one in kept))
    if len(instances) > 1 and any("NumberOfFrames" in slices.headers[index] for index in instances):
        raise OutputError("a series of several multi-frame objects cannot take DICOM results: write nii.gz or seg.nrrd")
    return [_reference(slices, index, grid) for index in instances]


def _reference(slices: DicomSlices, index: int, grid: Grid) -> Dataset:
    """UIDs and geometry of an instance; the geometry as the scan has it, so that all headers agree on it."""
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
    orientation, measures = Dataset(), Dataset()
    orientation.ImageOrientationPatient = list(map(format_number_as_ds, slices.orientation))
    measures.PixelSpacing = [format_number_as_ds(grid.spacing[1]), format_number_as_ds(grid.spacing[0])]
    measures.SliceThickness = header.get("SliceThickness") or format_number_as_ds(grid.spacing[2])
    header.SpecificCharacterSet = "ISO_IR 192"  # UTF-8: it holds every name
    for keyword in STUDY_ATTRIBUTES:
        setattr(header, keyword, "")
    places = {one.frame: _place(one) for one in original_slices(slices) if one.instance == index}
    if "NumberOfFrames" in header:
        shared = Dataset()
        shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = [orientation], [measures]
        header.SharedFunctionalGroupsSequence = [shared]
        header.PerFrameFunctionalGroupsSequence = [
            _frame_group(places.get(frame, next(iter(places.values())))) for frame in range(int(header.NumberOfFrames))
        ]
    else:
        for part in (orientation, measures, places[0]):
            header.update(part)
    return header


def _place(one: DicomSlice) -> Dataset:
    place = Dataset()
    place.ImagePositionPatient = [format_number_as_ds(float(value)) for value in one.position]
    return place


def _frame_group(place: Dataset) -> Dataset:
    """Of a frame; those that are no slice of the scan stay empty, so that their place does not matter."""
    group = Dataset()
    group.PlanePositionSequence = [place]
    return group


def add_identifiers(result: Dataset, slices: DicomSlices) -> None:
    """Whose an object is, as the scan says it. Done last: highdicom quotes names that it finds odd in warnings."""
    original = slices.headers[0]
    for keyword in STUDY_ATTRIBUTES:
        value = original.get(keyword)
        setattr(result, keyword, "" if value is None else str(value))  # as text: names remember another encoding
    for keyword in _FURTHER_ATTRIBUTES:
        if keyword in original:
            result[keyword] = original[keyword]


def weights_of(provenance: Mapping[str, object]) -> str:
    """The SHA-256 of the weights that made a segmentation; "unknown" where nobody wrote it down."""
    return str(provenance.get("weights_sha256") or "unknown")
