"""The description of the API at ``/openapi.json``: what FastAPI writes, with refusals, who may ask, and examples."""

from typing import Any

from fastapi import FastAPI

from openvista.serve.guard import OWNER_HEADER, TOKEN_COOKIE
from openvista.serve.problems import MEANINGS
from openvista.serve.schemas import Problem

_FOREIGN = ("HTTPValidationError", "ValidationError")
"""What FastAPI calls its own refusals."""
_OPEN_TAG = "health"
_SCHEMES: dict[str, Any] = {
    "token": {"type": "http", "scheme": "bearer", "description": "the server's token, where it has one"},
    "cookie": {"type": "apiKey", "in": "cookie", "name": TOKEN_COOKIE, "description": "the same, in a browser"},
    "owner": {
        "type": "apiKey",
        "in": "header",
        "name": OWNER_HEADER,
        "description": "a secret of yours, of 16 characters or more: your scans and sessions are found again by it",
    },
}
_ACCESS: list[dict[str, list[str]]] = [{"token": [], "owner": []}, {"cookie": []}, {"owner": []}, {}]
"""Any of these: on this machine nothing is needed."""
_EXAMPLES: dict[str, Any] = {
    "FromPath": {"path": "/data/ct/case1.nii.gz"},
    "FromUrl": {"url": "https://files.example.org/case1.nii.gz", "name": "case 1"},
    "OpenSession": {"scan_id": "sDlx2vSX2oYQ0hVrOTuJcg"},
    "AskClasses": {"classes": ["liver", "spinal cord"]},
    "AskClicks": {"object": "liver", "clicks": [{"voxel": [120, 88, 40]}, {"voxel": [90, 71, 33], "positive": False}]},
    "AskBox": {"object": "lesion", "box": [[100, 130], [70, 95], [40, 41]]},
    "AskScribble": {"object": "lesion", "points": [[104, 75, 40], [110, 80, 40], [118, 84, 40]]},
    "AskLasso": {"object": "lesion", "axis": 2, "slice": 40, "points": [[100, 70], [130, 70], [115, 95]]},
    "AskEdit": {
        "object": "lesion",
        "edit": {"kind": "brush", "points": [[104, 75, 40], [110, 80, 40]], "radius_mm": 4},
    },
    "Brush": {"kind": "brush", "points": [[104, 75, 40]], "radius_mm": 4, "axis": 2, "hu": [-50, 150], "add": False},
    "Polygon": {"kind": "polygon", "axis": 2, "slice": 40, "points": [[100, 70], [130, 70], [115, 95]]},
    "Voxels": {"kind": "voxels", "box": [[104, 107], [75, 77], [40, 41]], "runs": [0, 2, 1, 3]},
    "FillHoles": {"kind": "fill_holes", "axis": 2},
    "KeepPiece": {"kind": "keep_piece", "voxel": [104, 75, 40]},
    "Smooth": {"kind": "smooth", "mm": 1.5},
    "Margin": {"kind": "margin", "mm": -2},
    "Interpolate": {"kind": "interpolate", "axis": 2},
    "CopySlice": {"kind": "copy_slice", "axis": 2, "slice": 40, "by": 1},
    "Combine": {"kind": "combine", "operation": "subtract", "other": "spinal cord"},
    "SetMeasurements": {"measurements": [{"kind": "ruler", "points": [[104, 75, 40], [118, 84, 40]]}]},
    "Ruler": {"kind": "ruler", "name": "short axis", "points": [[104, 75, 40], [118, 84, 40]]},
    "Angle": {"kind": "angle", "points": [[104, 75, 40], [110, 80, 40], [118, 75, 40]]},
    "Ellipse": {"kind": "ellipse", "axis": 2, "points": [[104, 75, 40], [118, 84, 40]]},
    "NewObject": {"name": "lesion", "colour": "#ff8800"},
    "ChangeObject": {"locked": True},
    "ChangeScan": {"state": "done"},
}
"""Of bodies, by the name of their schema."""


def describe_all(app: FastAPI) -> None:
    """Complete what FastAPI describes; done when it is first asked for."""
    make = app.openapi

    def described() -> dict[str, Any]:
        if app.openapi_schema is None:
            _complete(make())
        return make()

    app.openapi = described  # type: ignore[method-assign]


def _complete(schema: dict[str, Any]) -> None:
    schemas = schema["components"]["schemas"]
    for operations in schema["paths"].values():
        for operation in operations.values():
            _mend(operation["responses"].get("422"))
            if _OPEN_TAG in operation.get("tags", ()):
                operation["security"] = []
    for name in _FOREIGN:
        schemas.pop(name, None)
    for name, example in _EXAMPLES.items():
        schemas[name]["examples"] = [example]
    schema["components"]["securitySchemes"] = _SCHEMES
    schema["security"] = _ACCESS


def _mend(answer: dict[str, Any] | None) -> None:
    for content in (answer or {}).get("content", {}).values():
        if answer is not None and content["schema"].get("$ref", "").rsplit("/", 1)[-1] in _FOREIGN:
            content["schema"] = {"$ref": f"#/components/schemas/{Problem.__name__}"}
            answer["description"] = MEANINGS[422]
