"""From the ``params`` of an inference request to what the engine is asked, for each type of model."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from openvista.errors import ServiceError
from openvista.prompts import Click
from openvista.serve.monai_label.models import Listed
from openvista.serve.oneshot import Asked
from openvista.serve.schemas import MAX_CLICKS

_POSITIVE = (1, 3)
"""Values of ``point_labels`` that include; 0 and 2 exclude. 2 and 3 are VISTA3D's own for special classes."""
_UNNAMED = "object"
_MOST_TEXT = 120


@dataclass(frozen=True)
class Question:
    """What is asked, and how the answer is numbered.

    Attributes:
        asked: for the engine.
        single: name of the only segment of the answer, whose value is then 1; ``None``: the engine's ids.
    """

    asked: Asked
    single: str | None = None


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


def to_question(listed: Listed, params: Mapping[str, Any]) -> Question:
    """What a client wants of a model.

    Raises:
        ServiceError: 422, params that cannot be understood.
    """
    if listed.kind == "segmentation":
        classes = _names(params.get("classes"))
        return Question(Asked(classes=classes or None))
    if listed.kind == "deepgrow":
        return _clicks_on_segment(listed, params)
    return _prompts(listed, params)


def _prompts(listed: Listed, params: Mapping[str, Any]) -> Question:
    """Type vista3d: ``label_prompt`` ids, ``points`` with ``point_labels``, or nothing for everything."""
    classes = _names(params.get("label_prompt"))
    points = _places(params.get("points"), "points")
    if not points:
        return Question(Asked(classes=classes or None))
    signs = params.get("point_labels")
    if signs is None:
        signs = [1] * len(points)
    if not isinstance(signs, list) or len(signs) != len(points) or not all(sign in (0, 1, 2, 3) for sign in signs):
        raise ServiceError("point_labels must be as many values 0..3 as there are points", code="params")
    clicks = [Click(place, sign in _POSITIVE) for place, sign in zip(points, signs, strict=True)]
    if len(classes) > 1:
        raise ServiceError("points are for one class: give one label_prompt, or none", code="params")
    if classes:
        return Question(Asked(clicks={classes[0]: clicks}))
    return Question(Asked(clicks={_UNNAMED: clicks}, new=frozenset({_UNNAMED})), single=_UNNAMED)


def _clicks_on_segment(listed: Listed, params: Mapping[str, Any]) -> Question:
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
        return Question(Asked(clicks={known[name.casefold()]: clicks}), single=name)
    if name.isdecimal():
        name = f"segment {name}"
    return Question(Asked(clicks={name: clicks}, new=frozenset({name})), single=name)


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
