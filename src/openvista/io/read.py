"""Read a scan, a label map or a segmentation, whatever its format."""

import glob
import json
import logging
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from openvista.anatomy.colours import from_hex
from openvista.errors import ScanError, needs_extra
from openvista.geometry.grid import Grid
from openvista.io.label_table import LabelTable
from openvista.io.paths import NIFTI_SUFFIXES, find_image, image_suffix, scan_name, sidecar_path
from openvista.io.raw import MAX_VOXELS, RawImage, make_grid, to_hu, to_labels
from openvista.scan import Scan, ScanWarning, Segmentation
from openvista.structures import present_ids

logger = logging.getLogger(__name__)

_COPIES = 4
"""Reading holds voxels as stored, as HU in float32 (twice as large), and what is left in between."""


def read_scan(
    path: str | Path,
    *,
    series: str | None = None,
    fill_gaps: bool = False,
    max_voxels: int = MAX_VOXELS,
    apart: bool = False,
    modality: str | None = "CT",
) -> Scan:
    """Read a CT, or MR.

    Args:
        path: NIfTI (``.nii``, ``.nii.gz``), or with the extra ``formats`` NRRD and MHA; a folder with one such image;
            or with the extra ``dicom`` a series: folder, zip, DICOMDIR, enhanced file, or one file of the series.
        series: which DICOM series, if there are several: UID, its beginning, number or description.
        fill_gaps: interpolate slices that are missing from a DICOM series instead of refusing it.
        max_voxels: a larger scan is refused by its header, before its voxels are read.
        apart: read NRRD and MHA in a process of its own, which costs a third of a second: whatever a damaged file does
            to their library, this process goes on.
        modality: which DICOM images are meant, as for :func:`openvista.io.check_scan`.

    Returns:
        Voxels [X, Y, Z] in HU, or what MR has instead, in the file's own order: int16 where the file holds whole
        numbers, else float32.

    Raises:
        ScanError: missing, unreadable, damaged, not a 3D image of numbers, NaN or infinite values, useless affine.
        MissingExtraError: NRRD or MHA without SimpleITK, DICOM without pydicom.
    """
    file = find_image(path)
    if not image_suffix(file):
        with needs_extra("pydicom", "dicom", "read DICOM"):
            from openvista.io.dicom.read import read_dicom

        kinds = ("CT", "MR") if modality is None else ("MR",) if modality.startswith("MR") else ("CT",)
        return read_dicom(file, series=series, fill_gaps=fill_gaps, max_voxels=max_voxels, kinds=kinds)
    raw = _read_raw(file, max_voxels, apart)
    grid = make_grid(file, raw.values.shape, raw.affine)
    voxels, warnings = to_hu(file, raw)
    _log(file, warnings)
    return Scan(voxels, grid, scan_name(file), file, raw.geometry, warnings=warnings)


def read_grid(path: str | Path) -> Grid:
    """Where the voxels of an image lie: a scan of any kind, a label map, a DICOM series.

    Raises:
        ScanError: missing, unreadable, damaged, not 3D, useless affine.
        MissingExtraError: as for :func:`read_scan`.
    """
    file = find_image(path)
    if not image_suffix(file):
        with needs_extra("pydicom", "dicom", "read DICOM"):
            from openvista.io.dicom.read import read_dicom_grid

        return read_dicom_grid(file)
    raw = _read_raw(file, MAX_VOXELS, apart=True)
    return make_grid(file, raw.values.shape, raw.affine)


def bytes_to_read(path: str | Path) -> int:
    """About the most memory that :func:`read_scan` has in use at once, by the sizes of the files; 0 for no image.

    A file packed by gzip ends with its size unpacked, modulo 4 GiB (RFC 1952). Others (zip, JPEG, NRRD, MHA) count as
    they are: those that are packed well need more than this.
    """
    try:
        files = [file for file in _files_of(find_image(path)) if file.is_file()]
        return _COPIES * sum(map(_unpacked_size, files))
    except (OSError, ScanError):
        return 0  # reading will say so


def _files_of(image: Path) -> Iterable[Path]:
    """The files that hold an image, and what lies with them."""
    if image.is_dir() or image.name.upper() == "DICOMDIR":
        return (image if image.is_dir() else image.parent).rglob("*")
    if image.suffix.lower() in (".mhd", ".nhdr"):  # a header; voxels lie beside it
        return image.parent.glob(f"{glob.escape(image.stem)}.*")
    is_whole = image_suffix(image) or image.suffix.lower() == ".zip"
    return [image] if is_whole else image.parent.iterdir()  # one DICOM file means the series in its folder


def _unpacked_size(file: Path) -> int:
    size = file.stat().st_size
    if file.suffix.lower() != ".gz" or size <= 4:
        return size
    with file.open("rb") as stream:
        stream.seek(-4, os.SEEK_END)
        return max(size, int.from_bytes(stream.read(4), "little"))


def read_labels(
    path: str | Path, *, scan_grid: Grid | None = None, max_voxels: int = MAX_VOXELS, apart: bool = False
) -> tuple[NDArray[np.unsignedinteger], Grid]:
    """Read a label map of at most so many voxels; ``apart`` as for :func:`read_scan`.

    Args:
        path: an image file, or a DICOM segmentation or RT structure set.
        scan_grid: where DICOM objects are put; they lie on some slices of a scan only, or have no voxels. Label maps
            of other formats have a grid of their own, and keep it.
        max_voxels: a larger one is refused.

    Returns:
        ``(labels, grid)``: [X, Y, Z] uint8, or uint16 when an id is above 255.

    Raises:
        ScanError: as for :func:`read_scan`, or values that are no whole numbers 0..65535.
        MissingExtraError: NRRD or MHA without SimpleITK.
    """
    file = find_image(path)
    if not image_suffix(file):
        found = _read_dicom_labels(file, scan_grid, max_voxels)
        return found.labels, found.grid
    raw = _read_raw(file, max_voxels, apart)
    _log(file, raw.warnings)
    return to_labels(file, raw), make_grid(file, raw.values.shape, raw.affine)


def read_segmentation(
    path: str | Path, *, scan_grid: Grid | None = None, max_voxels: int = MAX_VOXELS, apart: bool = False
) -> Segmentation:
    """Read a label map of at most so many voxels, with its names, colours and provenance.

    Names come from the file itself, otherwise from the ``.json`` beside it; an id without a name is "label <id>".
    Arguments are as for :func:`read_labels`.

    Raises:
        ScanError: as for :func:`read_labels`, or a broken table.
    """
    file = find_image(path)
    if not image_suffix(file):
        return _read_dicom_labels(file, scan_grid, max_voxels)
    labels, grid = read_labels(file, max_voxels=max_voxels, apart=apart)
    side = _read_sidecar(sidecar_path(file))
    table = _read_table(file) or _table_of(side)
    names = {key: f"label {key}" for key in present_ids(labels)} | table.names
    provenance = {key: value for key, value in side.items() if key not in ("labels", "colours")}
    return Segmentation(labels, grid, names, table.colours, None, provenance)


def _read_dicom_labels(file: Path, scan_grid: Grid | None, max_voxels: int) -> Segmentation:
    with needs_extra("highdicom", "dicom", "read DICOM segmentations"):
        from openvista.io.dicom.labels import read_dicom_labels

    return read_dicom_labels(file, scan_grid, max_voxels=max_voxels)


def _read_raw(file: Path, max_voxels: int, apart: bool) -> RawImage:
    if image_suffix(file) in NIFTI_SUFFIXES:
        from openvista.io.nifti import read_nifti

        return read_nifti(file, max_voxels)
    if apart:
        from openvista.io.apart import read_itk_apart

        return read_itk_apart(file, max_voxels)
    from openvista.io.itk import read_itk

    return read_itk(file, max_voxels)


def _log(file: Path, warnings: tuple[ScanWarning, ...]) -> None:
    for warning in warnings:
        logger.warning("%s: %s", file, warning.message)


def _read_table(file: Path) -> LabelTable | None:
    if image_suffix(file) in NIFTI_SUFFIXES:
        from openvista.io.nifti import read_label_table

        return read_label_table(file)
    from openvista.io.itk import read_segment_fields

    return read_segment_fields(file)


def _read_sidecar(path: Path) -> dict[str, object]:
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ScanError(f"{path}: the description beside the label map is unreadable: {error}") from error
    return content if isinstance(content, dict) and isinstance(content.get("labels"), dict) else {}


def _table_of(side: dict[str, object]) -> LabelTable:
    names, colours = side.get("labels", {}), side.get("colours", {})
    if not isinstance(names, dict) or not isinstance(colours, dict):
        return LabelTable()
    try:
        return LabelTable(
            {int(key): str(name) for key, name in names.items()},
            {int(key): from_hex(str(colour)) for key, colour in colours.items()},
        )
    except ValueError as error:
        raise ScanError(f"the names in the .json beside the label map are broken: {error}") from error
