"""Every refusal as JSON of one shape, whichever part of the server made it."""

import logging
import math
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from openvista.errors import (
    AnatomyError,
    DeviceError,
    InputError,
    OpenVistaError,
    OutputError,
    PromptError,
    ScanError,
    ServiceError,
)

logger = logging.getLogger(__name__)

_CODES: dict[type[InputError], str] = {ScanError: "scan", AnatomyError: "class", PromptError: "prompt"}
_OUR_FAULT: dict[type[InputError], tuple[int, str, str]] = {
    DeviceError: (503, "device", "the server's device cannot compute this; its log says why"),
    OutputError: (507, "storage", "the server cannot write; its log says why"),
}
"""What is the user's input in a command line, and is not when the machine is somebody else's."""
_STATUS_CODES = {404: "not-found", 405: "method", 413: "too-large", 415: "media-type"}


def problem(status: int, code: str, detail: str, retry_after: float | None = None) -> Response:
    """The answer for one refusal."""
    headers = {} if retry_after is None else {"Retry-After": str(max(1, math.ceil(retry_after)))}
    return JSONResponse({"detail": detail, "code": code}, status, headers)


def describe(error: OpenVistaError) -> tuple[int, str, str, float | None]:
    """Status, code, detail and seconds to wait for one of our errors."""
    if isinstance(error, ServiceError):
        return error.status, error.code, str(error), error.retry_after
    for kind, (status, code, detail) in _OUR_FAULT.items():
        if isinstance(error, kind):
            return status, code, detail, None
    if isinstance(error, InputError):
        kinds = [code for kind, code in _CODES.items() if isinstance(error, kind)]
        return 422, kinds[0] if kinds else type(error).__name__.removesuffix("Error").lower(), str(error), None
    return 500, "internal", "the server failed; its log says why", None


def without_paths(message: str, *paths: Path | None) -> str:
    """A message for a stranger: our own folders do not concern them."""
    for path in paths:
        if path is not None:
            message = message.replace(str(path), "the kept file")
    return message


def install(app: FastAPI) -> None:
    """Make the app answer every error as a problem."""

    @app.exception_handler(OpenVistaError)
    async def ours(_: Request, error: OpenVistaError) -> Response:
        status, code, detail, retry_after = describe(error)
        if status >= 500 and not isinstance(error, ServiceError):  # those are answers we chose, such as "starting"
            logger.error("%s", type(error).__name__, exc_info=error)
        return problem(status, code, detail, retry_after)

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
