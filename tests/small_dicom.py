"""Made-up CT series as DICOM files, with what hospitals send: every syntax, orientation and geometry.

A missing slice is a file that a test removes, a duplicate one that it copies, a tilted gantry an affine whose third
column leans (:func:`tilted`).
"""

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    EnhancedCTImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
    generate_uid,
)

SYNTAXES = {
    "implicit": ImplicitVRLittleEndian,
    "explicit": ExplicitVRLittleEndian,
    "big endian": ExplicitVRBigEndian,
    "deflated": DeflatedExplicitVRLittleEndian,
    "RLE": RLELossless,
    "JPEG lossless": JPEGLosslessSV1,
    "JPEG-LS": JPEGLSLossless,
    "JPEG 2000": JPEG2000Lossless,
}
IDENTIFIERS = {
    "PatientName": "Name^Made^Up",
    "PatientID": "ID-4711",
    "PatientBirthDate": "19470301",
    "AccessionNumber": "ACC-0815",
    "StudyDate": "20310203",
    "ReferringPhysicianName": "Referrer^Made^Up",
}
"""What must never appear in a log, a table or a file without being asked for."""

SHAPE = (40, 36, 9)
SPACING = (0.8, 1.1, 2.5)
ACQUISITIONS = {
    "axial": np.diag([-1.0, -1.0, 1.0]),
    "feet first": np.diag([1.0, -1.0, -1.0]),
    "prone": np.diag([1.0, 1.0, 1.0]),
    "coronal": np.array([[-1.0, 0, 0], [0, 0, 1.0], [0, -1.0, 0]]),
    "sagittal": np.array([[0, 0, 1.0], [-1.0, 0, 0], [0, -1.0, 0]]),
}
"""Directions of row, column and slice in RAS, as columns of a matrix; "oblique" is added below."""

_LPS = np.diag([-1.0, -1.0, 1.0])


def write_series(
    folder: Path,
    volume_XYZ: NDArray[np.generic],
    affine: NDArray[np.float64],
    *,
    syntax: str = "explicit",
    enhanced: int = 0,
    slopes: tuple[float, ...] = (1.0,),
    intercept: float = -1024.0,
    padding: NDArray[np.bool_] | None = None,
    **attributes: object,
) -> list[Path]:
    """Write a CT series and return its files in the order of slices.

    Args:
        folder: made where missing; the UIDs follow from its name, so that the same call writes the same series.
        volume_XYZ: [column, row, slice] HU.
        affine: [column, row, slice] to RAS+ mm; its third column may lean or point backwards.
        syntax: a key of :data:`SYNTAXES`.
        enhanced: so many multi-frame files instead of one for each slice.
        slopes: Rescale Slope of the first slice, the second, ..., again from the first.
        intercept: Rescale Intercept.
        padding: [column, row, slice] pixels outside the measured field: they get Pixel Padding Value.
        attributes: what headers say instead, by keyword: ``SeriesDescription="..."``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    columns, rows, count = volume_XYZ.shape
    slope_Z = np.resize(slopes, count)
    stored = np.rint((volume_XYZ.astype(np.float64) - intercept) / slope_Z).astype(np.int16)
    if padding is not None:
        stored[padding] = _PADDING
    pixels_ZYX = np.ascontiguousarray(stored.T)
    header = _header(folder.name, rows, columns, affine)
    if padding is not None:
        header.add_new("PixelPaddingValue", "SS", _PADDING)
    if enhanced:
        files = []
        for number, indices in enumerate(np.array_split(np.arange(count), enhanced), start=1):
            part = _enhanced(header, affine, indices, slope_Z[indices], intercept)
            part.SOPInstanceUID = generate_uid(entropy_srcs=[folder.name, "instance", str(number)])
            part.InstanceNumber = number
            part.update(_dataset(attributes))
            files.append(
                _save(part, folder / f"multiframe{number if enhanced > 1 else ''}.dcm", syntax, pixels_ZYX[indices])
            )
        return files
    files = []
    for index in range(count):
        one = Dataset()
        one.update(header)
        one.SOPInstanceUID = generate_uid(entropy_srcs=[folder.name, "instance", str(index)])
        one.InstanceNumber = index + 1
        one.ImagePositionPatient = _position(affine, index)
        one.RescaleSlope, one.RescaleIntercept = float(slope_Z[index]), intercept
        one.update(_dataset(attributes))
        files.append(_save(one, folder / f"IM{index + 1:04d}.dcm", syntax, pixels_ZYX[index]))
    return files


def tilted(affine: NDArray[np.float64], degrees: float, axis: int = 1) -> NDArray[np.float64]:
    """The affine of a scan with a tilted gantry: slices step along a direction that leans towards an in-plane axis."""
    leaning = affine.copy()
    along = affine[:3, axis] / np.linalg.norm(affine[:3, axis])
    leaning[:3, 2] += along * np.linalg.norm(affine[:3, 2]) * np.tan(np.radians(degrees))
    return leaning


def orientations() -> Iterator[NDArray[np.float64]]:
    """The 48 ways in which three array axes can lie along the patient's: 3 x 3 matrices of -1, 0 and 1."""
    for order in itertools.permutations(range(3)):
        for signs in itertools.product((1.0, -1.0), repeat=3):
            yield np.eye(3)[:, order] * signs


def rotation(degrees: tuple[float, float, float]) -> NDArray[np.float64]:
    """Turned about x, then y, then z."""
    turned = np.eye(3)
    for axis, angle in enumerate(np.radians(degrees)):
        one = np.eye(3)
        first, second = (axis + 1) % 3, (axis + 2) % 3
        one[[first, first, second, second], [first, second, first, second]] = (
            np.cos(angle),
            -np.sin(angle),
            np.sin(angle),
            np.cos(angle),
        )
        turned = one @ turned
    return turned


def affine_of(directions: NDArray[np.float64], spacing: tuple[float, float, float] = SPACING) -> NDArray[np.float64]:
    """Voxels of a spacing along these directions, from a place of no meaning."""
    affine = np.eye(4)
    affine[:3, :3] = directions * spacing
    affine[:3, 3] = (20, 30, -40)
    return affine


def phantom(affine: NDArray[np.float64], shape: tuple[int, int, int], mark: NDArray[np.float64]) -> NDArray[np.int16]:
    """[X, Y, Z] HU that only depend on where a voxel lies: a smooth ramp, and 1500 HU within 6 mm of ``mark`` (RAS)."""
    voxels = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    points = voxels @ affine[:3, :3].T + affine[:3, 3]
    hu = 3.0 * points[..., 0] - 2.0 * points[..., 1] + 5.0 * points[..., 2]
    hu[np.linalg.norm(points - mark, axis=-1) < 6.05] = 1500
    return np.rint(hu).astype(np.int16)


_PADDING = -2000


def _dataset(attributes: dict[str, object]) -> Dataset:
    dataset = Dataset()
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    return dataset


def _position(affine: NDArray[np.float64], index: int) -> list[float]:
    return [round(float(value), 6) for value in _LPS @ (affine[:3, :3] @ (0, 0, index) + affine[:3, 3])]


def _header(name: str, rows: int, columns: int, affine: NDArray[np.float64]) -> Dataset:
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    cosines = _LPS @ (affine[:3, :3] / spacing)
    normal = np.cross(cosines[:, 0], cosines[:, 1])
    return _dataset(
        {
            **IDENTIFIERS,
            "PatientSex": "O",
            "StudyTime": "101112",
            "StudyID": "1",
            "Modality": "CT",
            "Manufacturer": "made up",
            "SeriesDescription": "made up",
            "SeriesNumber": 3,
            "InstanceNumber": 1,
            "AcquisitionNumber": 1,
            "SOPClassUID": CTImageStorage,
            "SOPInstanceUID": generate_uid(entropy_srcs=[name, "instance"]),
            "StudyInstanceUID": generate_uid(entropy_srcs=["study"]),
            "SeriesInstanceUID": generate_uid(entropy_srcs=[name, "series"]),
            "FrameOfReferenceUID": generate_uid(entropy_srcs=["frame of reference"]),
            "PositionReferenceIndicator": "",
            "PatientPosition": "HFS",
            "KVP": "120",
            "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
            "ImageOrientationPatient": [round(float(value), 9) for value in cosines[:, :2].T.ravel()],
            "PixelSpacing": [float(spacing[1]), float(spacing[0])],
            "SliceThickness": abs(round(float((_LPS @ affine[:3, 2]) @ normal), 6)),
            "Rows": rows,
            "Columns": columns,
            "SamplesPerPixel": 1,
            "PhotometricInterpretation": "MONOCHROME2",
            "BitsAllocated": 16,
            "BitsStored": 16,
            "HighBit": 15,
            "PixelRepresentation": 1,
            "RescaleType": "HU",
        }
    )


def _enhanced(
    classic: Dataset,
    affine: NDArray[np.float64],
    indices: NDArray[np.int_],
    slopes: NDArray[np.float64],
    intercept: float,
) -> Dataset:
    """Geometry goes into functional groups: orientation and spacing are shared, position and scaling of each frame."""
    header = Dataset()
    header.update(classic)
    measures = {"PixelSpacing": header.PixelSpacing, "SliceThickness": header.SliceThickness}
    orientation = {"ImageOrientationPatient": header.ImageOrientationPatient}
    shared = {"PixelMeasuresSequence": [_dataset(measures)], "PlaneOrientationSequence": [_dataset(orientation)]}
    for keyword in ("SOPClassUID", "SOPInstanceUID", "InstanceNumber", *measures, *orientation, "RescaleType"):
        delattr(header, keyword)
    header.SOPClassUID = EnhancedCTImageStorage
    header.NumberOfFrames = len(indices)
    header.SharedFunctionalGroupsSequence = [_dataset(shared)]
    header.PerFrameFunctionalGroupsSequence = [
        _dataset(
            {
                "PlanePositionSequence": [_dataset({"ImagePositionPatient": _position(affine, index)})],
                "PixelValueTransformationSequence": [
                    _dataset({"RescaleSlope": float(slope), "RescaleIntercept": intercept, "RescaleType": "HU"})
                ],
                "FrameContentSequence": [_dataset({"StackID": "1", "InStackPositionNumber": int(index) + 1})],
            }
        )
        for index, slope in zip(indices, slopes, strict=True)
    ]
    return header


def _save(header: Dataset, file: Path, syntax: str, pixels: NDArray[np.int16]) -> Path:
    uid = SYNTAXES[syntax]
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = header.SOPClassUID, header.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian if uid.is_compressed and not uid.is_deflated else uid
    little = uid != ExplicitVRBigEndian
    whole = FileDataset(str(file), header, b"\0" * 128, meta, uid == ImplicitVRLittleEndian, little)
    whole.add_new("PixelData", "OW", pixels.astype("<i2" if little else ">i2").tobytes())
    if syntax in ("RLE", "JPEG-LS", "JPEG 2000"):
        whole.compress(uid, generate_instance_uid=False)
    whole.save_as(file, enforce_file_format=True)
    if syntax == "JPEG lossless":
        _recompress(file)
    return file


def _recompress(file: Path) -> None:
    """To JPEG lossless, for which pydicom has no encoder. GDCM changes headers: only its pixels are taken."""
    import gdcm  # brings its own zlib: loaded before Python's, Python's crashes

    whole = dcmread(file)
    reader = gdcm.ImageReader()
    reader.SetFileName(str(file))
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGLosslessProcess14_1))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer = gdcm.ImageWriter()
    writer.SetFileName(str(file))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()
    whole["PixelData"] = dcmread(file)["PixelData"]
    whole.file_meta.TransferSyntaxUID = JPEGLosslessSV1
    whole.save_as(file, enforce_file_format=True)


ACQUISITIONS["oblique"] = rotation((25, -12, 8)) @ ACQUISITIONS["axial"]
AXIAL = affine_of(ACQUISITIONS["axial"])
FAR = np.array([1e6, 0, 0])
"""A mark that is in no picture."""
VOLUME = phantom(AXIAL, SHAPE, AXIAL[:3, :3] @ (20, 18, 4) + AXIAL[:3, 3])
"""What :data:`AXIAL` shows, with a mark in its middle."""
