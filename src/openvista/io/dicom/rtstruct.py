"""RT Structure Sets: contours per structure on the original slices (PS3.3, A.19 and C.8.8.5 to C.8.8.8)."""

import datetime
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom import DataElement, Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ImplicitVRLittleEndian

from openvista._version import __version__
from openvista.dicom_slices import DicomSlice, DicomSlices
from openvista.geometry.contours import contours_of
from openvista.io.atomic import replacing
from openvista.io.checks import dicom_source
from openvista.io.dicom.described import DescribedStructure, PlacedStructures, place_structures
from openvista.io.dicom.frames import original_slices, pixels_to_lps
from openvista.io.dicom.identity import (
    MANUFACTURER,
    STUDY_ATTRIBUTES,
    add_identifiers,
    new_uid,
    source_headers,
)
from openvista.scan import Scan, Segmentation

logger = logging.getLogger(__name__)

RTSTRUCT_STORAGE = "1.2.840.10008.5.1.4.1.1.481.3"
STUDY_COMPONENT = "1.2.840.10008.3.1.2.3.1"
"""Detached Study Management: what a structure set calls the study that it refers to."""
SERIES_NUMBER = 101


def write_rtstruct(
    path: Path,
    segmentation: Segmentation | Sequence[Segmentation],
    *,
    keyhole: bool = False,
    keep_identifiers: bool = False,
) -> None:
    """Write an RT Structure Set; whole or not at all. Contours lie on the slices of the series only.

    Args:
        path: the file.
        segmentation: of a scan that was read from DICOM; or several of one scan, whose structures may overlap.
        keyhole: join holes to the contour around them by a channel without width, for planning systems that fill
            every contour. By default a hole is a contour of its own, and inside is what lies in an odd number of them.
        keep_identifiers: with the patient's name, id and dates, as the scan has them.

    Raises:
        OutputError: the scan is not from DICOM, nothing is labelled, or the system refused to write.
        MissingExtraError: scikit-image is not installed.
    """
    result = make_rtstruct(segmentation, keyhole=keyhole, keep_identifiers=keep_identifiers)
    with replacing(path) as temporary:
        result.save_as(temporary, enforce_file_format=True)


def make_rtstruct(
    segmentation: Segmentation | Sequence[Segmentation], *, keyhole: bool = False, keep_identifiers: bool = False
) -> Dataset:
    """The object that :func:`write_rtstruct` writes."""
    layers = [segmentation] if isinstance(segmentation, Segmentation) else list(segmentation)
    scan, slices = dicom_source(layers[0].scan)
    headers = source_headers(slices)
    placed = place_structures(layers, slices, headers[0].SeriesInstanceUID)
    if not is_axial(slices):
        logger.warning("%s: not an axial series; many planning systems refuse contours on it", scan.name)
    uid = placed.uid(f"RTSTRUCT {keyhole} {keep_identifiers}", headers[0].SeriesInstanceUID)
    result = _frame(headers[0], uid)
    result.ReferencedFrameOfReferenceSequence = [_references(headers)]
    result.StructureSetROISequence = [_roi(one, headers[0].FrameOfReferenceUID) for one in placed.structures]
    result.ROIContourSequence = [_outlines(one, placed, scan, headers, keyhole) for one in placed.structures]
    result.RTROIObservationsSequence = [_observation(one) for one in placed.structures]
    if keep_identifiers:
        add_identifiers(result, slices)
    return result


def is_axial(slices: DicomSlices) -> bool:
    """Whether slices lie across the patient, up to half a degree."""
    row, column = np.array(slices.orientation).reshape(2, 3)
    return bool(abs(np.cross(row, column)[2]) > np.cos(np.radians(0.5)))


def _frame(header: Dataset, uid: str) -> Dataset:
    """All but structures: patient, study, series, equipment, approval."""
    result, now = Dataset(), datetime.datetime.now()
    result.file_meta = FileMetaDataset()
    result.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian  # explicit lengths end at 64 kB: too short for contours
    result.SpecificCharacterSet = header.SpecificCharacterSet
    result.SOPClassUID, result.SOPInstanceUID = RTSTRUCT_STORAGE, uid
    for keyword in (*STUDY_ATTRIBUTES, "StudyInstanceUID", "FrameOfReferenceUID"):
        result[keyword] = header[keyword]
    result.PositionReferenceIndicator = header.get("PositionReferenceIndicator", "")
    result.Modality, result.SeriesInstanceUID = "RTSTRUCT", new_uid("series", uid)
    result.SeriesNumber, result.InstanceNumber = SERIES_NUMBER, 1
    result.SeriesDescription, result.OperatorsName = "Structures of a CT", ""
    result.Manufacturer, result.ManufacturerModelName = MANUFACTURER, MANUFACTURER
    result.SoftwareVersions = __version__
    result.InstanceCreationDate = result.StructureSetDate = now.strftime("%Y%m%d")
    result.InstanceCreationTime = result.StructureSetTime = now.strftime("%H%M%S")
    result.StructureSetLabel, result.ApprovalStatus = MANUFACTURER, "UNAPPROVED"
    return result


def _references(headers: Sequence[Dataset]) -> Dataset:
    """Which study, series and slices the contours lie on."""
    series, study, frame = Dataset(), Dataset(), Dataset()
    series.SeriesInstanceUID = headers[0].SeriesInstanceUID
    series.ContourImageSequence = [_image(header) for header in headers]
    study.ReferencedSOPClassUID, study.ReferencedSOPInstanceUID = STUDY_COMPONENT, headers[0].StudyInstanceUID
    study.RTReferencedSeriesSequence = [series]
    frame.FrameOfReferenceUID = headers[0].FrameOfReferenceUID
    frame.RTReferencedStudySequence = [study]
    return frame


def _image(header: Dataset, frame: int | None = None) -> Dataset:
    image = Dataset()
    image.ReferencedSOPClassUID, image.ReferencedSOPInstanceUID = header.SOPClassUID, header.SOPInstanceUID
    if frame is not None and "NumberOfFrames" in header:
        image.ReferencedFrameNumber = frame + 1
    return image


def _roi(structure: DescribedStructure, frame_of_reference: str) -> Dataset:
    roi = Dataset()
    roi.ROINumber, roi.ROIName = structure.number, structure.label
    roi.ReferencedFrameOfReferenceUID = frame_of_reference
    roi.ROIDescription = structure.tracking_id
    roi.ROIGenerationAlgorithm = "AUTOMATIC" if structure.automatic else "SEMIAUTOMATIC"
    return roi


def _outlines(
    structure: DescribedStructure, placed: PlacedStructures, scan: Scan, headers: Sequence[Dataset], keyhole: bool
) -> Dataset:
    assert scan.dicom is not None
    item, contours = Dataset(), []
    header_of = {str(header.SOPInstanceUID): header for header in headers}
    for one, mask in zip(original_slices(scan.dicom), placed.mask(structure.number), strict=True):
        header = header_of[str(scan.dicom.headers[one.instance].SOPInstanceUID)]
        for points_N2 in contours_of(mask, keyhole):
            contours.append(_contour(points_N2, one, scan, header))
    item.ROIDisplayColor, item.ReferencedROINumber = list(structure.colour), structure.number
    item.ContourSequence = contours
    return item


def _contour(points_N2: NDArray[np.float64], one: DicomSlice, scan: Scan, header: Dataset) -> Dataset:
    assert scan.dicom is not None
    contour = Dataset()
    contour.ContourImageSequence = [_image(header, one.frame)]
    contour.ContourGeometricType, contour.NumberOfContourPoints = "CLOSED_PLANAR", len(points_N2)
    points_N3 = pixels_to_lps(points_N2, one, scan.dicom, scan.grid)
    texts = [f"{value:.3f}" for value in points_N3.reshape(-1)]  # a decimal string has 16 characters at most
    contour.add(DataElement("ContourData", "DS", texts, already_converted=True))  # checking a million takes long
    return contour


def _observation(structure: DescribedStructure) -> Dataset:
    item = Dataset()
    item.ObservationNumber = item.ReferencedROINumber = structure.number
    item.RTROIInterpretedType, item.ROIInterpreter = "GTV" if structure.codes.is_lesion else "ORGAN", ""
    item.RTROIIdentificationCodeSequence = [_code(structure)]
    return item


def _code(structure: DescribedStructure) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodeMeaning = structure.codes.type.value, structure.codes.type.meaning
    code.CodingSchemeDesignator = "SCT"
    return code
