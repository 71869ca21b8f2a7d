"""NRRD and MetaImage (``.mha``, ``.mhd``), in and out, through SimpleITK (extra ``formats``).

ITK's world is LPS+ and its arrays run z, y, x; ours is RAS+ and x, y, z. Nothing outside this file knows that.
"""

from contextlib import AbstractContextManager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from openvista.errors import ScanError, needs_extra
from openvista.io.itk_header import check_itk_header, check_packed_voxels, nrrd_key_values
from openvista.io.label_table import LabelTable, from_nrrd_segments, to_nrrd_segments
from openvista.io.raw import MAX_VOXELS, RawImage, check_file_size, check_header, make_grid
from openvista.scan import Segmentation

if TYPE_CHECKING:
    import SimpleITK as sitk

_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0])


def read_itk(path: Path, max_voxels: int = MAX_VOXELS) -> RawImage:
    """Read a ``.nrrd``, ``.nhdr``, ``.mha`` or ``.mhd`` of at most so many voxels.

    Raises:
        ScanError: unreadable, cut short, or not a 3D image of real numbers.
        MissingExtraError: SimpleITK is not installed.
    """
    reader = _open(path)
    size = tuple(int(n) for n in reader.GetSize())
    dtype = _dtype_of(path, reader)
    shape = check_header(path, size, dtype, max_voxels)
    if path.suffix.lower() in (".nrrd", ".mha"):  # the others keep their voxels in a second file
        check_file_size(path, int(np.prod(size)) * dtype.itemsize, compressed=True)
    affine = _affine_of(reader)
    make_grid(path, shape, affine)
    check_packed_voxels(path, int(np.prod(size)) * dtype.itemsize)
    try:
        image = reader.Execute()
    except RuntimeError as error:
        raise ScanError(f"{path}: damaged or cut short: {_reason(error)}") from error
    values_ZYX = _simple_itk().GetArrayFromImage(image)
    return RawImage(values_ZYX.T.reshape(shape, order="F"), affine)


def read_segment_fields(path: Path) -> LabelTable | None:
    """Names and colours from Slicer's segment fields of an NRRD header, ``None`` when there are none."""
    return from_nrrd_segments(nrrd_key_values(path)) if path.suffix.lower() in (".nrrd", ".nhdr") else None


def write_itk(path: Path, segmentation: Segmentation) -> None:
    """Write a label map, compressed; NRRD gets Slicer's segment fields with names and colours.

    Raises:
        OSError: it could not be written.
        MissingExtraError: SimpleITK is not installed.
    """
    sitk = _simple_itk()
    image = sitk.GetImageFromArray(np.ascontiguousarray(segmentation.labels.T))
    _set_grid(image, segmentation.grid.affine)
    if path.suffix == ".nrrd":
        table = LabelTable(segmentation.names, segmentation.colours)
        for key, value in to_nrrd_segments(table, segmentation.grid.shape).items():
            image.SetMetaData(key, value)
    try:
        sitk.WriteImage(image, str(path), True)
    except RuntimeError as error:
        raise OSError(_reason(error)) from error


def require_simple_itk() -> None:
    """Say that the library is missing, without loading it.

    Raises:
        MissingExtraError: SimpleITK is not installed.
    """
    with _needed():
        if find_spec("SimpleITK") is None:
            raise ImportError("SimpleITK")


def _simple_itk() -> Any:
    with _needed():
        import SimpleITK
    return SimpleITK


def _needed() -> AbstractContextManager[None]:
    return needs_extra("SimpleITK", "formats", "read and write NRRD and MHA files")


def _open(path: Path) -> "sitk.ImageFileReader":
    check_itk_header(path)
    reader = _simple_itk().ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise ScanError(f"{path}: not a readable NRRD or MHA file: {_reason(error)}") from error
    return reader


def _dtype_of(path: Path, reader: "sitk.ImageFileReader") -> np.dtype[np.generic]:
    if (count := reader.GetNumberOfComponents()) != 1:
        raise ScanError(f"{path}: has {count} values per voxel (colour?); export the scan as plain numbers in HU")
    sitk = _simple_itk()
    if reader.GetPixelID() in (sitk.sitkComplexFloat32, sitk.sitkComplexFloat64):
        return np.dtype(np.complex64)
    names = {"sitkUInt": "uint", "sitkInt": "int", "sitkFloat": "float"}
    for prefix, kind in names.items():
        for bits in (8, 16, 32, 64):
            if getattr(sitk, f"{prefix}{bits}", None) == reader.GetPixelID():
                return np.dtype(f"{kind}{bits}")
    raise ScanError(f"{path}: unknown voxel type {reader.GetPixelIDValue()}; export the scan as 16-bit integers")


def _affine_of(reader: "sitk.ImageFileReader") -> NDArray[np.float64]:
    """Voxel to RAS+ mm from ITK's direction, spacing and origin in LPS+."""
    count = reader.GetDimension()
    direction = np.array(reader.GetDirection()).reshape(count, count)[:3, :3]
    affine = np.eye(4)
    affine[:3, :3] = _LPS_TO_RAS @ direction * np.array(reader.GetSpacing()[:3])
    affine[:3, 3] = _LPS_TO_RAS @ np.array(reader.GetOrigin()[:3])
    return affine


def _set_grid(image: Any, affine: NDArray[np.float64]) -> None:
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((_LPS_TO_RAS @ (affine[:3, :3] / spacing)).ravel().tolist())
    image.SetOrigin((_LPS_TO_RAS @ affine[:3, 3]).tolist())


def _reason(error: RuntimeError) -> str:
    """The part of ITK's message that a reader can use: its last line that says something."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1].removeprefix("Reason: ") if lines else "unknown reason"
