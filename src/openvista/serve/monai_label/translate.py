"""Between MONAI Label's words and ours: a request's ``params`` become a question, and its result an answer."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openvista.dicom_slices import DicomSlices
from openvista.errors import ServiceError
from openvista.io.dicom.frames import labels_on_slices
from openvista.prompts import Click
from openvista.scan import Segmentation
from openvista.serve.ids import new_id
from openvista.serve.monai_label.models import ListedModel
from openvista.serve.oneshot import Question
from openvista.serve.schemas import MAX_CLICKS
from openvista.structures import present_ids

_POSITIVE = (1, 3)
"""Values of ``point_labels`` that include; 0 and 2 exclude. 2 and 3 are VISTA3D's own for special classes."""
_UNNAMED = "object"
_MOST_TEXT = 120
_ENDINGS = (".nrrd", ".seg.nrrd", ".nii.gz", ".nii", ".mha")
_DEFAULT_ENDING = ".nii.gz"


@dataclass(frozen=True)
class ClientQuestion:
    """What is asked, and how the answer is numbered.

    Attributes:
        question: for the engine.
        single: name of the only segment of the answer, whose value is then 1; ``None``: the engine's ids.
    """

    question: Question
    single: str | None = None


# --- what is asked ------------------------------------------------------------------------------------------------


def read_params(text: str | None) -> dict[str, Any]:
    """The JSON object in a form field.

    Raises:
        ServiceError: 422, it is none.
    """
    try:
        content = json.loads(text or "{}")
    except (ValueError, RecursionError):
        raise ServiceError("params is not JSON", code="params") from None
    if not isinstance(content, dict):
        raise ServiceError("params must be a JSON object", code="params")
    return content


def to_question(listed: ListedModel, params: Mapping[str, Any]) -> ClientQuestion:
    """What a client wants of a model.

    Raises:
        ServiceError: 422, params that cannot be understood.
    """
    if listed.kind == "segmentation":
        classes = _names(params.get("classes"))
        return ClientQuestion(Question(classes=classes or None))
    if listed.kind == "deepgrow":
        return _clicks_on_segment(listed, params)
    return _prompts(listed, params)


def _prompts(listed: ListedModel, params: Mapping[str, Any]) -> ClientQuestion:
    """Type vista3d: ``label_prompt`` ids, ``points`` with ``point_labels``, or nothing for everything."""
    classes = _names(params.get("label_prompt"))
    points = _places(params.get("points"), "points")
    if not points:
        return ClientQuestion(Question(classes=classes or None))
    signs = params.get("point_labels")
    if signs is None:
        signs = [1] * len(points)
    if not isinstance(signs, list) or len(signs) != len(points) or not all(sign in (0, 1, 2, 3) for sign in signs):
        raise ServiceError("point_labels must be as many values 0..3 as there are points", code="params")
    clicks = [Click(place, sign in _POSITIVE) for place, sign in zip(points, signs, strict=True)]
    if len(classes) > 1:
        raise ServiceError("points are for one class: give one label_prompt, or none", code="params")
    if classes:
        return ClientQuestion(Question(clicks={classes[0]: clicks}))
    return ClientQuestion(Question(clicks={_UNNAMED: clicks}, new=frozenset({_UNNAMED})), single=_UNNAMED)


def _clicks_on_segment(listed: ListedModel, params: Mapping[str, Any]) -> ClientQuestion:
    """Type deepgrow: ``foreground`` and ``background`` on the segment called ``label``."""
    label = params.get("label")
    name = str(label).strip()[:_MOST_TEXT] if isinstance(label, str) and label.strip() else _UNNAMED
    positive = _places(params.get("foreground"), "foreground")
    negative = _places(params.get("background"), "background")
    clicks = [Click(place, True) for place in positive] + [Click(place, False) for place in negative]
    if not clicks:
        raise ServiceError("click on something first: 'foreground' is empty", code="params")
    known = {item.name.casefold(): item.id for item in listed.model.vocabulary.classes()}
    if name.casefold() in known:
        return ClientQuestion(Question(clicks={known[name.casefold()]: clicks}), single=name)
    if name.isdecimal():
        name = f"segment {name}"
    return ClientQuestion(Question(clicks={name: clicks}, new=frozenset({name})), single=name)


def _names(value: Any) -> list[int | str]:
    """Classes, however they are written; nothing and "everything" give an empty list."""
    if value is None or value == "":
        return []
    items = value.split(",") if isinstance(value, str) else value if isinstance(value, Sequence) else [value]
    names: list[int | str] = []
    for item in items:
        if isinstance(item, bool) or not isinstance(item, int | str) or len(str(item)) > _MOST_TEXT:
            raise ServiceError("classes are names or ids", code="params")
        if isinstance(item, int):
            names.append(item)
        elif item.strip():
            names.append(item.strip())
    return [] if any(str(name).casefold() in ("all", "everything") for name in names) else names


def _places(value: Any, name: str) -> list[tuple[float, float, float]]:
    """Voxels [i, j, k]; a single one, or a list in JSON as text, is taken as well."""
    if isinstance(value, str):
        value = read_params(f'{{"places": {value or "[]"}}}')["places"]
    if not value:
        return []
    if not isinstance(value, list) or len(value) > MAX_CLICKS:
        raise ServiceError(f"{name} must be a list of at most {MAX_CLICKS} voxels", code="params")
    items = [value] if len(value) == 3 and all(isinstance(part, int | float) for part in value) else value
    return [_place(item, name) for item in items]


def _place(item: Any, name: str) -> tuple[float, float, float]:
    numbers = isinstance(item, list) and len(item) >= 3 and all(_is_number(part) for part in item[:3])
    if not numbers:
        raise ServiceError(f"{name} must be voxels [i, j, k]", code="params")
    return (float(item[0]), float(item[1]), float(item[2]))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and abs(value) < 1e9


# --- what comes back ----------------------------------------------------------------------------------------------


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
    ending = params.get("result_extension") or _DEFAULT_ENDING
    if ending not in _ENDINGS:
        raise ServiceError(f"result_extension must be one of {', '.join(_ENDINGS)}", code="params")
    return str(ending)


def label_file(segmentation: Segmentation, folder: Path, ending: str) -> bytes:
    """The label map as a file.

    Args:
        segmentation: with the values it should have.
        folder: for writing.
        ending: of the format.
    """
    return segmentation.save(folder / f"answer{ending}").read_bytes()


def raw_nrrd(labels_XYZ: NDArray[np.unsignedinteger], affine: NDArray[np.float64], dtype: object) -> bytes:
    """An NRRD whose voxels follow as they are, little-endian, first axis fastest: OHIF reads no other.

    Args:
        labels_XYZ: ids.
        affine: voxels to RAS+ mm.
        dtype: what the client asks for: "uint16", or else uint8 where all ids fit.
    """
    wide = dtype == "uint16" or labels_XYZ.max(initial=0) > np.iinfo(np.uint8).max
    axes = np.diag([-1.0, -1.0, 1.0]) @ affine[:3]

    def vector(column: int) -> str:
        return "(" + ",".join(f"{value:.9g}" for value in axes[:, column]) + ")"

    header = [
        "NRRD0004",
        f"type: {'unsigned short' if wide else 'unsigned char'}",
        "dimension: 3",
        "space: left-posterior-superior",
        f"sizes: {' '.join(map(str, labels_XYZ.shape))}",
        f"space directions: {vector(0)} {vector(1)} {vector(2)}",
        "kinds: domain domain domain",
        "endian: little",
        "encoding: raw",
        f"space origin: {vector(3)}",
    ]
    return "\n".join(header).encode() + b"\n\n" + labels_XYZ.astype("<u2" if wide else "u1").tobytes(order="F")


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


# --- the voxel order of OHIF --------------------------------------------------------------------------------------
# OHIF has the series' own images, sorted along their normal (cornerstone3D's sortImageIdsAndGetSpacing). A scan's grid
# is the same, but for slices that were filled in, and for a tilted gantry, whose slices lie shifted in their planes.


def question_on_scan(question: Question, slices: DicomSlices) -> Question:
    """A question whose clicks are voxels of the series, as one about the scan's grid.

    Raises:
        ServiceError: 422, a click outside.
    """
    places = [(index, one) for index, one in enumerate(slices.slices) if one is not None]

    def moved(click: Click) -> Click:
        i, j, k = click.voxel
        if not 0 <= round(k) < len(places):
            raise ServiceError(f"a click on slice {k:g} is outside of the {len(places)} slices", code="prompt")
        index, one = places[round(k)]
        return replace(click, voxel=(i - one.shift[0], j - one.shift[1], float(index)))

    return replace(question, clicks={name: [moved(one) for one in each] for name, each in question.clicks.items()})


def labels_in_series(segmentation: Segmentation, slices: DicomSlices) -> NDArray[np.unsignedinteger]:
    """[column, row, slice] ids on the series' own images."""
    return labels_on_slices(segmentation.labels, slices).T
