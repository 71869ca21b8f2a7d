"""How much a request may bring: counted while it comes in, whatever its headers claim."""

import contextlib
import re

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from openvista.serve.problems import problem
from openvista.serve.settings import MEGABYTE, Settings

_SMALL = MEGABYTE
"""Enough for every request without a file: a lasso of 4096 points takes 150 kB."""

_UPLOADS = re.compile(
    r"POST /(api/v1/scans|api/v1/sessions/import|v1/files|infer/[^/]+)/?|PUT /(session|datastore(/(image|label))?)/?"
)
"""Method and path of the routes that take files."""


class BodyLimit:
    """ASGI middleware: answers 413 as soon as a body is larger than its route takes, and 415 to compressed bodies.

    A compressed body would be a bomb's easiest way in, and no client we know sends one.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._upload_bytes = settings.upload_bytes + _SMALL  # the form around the file

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        limit = self._limit(scope["method"], scope["path"])
        if headers.get("content-encoding", "identity").lower() != "identity":
            refusal = problem(415, "media-type", "compressed request bodies are not taken; send the file as it is")
            await refusal(scope, receive, send)
            return
        claimed = headers.get("content-length", "0")
        if claimed.isdigit() and int(claimed) > limit:
            await self._too_large(limit)(scope, receive, send)
            return
        await _Counted(self._app, limit, self._too_large(limit)).run(scope, receive, send)

    def _limit(self, method: str, path: str) -> int:
        return self._upload_bytes if _UPLOADS.fullmatch(f"{method} {path}") else _SMALL

    @staticmethod
    def _too_large(limit: int) -> ASGIApp:
        return problem(413, "too-large", f"the request is larger than the {limit // MEGABYTE} MB this server takes")


class _TooLarge(Exception):
    """Unwinds the reading of a body; the answer is ours whatever the handlers make of it."""


class _Counted:
    """One request whose body is counted."""

    def __init__(self, app: ASGIApp, limit: int, refusal: ASGIApp) -> None:
        self._app = app
        self._limit = limit
        self._refusal = refusal
        self._count = 0
        self._started = False

    async def run(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def counted() -> Message:
            message = await receive()
            self._count += len(message.get("body", b""))
            if self._exceeded:
                raise _TooLarge
            return message

        async def held(message: Message) -> None:
            if self._exceeded and not self._started:
                return  # some handler's own words for the same thing
            self._started = True
            await send(message)

        with contextlib.suppress(_TooLarge):
            await self._app(scope, counted, held)
        if self._exceeded and not self._started:
            await self._refusal(scope, receive, send)

    @property
    def _exceeded(self) -> bool:
        return self._count > self._limit
