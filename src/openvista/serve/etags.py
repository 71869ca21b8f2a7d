"""Answers that a client need not fetch twice."""

from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response


def answer_with_etag(request: Request, content: bytes, tag: str, media: str, filename: str | None = None) -> Response:
    """The content, or 304 when the client has it already."""
    headers = _headers(tag, filename)
    if has_it(request, tag):
        return not_modified(tag)
    return Response(content, media_type=media, headers=headers)


def file_with_etag(request: Request, path: Path, tag: str, media: str, filename: str) -> Response:
    """The file, or 304 when the client has it already."""
    headers = _headers(tag, None)
    if has_it(request, tag):
        return not_modified(tag)
    return FileResponse(path, media_type=media, filename=filename, headers=headers)


def not_modified(tag: str) -> Response:
    """304."""
    return Response(status_code=304, headers=_headers(tag, None))


def attachment(filename: str) -> str:
    """A Content-Disposition for any name, in letters that every client reads and in the real ones (RFC 6266)."""
    from urllib.parse import quote

    plain = "".join(
        letter if letter.isascii() and letter.isprintable() and letter not in '"\\' else "_" for letter in filename
    )
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(filename, safe='')}"


def _headers(tag: str, filename: str | None) -> dict[str, str]:
    # no-cache: keep it, but ask before using it; private: no proxy keeps a patient's image
    headers = {"ETag": f'"{tag}"', "Cache-Control": "private, no-cache"}
    return headers if filename is None else headers | {"Content-Disposition": attachment(filename)}


def has_it(request: Request, tag: str) -> bool:
    """Whether a client says that it has this version."""
    known = [part.strip().removeprefix("W/") for part in request.headers.get("if-none-match", "").split(",")]
    return f'"{tag}"' in known or "*" in known
