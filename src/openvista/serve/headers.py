"""Headers of answers: tags, so that a client need not fetch twice what it has, and names of files."""

from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response


def with_etag(request: Request, answer: Response, tag: str) -> Response:
    """The answer with its tag, or 304 when the client has it already."""
    return not_modified(tag) if has_it(request, tag) else _tagged(answer, tag)


def not_modified(tag: str) -> Response:
    """304."""
    return _tagged(Response(status_code=304), tag)


def attachment(filename: str) -> str:
    """A Content-Disposition for any name, in letters that every client reads and in the real ones (RFC 6266)."""
    plain = "".join(
        letter if letter.isascii() and letter.isprintable() and letter not in '"\\' else "_" for letter in filename
    )
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(filename, safe='')}"


def has_it(request: Request, tag: str) -> bool:
    """Whether a client says that it has this version."""
    known = [part.strip().removeprefix("W/") for part in request.headers.get("if-none-match", "").split(",")]
    return f'"{tag}"' in known or "*" in known


def _tagged(answer: Response, tag: str) -> Response:
    # no-cache: keep it, but ask before using it; private: no proxy keeps a patient's image
    answer.headers.update({"ETag": f'"{tag}"', "Cache-Control": "private, no-cache"})
    return answer
