"""Write a segmentation: as label map on the scan's grid with its description beside it, as DICOM, as surfaces."""

import dataclasses
import errno
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from openvista._version import __version__
from openvista.anatomy.colours import Colour, to_hex
from openvista.errors import FormatError, MissingExtraError, OutputError
from openvista.io.atomic import make_folder, output_error, replacing
from openvista.io.checks import check_dicom_source, not_from_dicom
from openvista.io.paths import (
    DICOM_FORMATS,
    MESH_FORMATS,
    OUTPUT_SUFFIXES,
    distinct_file_names,
    image_suffix,
    output_format,
    result_path,
    sidecar_path,
)
from openvista.scan import ClassMaps, Scan, Segmentation
from openvista.structures import present_ids

_PACKAGES = {
    **dict.fromkeys(("nrrd", "seg.nrrd", "mha"), (("SimpleITK",), "formats", "write NRRD and MHA files")),
    **dict.fromkeys(DICOM_FORMATS, (("pydicom", "highdicom"), "dicom", "write DICOM")),
    **dict.fromkeys(MESH_FORMATS, (("skimage",), "mesh", "make surfaces")),
}
"""What a format needs that may not be installed: packages by their import names, the extra that brings them, why."""


@dataclass(frozen=True)
class DicomOptions:
    """How results in DICOM are written.

    Attributes:
        labelmap: a segmentation of the newer kind, Label Map Segmentation; by default one bit per voxel and structure.
        keyhole: contours of an RTSTRUCT go round holes through a channel; by default holes are contours of their own.
        keep_identifiers: with the patient's name, id and dates, as the scan has them.
        seg: the DICOM segmentation of the same structures that a report refers to; ``None`` for none.
    """

    labelmap: bool = False
    keyhole: bool = False
    keep_identifiers: bool = False
    seg: Path | None = None


def write_segmentation(
    segmentation: Segmentation | Sequence[Segmentation],
    path: str | Path,
    format: str | None = None,
    options: DicomOptions = DicomOptions(),
    compress: bool = False,
) -> Path:
    """Write a segmentation, whole or not at all: as label map on exactly the scan's grid, with a ``.json`` beside it,
    as DICOM object, or as surfaces.

    Args:
        segmentation: stored as its labels are, uint8 or uint16; as uint16 where an id is above 255. Several of one
            scan, whose structures may overlap, make one DICOM object; other formats take one.
        path: ends as the format does: ``.nii.gz``, ``.nii``, ``.seg.nrrd``, ``.nrrd``, ``.mha``, ``.dcm``, ``.stl``,
            ``.obj`` or ``.glb``; or an existing folder, for ``<scan>_seg.nii.gz`` in it.
        format: one of :data:`openvista.io.paths.FORMATS`; by default what the ending says.
        options: for DICOM.
        compress: ``.nii.gz`` well rather than quickly: a third smaller, in several times the time.

    Returns:
        The file's path.

    Raises:
        OutputError: no such folder, no permission, no space, unknown ending, it would replace the scan itself, DICOM
            for a scan that was not read from DICOM, or surfaces when nothing was found.
        MissingExtraError: a package that the format needs is not installed.
    """
    layers = [segmentation] if isinstance(segmentation, Segmentation) else list(segmentation)
    scan = layers[0].scan
    target = result_path(path, scan.name if scan else "scan", format)
    format = output_format(target, format)
    check_output(target, scan.source if scan else None, format)
    check_dicom_source(scan, format)
    if len(layers) > 1 and format not in DICOM_FORMATS:
        raise FormatError(f"{target}: {format} holds one structure per voxel; write each layer into a file of its own")
    stored = [as_stored(layer) for layer in layers]
    with ExitStack() as open_files:
        if f".{format}" not in OUTPUT_SUFFIXES:
            require_something(stored, target.name, format)
        else:
            side = open_files.enter_context(replacing(sidecar_path(target)))
            side.write_text(described(stored[0]), encoding="utf-8")
        temporary = open_files.enter_context(replacing(target))
        if format in DICOM_FORMATS:
            _write_dicom(temporary, stored, format, options)
        else:
            write_format(temporary, stored[0], format, compress)
    return target


def write_scan(scan: Scan, path: Path) -> None:
    """Write a scan's HU as NIfTI, whole or not at all; its grid as its source had it.

    Args:
        scan: HU.
        path: ends with ``.nii.gz`` (compressed quickly) or ``.nii``.

    Raises:
        OutputError: the system refused to write.
    """
    from openvista.io.nifti import write_nifti_scan

    with replacing(path) as temporary:
        write_nifti_scan(temporary, scan)


def write_class_maps(maps: ClassMaps, folder: Path) -> list[Path]:
    """Write a NIfTI file per class, each whole or not at all: :meth:`openvista.scan.ClassMaps.save`.

    Raises:
        OutputError: the system refused to write.
    """
    from openvista.io.nifti import write_nifti_values

    make_folder(folder)
    written = []
    for values_XYZ, name in zip(maps.values_KXYZ, distinct_file_names(maps.names).values(), strict=True):
        target = folder / f"{name}.nii.gz"
        with replacing(target) as temporary:
            write_nifti_values(temporary, values_XYZ, maps, 1 / 255 if maps.kind == "probabilities" else 1.0)
        written.append(target)
    return written


def check_output(path: str | Path, source: Path | None = None, format: str | None = None) -> None:
    """Refuse a target that cannot work; worth calling before a long computation.

    Args:
        path: the file to be written, as :func:`openvista.io.result_path` gives it.
        source: the scan's own file or folder, which must stay as it is.
        format: as in :func:`write_segmentation`.

    Raises:
        OutputError: unknown ending, no folder, no permission, the target is the scan, DICOM from a source that is not
            DICOM, or the ``.json`` beside a label map exists and is somebody else's.
        MissingExtraError: a package that the format needs is not installed.
    """
    path = result_path(path, "scan", format)
    format = output_format(path, format)
    try:
        path.exists()
    except OSError as error:  # a name longer than the system knows
        raise output_error(path.with_name(f"{path.name[:80]}..."), error) from None
    if source is not None and source.exists() and path.exists() and path.samefile(source):
        raise OutputError(f"{path}: is the scan itself; choose another output name")
    if not path.parent.is_dir():
        code = errno.ENOTDIR if path.parent.exists() else errno.ENOENT
        raise output_error(path, OSError(code, os.strerror(code)))
    if not os.access(path.parent, os.W_OK):
        raise output_error(path, PermissionError(errno.EACCES, os.strerror(errno.EACCES)))
    side = sidecar_path(path)
    if f".{format}" in OUTPUT_SUFFIXES and side.exists() and not is_description(side):
        raise OutputError(f"{side}: exists and was not written by OpenVISTA; choose another output name")
    if format in DICOM_FORMATS and source is not None and image_suffix(source):
        raise not_from_dicom(str(source), format)
    _check_packages(format)


def require_something(layers: Sequence[Segmentation], name: str, format: str) -> None:
    """Refuse to write DICOM or surfaces of nothing, which the formats do not know.

    Raises:
        FormatError: no voxel is labelled.
    """
    if not any(layer.labels.any() for layer in layers):
        remedy = "label maps (nii.gz, seg.nrrd, ...) may be empty"
        raise FormatError(f"{name}: nothing was found, so there is nothing to write as {format}; {remedy}")


def _check_packages(format: str) -> None:
    packages, extra, purpose = _PACKAGES.get(format, ((), "", ""))
    for package in packages:
        if find_spec(package) is None:
            raise MissingExtraError(package, extra, purpose)


def as_stored(segmentation: Segmentation) -> Segmentation:
    """Every id present has a name, and the dtype is that of the labels, or the larger one where an id asks for it."""
    present = present_ids(segmentation.labels)
    names = {key: f"label {key}" for key in present} | segmentation.names
    fits = max([*names, 0]) <= np.iinfo(np.uint8).max
    labels = segmentation.labels if fits else segmentation.labels.astype(np.uint16, copy=False)
    return dataclasses.replace(segmentation, labels=labels, names=names)


def write_format(path: Path, segmentation: Segmentation, format: str, compress: bool = False) -> None:
    """Write one file; writers are loaded when first needed.

    Args:
        path: a temporary name with the format's ending.
        segmentation: as :func:`as_stored` gives it.
        format: of a label map or of surfaces.
        compress: see :func:`write_segmentation`.
    """
    if format.startswith("nii"):
        from openvista.io.nifti import write_nifti

        write_nifti(path, segmentation, compress)
    elif format in MESH_FORMATS:
        from openvista.io.mesh import write_mesh

        write_mesh(path, segmentation)
    else:
        from openvista.io.itk import write_itk

        write_itk(path, segmentation)


def _write_dicom(path: Path, layers: Sequence[Segmentation], format: str, options: DicomOptions) -> None:
    keep = options.keep_identifiers
    if format == "dicom-seg":
        from openvista.io.dicom.seg import write_seg

        write_seg(path, layers, labelmap=options.labelmap, keep_identifiers=keep)
    elif format == "dicom-rtstruct":
        from openvista.io.dicom.rtstruct import write_rtstruct

        write_rtstruct(path, layers, keyhole=options.keyhole, keep_identifiers=keep)
    else:
        from openvista.io.dicom.sr import write_sr

        write_sr(path, layers, seg=options.seg, keep_identifiers=keep)


def described(segmentation: Segmentation) -> str:
    """The text of the ``.json`` beside a label map, with what is unlikely of it where somebody judged that."""
    told = dict(segmentation.provenance)
    if segmentation.unlikely is not None:
        told["unlikely"] = {str(key): measures for key, measures in sorted(segmentation.unlikely.items())}
    return describe(segmentation.names, segmentation.colours, told)


def describe(names: Mapping[int, str], colours: Mapping[int, Colour], provenance: Mapping[str, object]) -> str:
    """The text of the ``.json`` beside a label map: provenance, names, and their colours as ``#rrggbb``."""
    content: dict[str, object] = {"version": __version__} | dict(provenance)
    content["labels"] = {str(key): name for key, name in sorted(names.items())}
    content["colours"] = {str(key): to_hex(colours[key]) for key in sorted(names)}
    return json.dumps(content, indent=2, ensure_ascii=False, default=_plain) + "\n"


def is_description(path: Path) -> bool:
    """Whether a file is the description that we write beside a label map."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and isinstance(content.get("labels"), dict)


def _plain(value: Any) -> object:
    """What JSON does not know, in words it knows."""
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    if isinstance(value, Path):
        return value.name  # folders on somebody's machine do not belong in a result
    raise TypeError(f"provenance holds a {type(value).__name__}, which JSON cannot store")
