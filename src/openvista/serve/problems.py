"""Every refusal as JSON of one shape, whichever part of the server made it; and how the API's description tells it."""

import logging
import math
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from openvista.errors import (
    AnatomyError,
    DeviceError,
    FormatError,
    InputError,
    OpenVistaError,
    OutputError,
    PromptError,
    ScanError,
    ServiceError,
)
from openvista.io.atomic import FULL_DISK
from openvista.serve.schemas import Problem

logger = logging.getLogger(__name__)

_CODES: dict[type[InputError], str] = {ScanError: "scan", AnatomyError: "class", PromptError: "prompt"}
_OUR_FAULT: dict[type[InputError], tuple[int, str, str]] = {
    DeviceError: (503, "device", "the server's device cannot compute this; its log says why"),
    OutputError: (507, "storage", "the server cannot write; its log says why"),
}
"""What is the user's input in a command line, and is not when the machine is somebody else's."""
_STATUS_CODES = {404: "not-found", 405: "method", 413: "too-large", 415: "media-type"}
MEANINGS = {
    401: "the server's token is missing",
    403: "not allowed on this server",
    404: "there is none, or it is somebody else's",
    409: "not possible in this state",
    410: "the lease has ended, or never was; claim another",
    413: "larger than this server takes",
    415: "a kind of body that is not taken",
    422: "the input cannot be used",
    429: "the queue is full; Retry-After says when to ask again",
    501: "this installation lacks a package for it",
    502: "the PACS behind this server refuses, or cannot be reached",
    507: "the server's disk is full",
    503: "starting, or about to stop; Retry-After says when to ask again",
    504: "the address did not deliver in time",
}
"""What each refusal means, for the description of the API."""


def problem(
    status: int, code: str, detail: str, retry_after: float | None = None, choices: dict[str, str] | None = None
) -> Response:
    """The answer for one refusal."""
    headers = {} if retry_after is None else {"Retry-After": str(max(1, math.ceil(retry_after)))}
    content = {"detail": detail, "code": code} | ({"choices": choices} if choices else {})
    return JSONResponse(content, status, headers)


def describe(error: OpenVistaError) -> tuple[int, str, str, float | None]:
    """Status, code, detail and seconds to wait for one of our errors."""
    if isinstance(error, ServiceError):
        return error.status, error.code, str(error), error.retry_after
    if isinstance(error, FormatError):  # an OutputError that is not our fault
        return 422, "format", str(error), None
    for kind, (status, code, detail) in _OUR_FAULT.items():
        if isinstance(error, kind):
            return status, code, detail, None
    if isinstance(error, InputError):
        kinds = [code for kind, code in _CODES.items() if isinstance(error, kind)]
        return 422, kinds[0] if kinds else type(error).__name__.removesuffix("Error").lower(), str(error), None
    return 500, "internal", "the server failed; its log says why", None


def install(app: FastAPI) -> None:
    """Make the app answer every error as a problem."""

    @app.exception_handler(OpenVistaError)
    async def ours(_: Request, error: OpenVistaError) -> Response:
        status, code, detail, retry_after = describe(error)
        if status >= 500 and not isinstance(error, ServiceError):  # those are answers we chose, such as "starting"
            logger.error("%s", type(error).__name__, exc_info=error)
        return problem(status, code, detail, retry_after, getattr(error, "choices", None))

    @app.exception_handler(OSError)
    async def system(_: Request, error: OSError) -> Response:
        if error.errno in FULL_DISK:
            logger.error("the disk is full")
            return problem(507, "disk-full", "the server's disk is full; ask its operator", 60)
        logger.error("unexpected %s", type(error).__name__, exc_info=error)
        return problem(500, "internal", "the server failed; its log says why")

    @app.exception_handler(RequestValidationError)
    async def schema(_: Request, error: RequestValidationError) -> Response:
        return problem(422, "request", _first(error))

    @app.exception_handler(HTTPException)
    async def http(_: Request, error: HTTPException) -> Response:
        answer = problem(error.status_code, _STATUS_CODES.get(error.status_code, "request"), str(error.detail))
        answer.headers.update(error.headers or {})
        return answer

    @app.exception_handler(Exception)
    async def unexpected(_: Request, error: Exception) -> Response:
        logger.error("unexpected %s", type(error).__name__, exc_info=error)
        return problem(500, "internal", "the server failed; its log says why")


def _first(error: RequestValidationError) -> str:
    """``body.clicks.0.voxel: Field required`` and how many more there are."""
    problems = error.errors()
    first = problems[0]
    where = ".".join(str(part) for part in first["loc"])
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"{where}: {first['msg']}{more}"


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The refusals a route can answer with, besides those that every route has."""
    return {status: {"model": Problem, "description": MEANINGS[status]} for status in (401, 403, *statuses)}


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
