"""From a segmentation to the bytes that stock clients read."""

import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from openvista.errors import ServiceError
from openvista.scan import Segmentation
from openvista.serve.guard import new_id
from openvista.structures import present_ids

_ENDINGS = (".nrrd", ".seg.nrrd", ".nii.gz", ".nii", ".mha")
DEFAULT_ENDING = ".nii.gz"


def numbered(segmentation: Segmentation, single: str | None) -> Segmentation:
    """Only what has voxels keeps its name: Slicer gives names in ascending order of the values that it finds.

    Args:
        segmentation: the engine's.
        single: name of the only segment, which then has value 1.
    """
    if single is not None:
        labels = (segmentation.labels > 0).astype(np.uint8)
        return Segmentation(labels, segmentation.grid, {1: single}, {}, segmentation.scan, segmentation.provenance)
    present = present_ids(segmentation.labels)
    dtype = np.uint8 if max([*present, 0]) < 256 else np.uint16
    names = {key: segmentation.names[key] for key in present}
    return replace(segmentation, labels=segmentation.labels.astype(dtype, copy=False), names=names)


def wanted_ending(params: dict[str, Any]) -> str:
    """The file format a client asks for.

    Raises:
        ServiceError: 422, one that we do not write.
    """
    ending = params.get("result_extension") or DEFAULT_ENDING
    if ending not in _ENDINGS:
        raise ServiceError(f"result_extension must be one of {', '.join(_ENDINGS)}", code="params")
    return str(ending)


def label_file(segmentation: Segmentation, folder: Path, ending: str, compress: bool) -> bytes:
    """The label map as a file.

    Args:
        segmentation: with the values it should have.
        folder: for writing.
        ending: of the format.
        compress: false for OHIF, whose reader knows raw NRRD only.
    """
    path = segmentation.save(folder / f"answer{ending}")
    content = path.read_bytes()
    return content if compress or not ending.endswith(".nrrd") else unpacked_nrrd(content)


def unpacked_nrrd(content: bytes) -> bytes:
    """An NRRD whose voxels follow as they are: little-endian, first axis fastest."""
    header, _, data = content.partition(b"\n\n")
    if b"encoding: gzip" not in header:
        return content
    return header.replace(b"encoding: gzip", b"encoding: raw") + b"\n\n" + gzip.decompress(data)


def params_of(segmentation: Segmentation, seconds: float, notes: list[str]) -> dict[str, Any]:
    """What is told besides the file."""
    names = {name: key for key, name in sorted(segmentation.names.items())}
    return {"label_names": names, "latencies": {"total": round(seconds, 3)}, "notes": notes}


def multipart(params: dict[str, Any], content: bytes, ending: str) -> tuple[bytes, str]:
    """Both in one answer, and its content type. Clients save the file under its name: a bare one, unlike any other."""
    boundary = f"openvista-{new_id()}"
    name = f"label-{new_id()}{ending}".replace("_", "-")
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="params"\r\n'.encode(),
        b"Content-Type: application/json\r\n\r\n",
        json.dumps(params).encode(),
        f'\r\n--{boundary}\r\nContent-Disposition: form-data; name="image"; filename="{name}"\r\n'.encode(),
        b"Content-Type: application/octet-stream\r\n\r\n",
        content,
        f"\r\n--{boundary}--\r\n".encode(),
    ]
    return b"".join(parts), f"multipart/form-data; boundary={boundary}"
