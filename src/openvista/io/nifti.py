"""NIfTI-1 and NIfTI-2, in and out, through nibabel.

Affine: sform first, then qform, then the voxel sizes alone, as nibabel does (NIfTI-1 standard, methods 3, 2, 1).
"""

import gzip
import zlib
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from isal import igzip
from isal.isal_zlib import IsalError
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from numpy.typing import NDArray

from openvista._version import __version__
from openvista.errors import ScanError, first_line
from openvista.geometry.grid import Grid
from openvista.io.label_table import LabelTable, from_caret_xml, to_caret_xml
from openvista.io.raw import MAX_VOXELS, RawImage, check_file_size, check_header, make_grid, read_into
from openvista.scan import ClassMaps, NiftiGeometry, Scan, ScanWarning, Segmentation

GZIP_LEVEL = 2
"""Of 0 to 3: the same size as 3 in half the time; a label map takes half as much again as at zlib's level 6."""
_SMALL_LEVEL = 6
"""Of zlib: level 9 takes many times as long for a percent or two."""

# Caret's own code is 30, but nibabel refuses to decode that one; TotalSegmentator writes and reads this XML under 0
_TABLE_EXTENSION = 0
_LABEL_INTENT = 1002  # NIFTI_INTENT_LABEL
_MM_PER_UNIT = {1: 1000.0, 2: 1.0, 3: 0.001}  # xyzt_units & 7: metre, millimetre, micrometre; 0 unknown
_GEOMETRY_FIELDS = (
    *("qform_code", "sform_code", "quatern_b", "quatern_c", "quatern_d"),
    *("qoffset_x", "qoffset_y", "qoffset_z", "srow_x", "srow_y", "srow_z", "xyzt_units"),
)
_READ_ERRORS = (ImageFileError, HeaderDataError, OSError, EOFError, zlib.error, ValueError, KeyError)


def read_nifti(path: Path, max_voxels: int = MAX_VOXELS) -> RawImage:
    """Read a ``.nii`` or ``.nii.gz`` of at most so many voxels.

    Raises:
        ScanError: not NIfTI, cut short, or not a 3D image of real numbers.
    """
    image = _open(path)
    # nibabel clears offset and scaling in the header of an opened image; the array proxy keeps them
    header, stored = image.header, image.dataobj
    shape = check_header(path, tuple(int(length) for length in stored.shape), stored.dtype, max_voxels)
    if stored.offset < header.single_vox_offset:
        raise ScanError(f"{path}: the header says its voxels are in another file; convert to single-file .nii.gz")
    affine, warnings = _affine_mm(header, _raw_header(path))
    make_grid(path, shape, affine)  # refuse a useless affine before reading gigabytes
    values = _read_values(path, shape, stored.dtype, int(stored.offset))
    values = values.astype(stored.dtype.newbyteorder("="), copy=False)
    return RawImage(values, affine, float(stored.slope), float(stored.inter), _geometry_of(header), warnings)


def _open(path: Path) -> Any:
    """A nibabel image whose voxels are not read yet."""
    try:
        image = nib.load(path)
    except gzip.BadGzipFile as error:
        raise ScanError(f"{path}: not gzip data, though the name says so; unpacked files end with .nii") from error
    except _READ_ERRORS as error:
        raise ScanError(f"{path}: not a readable NIfTI file: {first_line(error)}") from error
    if not isinstance(image, nib.Nifti1Image):  # NIfTI-2 derives from it
        raise ScanError(f"{path}: is {type(image).__name__}, not single-file NIfTI; convert it to .nii.gz")
    return image


def _geometry_of(header: Any) -> NiftiGeometry:
    """The header fields that say where voxels lie, to be written to results bit for bit."""
    fields = {name: np.array(header[name]) for name in _GEOMETRY_FIELDS}
    fields["pixdim"] = np.array(header["pixdim"][:4])
    return fields


def write_nifti(path: Path, segmentation: Segmentation, compress: bool = False) -> None:
    """Write a label map with its names and colours in a header extension.

    Args:
        path: a temporary name; compressed when it ends with ``.gz``.
        segmentation: labels already in the dtype to be stored.
        compress: well rather than quickly.
    """
    scan = segmentation.scan
    image = _image(segmentation.labels, segmentation.grid, None if scan is None else scan.geometry)
    image.header["intent_code"] = _LABEL_INTENT
    table = LabelTable(segmentation.names, segmentation.colours)
    image.header.extensions.append(nib.nifti1.Nifti1Extension(_TABLE_EXTENSION, to_caret_xml(table)))
    _write(path, image, compress)


def write_nifti_scan(path: Path, scan: Scan) -> None:
    """Write a scan's HU on its own grid, with the source's own geometry fields where it was NIfTI.

    Args:
        path: compressed, quickly rather than well, when it ends with ``.gz``.
        scan: HU.
    """
    _write(path, _image(scan.voxels, scan.grid, scan.geometry))


def write_nifti_values(path: Path, values_XYZ: NDArray[Any], maps: ClassMaps, slope: float) -> None:
    """Write the map of one class plane by plane, so that it is never in memory as a whole.

    Args:
        path: a temporary name that ends with ``.gz``; compressed quickly rather than well.
        values_XYZ: uint8, or float16, which becomes float32.
        maps: where the voxels lie.
        slope: what readers multiply stored values by.
    """
    dtype = np.dtype("<f4") if values_XYZ.dtype == np.float16 else values_XYZ.dtype
    geometry = None if maps.scan is None else maps.scan.geometry
    # made of an empty image: nibabel would divide the values by the slope
    header = _image(np.broadcast_to(np.zeros(1, dtype), values_XYZ.shape), maps.grid, geometry).header
    header.set_slope_inter(slope, 0)
    with path.open("wb") as raw, igzip.GzipFile("", "wb", GZIP_LEVEL, raw, mtime=0) as stream:
        header.write_to(stream)
        for plane_XY in np.moveaxis(values_XYZ, 2, 0):
            stream.write(plane_XY.astype(dtype).tobytes(order="F"))


def _image(voxels: NDArray[Any], grid: Grid, geometry: NiftiGeometry | None) -> Any:
    header = nib.Nifti1Header()
    header.set_data_dtype(voxels.dtype)
    header["descrip"] = f"OpenVISTA {__version__}".encode()
    _set_geometry(header, grid, geometry)
    # without an affine of its own the image leaves the header's fields alone
    return nib.Nifti1Image(voxels, None, header)


def _write(path: Path, image: Any, compress: bool = False) -> None:
    with path.open("wb") as raw:
        if path.suffix == ".gz":
            packed, level = (gzip.GzipFile, _SMALL_LEVEL) if compress else (igzip.GzipFile, GZIP_LEVEL)
            # no name and no time in the gzip header: equal results are equal files
            with packed("", "wb", level, raw, mtime=0) as stream:
                image.to_stream(stream)
        else:
            image.to_stream(raw)


def read_label_table(path: Path) -> LabelTable | None:
    """Names and colours from the header extension (Caret XML under any code), ``None`` when there are none.

    Raises:
        ScanError: not a NIfTI file, or the table is broken.
    """
    for extension in _open(path).header.extensions:
        # nibabel has .content (bytes, any code) since 5.3
        content = extension.content if hasattr(extension, "content") else extension.get_content()
        content = content.encode() if isinstance(content, str) else content
        if isinstance(content, bytes) and b"<LabelTable" in content:
            return from_caret_xml(content)
    return None


def _set_geometry(header: Any, grid: Grid, geometry: NiftiGeometry | None) -> None:
    """The source's own fields where it was NIfTI; otherwise both forms from the affine, in mm, scanner space."""
    if geometry is None:
        header.set_xyzt_units("mm")
        header.set_sform(grid.affine, code=1)
        # a quaternion knows no shear: only an affine with right angles gets a qform
        header.set_qform(grid.affine, code=1 if _has_right_angles(grid.affine) else 0)
        return
    for name in _GEOMETRY_FIELDS:
        header[name] = geometry[name]
    header["pixdim"][:4] = geometry["pixdim"]


def _has_right_angles(affine: NDArray[np.float64]) -> bool:
    cosines = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    return bool(np.allclose(cosines.T @ cosines, np.eye(3), atol=1e-5))


def _raw_header(path: Path) -> Any:
    """The header as it is stored: nibabel mends one that it opens, and so hides what was wrong with it."""
    with nib.openers.ImageOpener(str(path)) as stream:
        content = stream.read(nib.Nifti2Header.sizeof_hdr)
    kind = nib.Nifti2Header if nib.Nifti2Header.may_contain_header(content) else nib.Nifti1Header
    return kind(content[: kind.sizeof_hdr], check=False)


def _affine_mm(header: Any, stored: Any) -> tuple[NDArray[np.float64], tuple[ScanWarning, ...]]:
    """Affine in mm, with warnings where the header is unclear.

    Args:
        header: as nibabel mended it.
        stored: as it is in the file.
    """
    warnings = []
    affine = np.array(header.get_best_affine(), dtype=np.float64)
    if int(header["sform_code"]) == 0 and int(header["qform_code"]) == 0:
        message = "has neither sform nor qform; left and right are a guess"
        warnings.append(ScanWarning("header-orientation", message))
    elif int(header["sform_code"]) > 0 and int(header["qform_code"]) > 0:
        gap = _largest_gap(header)
        if not gap <= 0.1:  # NaN as well
            message = f"sform and qform differ by up to {gap:.3g} units; using the sform"
            warnings.append(ScanWarning("header-orientations-differ", message))
    if int(header["sform_code"]) == 0 and not (np.abs(stored["pixdim"][1:4]) > 0).all():
        shown = " x ".join(f"{size:g}" for size in stored["pixdim"][1:4])
        message = f"its voxel size is {shown}; a size of 0 is taken for 1: check the header"
        warnings.append(ScanWarning("header-spacing", message))
    unit = int(header["xyzt_units"]) & 7
    if unit in (1, 3):
        message = f"its unit is the {'metre' if unit == 1 else 'micrometre'}; converted to mm"
        warnings.append(ScanWarning("header-unit", message))
    elif unit not in (0, 2):
        message = f"its unit has the unknown code {unit}; taken as mm"
        warnings.append(ScanWarning("header-unit", message))
    affine[:3] *= _MM_PER_UNIT.get(unit, 1.0)
    return affine, tuple(warnings)


def _largest_gap(header: Any) -> float:
    """Largest distance of a corner voxel between sform and qform, in the header's unit."""
    lengths = np.array(header.get_data_shape()[:3]) - 1
    corners = np.array([[i, j, k, 1] for i in (0, 1) for j in (0, 1) for k in (0, 1)]) * np.array([*lengths, 1])
    try:
        with np.errstate(invalid="ignore", over="ignore"):
            difference = header.get_sform() - header.get_qform()
            return float(np.linalg.norm((corners @ difference.T)[:, :3], axis=1).max())
    except (HeaderDataError, ValueError):
        return float("inf")


def _read_values(path: Path, shape: tuple[int, int, int], dtype: Any, offset: int) -> NDArray[Any]:
    """Stored values [X, Y, Z], first axis fastest. Reads gzip to its end, so that its checksum is verified."""
    compressed = path.suffix.lower() == ".gz"
    values = np.empty(shape, dtype, order="F")
    check_file_size(path, offset + values.nbytes, compressed)
    try:
        with igzip.open(path) if compressed else path.open("rb") as stream:
            stream.seek(offset)
            count = read_into(stream, values.reshape(-1, order="F").view(np.uint8).data)
            stream.read(1 << 16)
    except (OSError, EOFError, IsalError) as error:  # type: ignore[misc]  # its stub calls the class an instance
        raise ScanError(f"{path}: damaged or cut short: {first_line(error)}; copy it again") from error
    if count < values.nbytes:
        raise ScanError(f"{path}: cut short: {count} of {values.nbytes} bytes of voxels; copy it again")
    return values
