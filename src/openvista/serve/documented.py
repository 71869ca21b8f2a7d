"""Pieces of the OpenAPI description that several routes share."""

from typing import Any

from fastapi import FastAPI

from openvista.serve.schemas import Problem

_MEANINGS = {
    401: "the server's token is missing",
    403: "not allowed on this server",
    404: "there is none, or it is somebody else's",
    409: "not possible in this state",
    413: "larger than this server takes",
    415: "a kind of body that is not taken",
    422: "the input cannot be used",
    429: "the queue is full; Retry-After says when to ask again",
    503: "starting, or about to stop; Retry-After says when to ask again",
    504: "the address did not deliver in time",
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The refusals a route can answer with, besides those that every route has."""
    return {status: {"model": Problem, "description": _MEANINGS[status]} for status in (401, 403, *statuses)}


def form(
    files: str, *, several: bool = False, fields: dict[str, str] | None = None, required: bool = True
) -> dict[str, Any]:
    """The body of a route that reads its own form.

    Args:
        files: the field that brings the file; empty for none.
        several: whether it may come more than once.
        fields: other fields, with what they mean.
        required: whether a file must come.
    """
    binary: dict[str, Any] = {"type": "string", "format": "binary"}
    properties: dict[str, Any] = {}
    if files:
        properties[files] = {"type": "array", "items": binary, "minItems": 1} if several else binary
    for name, meaning in (fields or {}).items():
        properties[name] = {"type": "string", "description": meaning}
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    if required:
        schema["required"] = [files]
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}


def body(media: str, description: str) -> dict[int | str, dict[str, Any]]:
    """A successful answer that is a file."""
    schema = {"type": "string", "format": "binary"}
    return {200: {"description": description, "content": {media: {"schema": schema}}}}


def describe_refusals(app: FastAPI) -> None:
    """Where a route says nothing about 422, FastAPI describes its own words for it; ours are those of every refusal."""
    make = app.openapi

    def described() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = make()
            for operations in schema["paths"].values():
                for operation in operations.values():
                    _mend(operation["responses"].get("422"))
            for name in _FOREIGN:
                schema["components"]["schemas"].pop(name, None)
        return make()

    app.openapi = described  # type: ignore[method-assign]


_FOREIGN = ("HTTPValidationError", "ValidationError")


def _mend(answer: dict[str, Any] | None) -> None:
    for content in (answer or {}).get("content", {}).values():
        if answer is not None and content["schema"].get("$ref", "").rsplit("/", 1)[-1] in _FOREIGN:
            content["schema"] = {"$ref": f"#/components/schemas/{Problem.__name__}"}
            answer["description"] = _MEANINGS[422]
