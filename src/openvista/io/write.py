"""Write a segmentation: the label map on the scan's grid, and its description beside it."""

import dataclasses
import errno
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from openvista._version import __version__
from openvista.anatomy.colours import Colour, to_hex
from openvista.errors import OutputError
from openvista.io.atomic import make_folder, output_error, replacing
from openvista.io.paths import NIFTI_SUFFIXES, image_suffix, result_path, sidecar_path
from openvista.scan import ClassMaps, Scan, Segmentation
from openvista.structures import present_ids


def write_segmentation(segmentation: Segmentation, path: str | Path) -> Path:
    """Write a label map on exactly the scan's grid, and a ``.json`` beside it; both whole or not at all.

    Args:
        segmentation: stored as uint8 when the highest id is at most 255, else as uint16.
        path: ends with ``.nii.gz``, ``.nii``, ``.seg.nrrd``, ``.nrrd`` or ``.mha``; or an existing folder, for
            ``<scan>_seg.nii.gz`` in it.

    Returns:
        The label map's path.

    Raises:
        OutputError: no such folder, no permission, no space, unknown ending, or it would replace the scan itself.
        MissingExtraError: NRRD or MHA without SimpleITK.
    """
    scan = segmentation.scan
    target = result_path(path, scan.name if scan else "scan")
    check_output(target, scan.source if scan else None)
    stored = _as_stored(segmentation)
    side = sidecar_path(target)
    with replacing(side) as temporary_side:
        text = describe(stored.names, stored.colours, stored.provenance)
        temporary_side.write_text(text, encoding="utf-8")
        with replacing(target) as temporary:
            _write_image(temporary, stored)
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
    for values_XYZ, name in zip(maps.values_KXYZ, maps.names.values(), strict=True):
        target = folder / f"{re.sub(r'[^0-9A-Za-z.+-]+', '_', name)}.nii.gz"
        with replacing(target) as temporary:
            write_nifti_values(temporary, values_XYZ, maps, 1 / 255 if maps.kind == "probabilities" else 1.0)
        written.append(target)
    return written


def check_output(path: str | Path, source: Path | None = None) -> None:
    """Refuse a target that cannot work; worth calling before a long computation.

    Args:
        path: the label map to be written, as :func:`openvista.io.result_path` gives it.
        source: the scan's own file, which must stay as it is.

    Raises:
        OutputError: unknown ending, no folder, no permission, the target is the scan, or the ``.json`` beside it
            exists and is somebody else's.
    """
    path = result_path(path, "scan")
    side = sidecar_path(path)
    if source is not None and source.exists() and path.exists() and path.samefile(source):
        raise OutputError(f"{path}: is the scan itself; choose another output name")
    if not path.parent.is_dir():
        code = errno.ENOTDIR if path.parent.exists() else errno.ENOENT
        raise output_error(path, OSError(code, os.strerror(code)))
    if not os.access(path.parent, os.W_OK):
        raise output_error(path, PermissionError(errno.EACCES, os.strerror(errno.EACCES)))
    if side.exists() and not _is_ours(side):
        raise OutputError(f"{side}: exists and was not written by OpenVISTA; choose another output name")


def describe(names: Mapping[int, str], colours: Mapping[int, Colour], provenance: Mapping[str, object]) -> str:
    """The text of the ``.json`` beside a label map: provenance, names, and their colours as ``#rrggbb``."""
    content: dict[str, object] = {"version": __version__} | dict(provenance)
    content["labels"] = {str(key): name for key, name in sorted(names.items())}
    content["colours"] = {str(key): to_hex(colours[key]) for key in sorted(names)}
    return json.dumps(content, indent=2, ensure_ascii=False, default=_plain) + "\n"


def _as_stored(segmentation: Segmentation) -> Segmentation:
    """Every id present has a name, and the dtype is the smallest that holds the highest id."""
    present = present_ids(segmentation.labels)
    names = {key: f"label {key}" for key in present} | segmentation.names
    dtype = np.uint8 if max([*names, 0]) <= np.iinfo(np.uint8).max else np.uint16
    return dataclasses.replace(segmentation, labels=segmentation.labels.astype(dtype, copy=False), names=names)


def _write_image(path: Path, segmentation: Segmentation) -> None:
    if image_suffix(path) in NIFTI_SUFFIXES:
        from openvista.io.nifti import write_nifti

        write_nifti(path, segmentation)
    else:
        from openvista.io.itk import write_itk

        write_itk(path, segmentation)


def _is_ours(side: Path) -> bool:
    try:
        content = json.loads(side.read_text(encoding="utf-8"))
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
