"""A CT series as a scanner sends it: small, of made-up tissue, complete enough for every PACS and validator."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
PATIENT = "Doe^Made Up"
"""Must turn up in no log and no file that is not asked to hold it."""


def ct_series(
    hu_XYZ: NDArray[np.integer],
    spacing: tuple[float, float, float] = (0.8, 0.9, 2.5),
    orientation: Sequence[float] = AXIAL,
    origin: tuple[float, float, float] = (-20.0, -30.0, 100.0),
    study_uid: str | None = None,
    **attributes: str,
) -> list[Dataset]:
    """One instance per slice.

    Args:
        hu_XYZ: [column, row, slice]; the slices follow each other along row cosine x column cosine.
        spacing: mm, between columns, rows, slices.
        orientation: cosines of a row and of a column, LPS.
        origin: mm, LPS, of the first voxel.
        study_uid: of a study that other series belong to; a new one by default.
        attributes: of every instance, by DICOM keyword: ``SeriesDescription="LUNG 1.0"``.
    """
    rows_cosine, columns_cosine = np.array(orientation[:3]), np.array(orientation[3:])
    normal = np.cross(rows_cosine, columns_cosine)
    study, series, frame = study_uid or generate_uid(), generate_uid(), generate_uid()
    instances = []
    for index in range(hu_XYZ.shape[2]):
        position = np.array(origin) + index * spacing[2] * normal
        one = _instance(np.ascontiguousarray(hu_XYZ[:, :, index].T))
        one.StudyInstanceUID, one.SeriesInstanceUID, one.FrameOfReferenceUID = study, series, frame
        one.InstanceNumber = index + 1
        one.ImagePositionPatient = [f"{value:.6g}" for value in position]
        one.ImageOrientationPatient = [f"{value:.10g}"[:16] for value in orientation]
        one.PixelSpacing = [spacing[1], spacing[0]]
        one.SliceThickness = spacing[2]
        for keyword, value in attributes.items():
            setattr(one, keyword, value)
        instances.append(_as_read(one))
    return instances


def write_series(instances: Sequence[Dataset], folder: Path) -> Path:
    """The instances as files of a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, one in enumerate(instances):
        one.save_as(folder / f"{number:04d}.dcm", enforce_file_format=True)
    return folder


def _as_read(one: Dataset) -> Dataset:
    """As out of a file: it knows how it is encoded."""
    content = BytesIO()
    one.save_as(content, enforce_file_format=True)
    content.seek(0)
    return dcmread(content)


def _instance(pixels_rc: NDArray[np.integer]) -> Dataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = CTImageStorage, generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    one = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    one.SOPClassUID, one.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
    one.ImageType, one.Modality, one.BodyPartExamined = ["ORIGINAL", "PRIMARY", "AXIAL"], "CT", "CHEST"
    one.PatientName, one.PatientID, one.PatientBirthDate, one.PatientSex = PATIENT, "MADE-UP-4711", "19500102", "O"
    one.StudyDate = one.SeriesDate = one.AcquisitionDate = one.ContentDate = "20260102"
    one.StudyTime = one.SeriesTime = one.AcquisitionTime = one.ContentTime = "101112"
    one.StudyID, one.AccessionNumber, one.ReferringPhysicianName = "1", "ACC-4711", ""
    one.Manufacturer, one.ManufacturerModelName, one.DeviceSerialNumber = "Made up", "Phantom", "1"
    one.SoftwareVersions, one.PatientPosition, one.PositionReferenceIndicator = "1", "HFS", ""
    one.SeriesNumber, one.AcquisitionNumber, one.KVP, one.SeriesDescription = 3, 1, "120", "CT Chest 1.25"
    one.SamplesPerPixel, one.PhotometricInterpretation, one.PixelRepresentation = 1, "MONOCHROME2", 0
    one.Rows, one.Columns = pixels_rc.shape
    one.BitsAllocated, one.BitsStored, one.HighBit = 16, 12, 11
    one.RescaleIntercept, one.RescaleSlope, one.RescaleType = -1024, 1, "HU"
    one.PixelData = (pixels_rc.astype(np.int32) + 1024).astype("<u2").tobytes()
    return one
