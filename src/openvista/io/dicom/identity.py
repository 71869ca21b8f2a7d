"""Whom a DICOM object belongs to, what made it, and its UIDs."""

import uuid
from collections.abc import Iterable, Mapping

from pydicom import DataElement, Dataset
from pydicom.uid import CTImageStorage
from pydicom.valuerep import format_number_as_ds

from openvista.dicom_slices import DicomSlice, DicomSlices
from openvista.errors import OutputError
from openvista.geometry.grid import Grid
from openvista.io.dicom.frames import original_slices

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


def new_uid(*parts: object) -> str:
    """A UID that is the same whenever the parts are (PS3.5, B.2: ``2.25.`` and a UUID as a number)."""
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, chr(0).join(map(str, parts))).int}"


def source_headers(slices: DicomSlices) -> list[Dataset]:
    """Headers of the original instances with what a result refers to. What tells of the patient is there, but empty.

    Args:
        slices: of the scan.

    Returns:
        One per instance that has a slice of the scan, in the order of slices.

    Raises:
        OutputError: a series without the UIDs that a reference needs.
    """
    instances = dict.fromkeys(one.instance for one in original_slices(slices))
    return [_reference(slices.headers[index]) for index in instances]


def slice_headers(slices: DicomSlices, grid: Grid) -> list[Dataset]:
    """Each original slice as if it were an image of its own, with the geometry of the scan, so that all agree on it.

    Args:
        slices: of the scan.
        grid: of the scan.

    Returns:
        One per original slice, in their order. Class and UID of a frame are made up, since highdicom takes one
        multi-frame instance at most: :func:`refer_to_frames` puts the true ones in.

    Raises:
        OutputError: a series without the UIDs that a reference needs.
    """
    references = {index: _reference(header) for index, header in enumerate(slices.headers)}
    return [_slice_header(references[one.instance], one, slices, grid) for one in original_slices(slices)]


def refer_to_frames(result: Dataset, slices: DicomSlices) -> None:
    """In an object that was made of :func:`slice_headers`, name multi-frame instances and their frames instead."""
    frames = [one for one in original_slices(slices) if "NumberOfFrames" in slices.headers[one.instance]]
    if not frames:
        return
    origin = {_frame_uid(slices, one): one for one in frames}
    for group in result.PerFrameFunctionalGroupsSequence:
        for derivation in group.get("DerivationImageSequence", []):
            for source in derivation.SourceImageSequence:
                if one := origin.get(source.ReferencedSOPInstanceUID):  # segments of one frame share the item
                    _refer(source, slices.headers[one.instance])
                    source.ReferencedFrameNumber = one.frame + 1
    for series in result.ReferencedSeriesSequence:
        uids = [item.ReferencedSOPInstanceUID for item in series.ReferencedInstanceSequence]
        instances = dict.fromkeys(origin[uid].instance for uid in uids)
        series.ReferencedInstanceSequence = [_refer(Dataset(), slices.headers[index]) for index in instances]


def _refer(item: Dataset, header: Dataset) -> Dataset:
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = header.SOPClassUID, header.SOPInstanceUID
    return item


def _reference(original: Dataset) -> Dataset:
    header = _copied(original[keyword] for keyword in _COPIED if keyword in original)
    missing = [keyword for keyword in _REFERENCES if not header.get(keyword)]
    if missing:
        raise OutputError(f"the DICOM series has no {', '.join(missing)}: results could not refer to it")
    header.Modality = header.get("Modality") or "CT"
    if not header.get("FrameOfReferenceUID"):
        header.FrameOfReferenceUID = new_uid("frame of reference", header.SeriesInstanceUID)
    header.SpecificCharacterSet = "ISO_IR 192"  # UTF-8: it holds every name
    for keyword in STUDY_ATTRIBUTES:
        setattr(header, keyword, "")
    return header


def _slice_header(reference: Dataset, one: DicomSlice, slices: DicomSlices, grid: Grid) -> Dataset:
    header = _copied(reference)
    if "NumberOfFrames" in header:
        del header.NumberOfFrames
        header.SOPClassUID, header.SOPInstanceUID = CTImageStorage, _frame_uid(slices, one)
    header.Rows, header.Columns = slices.rows, slices.columns
    header.ImageOrientationPatient = list(map(format_number_as_ds, slices.orientation))
    header.ImagePositionPatient = [format_number_as_ds(float(value)) for value in one.position]
    header.PixelSpacing = [format_number_as_ds(grid.spacing[1]), format_number_as_ds(grid.spacing[0])]
    header.SliceThickness = header.get("SliceThickness") or format_number_as_ds(grid.spacing[2])
    return header


def _copied(elements: Iterable[DataElement]) -> Dataset:
    """A dataset of elements of its own: ``update`` would share them, and what is set here be set there, too."""
    made = Dataset()
    for element in elements:
        made.add_new(element.tag, element.VR, element.value)
    return made


def _frame_uid(slices: DicomSlices, one: DicomSlice) -> str:
    return new_uid("frame", slices.headers[one.instance].SOPInstanceUID, one.frame)


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
