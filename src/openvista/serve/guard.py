"""What is refused before anybody reads it: who may ask (:class:`Guard`), and how much may come (:class:`BodyLimit`);
and what is believed of a proxy (:class:`Public`).

The server usually listens on 127.0.0.1, where every web page that the user has open can send requests to it. So besides
the token there are two checks that only browsers meet: ``Host`` must be a name of ours (DNS rebinding), and ``Origin``,
when there is one, must be our own or an allowed one (cross-site requests).
"""

import asyncio
import contextlib
import hashlib
import hmac
import re
import time
from collections import deque
from datetime import datetime, timedelta, timezone
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from starlette.datastructures import Headers, QueryParams
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from openvista.serve.ids import new_secret
from openvista.serve.problems import problem
from openvista.serve.settings import MEGABYTE, Settings

OWNER_HEADER = "X-OpenVISTA-Owner"
_OWNER_COOKIE = "openvista_owner"
TOKEN_COOKIE = "openvista_token"
_MINUTE = 60.0
_COOKIE_SECONDS = 30 * 24 * 3600
_OPEN_PATHS = ("/v1/health/live", "/v1/health/ready", "/auth", "/auth/", "/auth/token")
_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
_LOCAL_NAMES = ("localhost", "127.0.0.1", "[::1]")
_NO_TOKEN_PAGE = """<!doctype html><html lang="en"><title>OpenVISTA</title>
<body style="font:16px system-ui;margin:4em auto;max-width:34em">
<h1>OpenVISTA</h1><p>This server needs its token. Open the address that <code>openvista serve</code> printed:
it ends with <code>?token=...</code>.</p></body></html>"""
_SMALL = MEGABYTE
"""Enough for every request without a file: a lasso of 4096 points takes 150 kB."""
_TICKET = re.compile(r"~[0-9a-f]{40}$")
_TICKET_PATHS = ("/datastore/image", "/datastore/image/")
_SLOWEST = 64 * 1024
"""Bytes per second of a body, once its first seconds are over: a slow line in a hospital, not a hand on the tap."""
_UPLOADS = re.compile(
    r"POST /(api/v1/scans|api/v1/sessions/(import|[^/]+/(segmentation|comparison))|v1/files|infer/[^/]+|"
    r"nninteractive/(set_image|add_(scribble|lasso|initial_seg)_interaction))/?|"
    r"PUT /(session|datastore(/(image|label))?)/?"
)
"""Method and path of the routes that take files."""


class Guard:
    """ASGI middleware: refuses whoever may not ask, before anything of the request is read.

    Host names are not left to starlette's ``TrustedHostMiddleware``: it answers 400 and plain text, where every
    refusal of this server is JSON with a code, and it takes ``*`` for a wildcard.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._token = settings.token.get_secret_value() if settings.token else None
        own = () if settings.public_url is None else (origin_of(settings.public_url),)
        self._origins = frozenset(origin.rstrip("/") for origin in (*settings.cors_origins, *own))
        self._hosts = _host_names(settings)
        self._settings = settings
        self._wrong: dict[str, deque[float]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = self._refusal(scope, Headers(scope=scope))
        await (answer or self._app)(scope, receive, send)

    def _refusal(self, scope: Scope, headers: Headers) -> Response | None:
        host = headers.get("host", "")
        if self._hosts is not None and _without_port(host) not in self._hosts:
            return problem(403, "host", "this server does not answer under that host name; see --allowed-host")
        origin = headers.get("origin")
        if origin and scope["method"] not in _SAFE_METHODS and not self._is_ours(origin, host):
            return problem(403, "origin", "requests from that web page are not allowed; see --cors-origin")
        is_preflight = scope["method"] == "OPTIONS" and "access-control-request-method" in headers
        if self._token is None or scope["path"] in _OPEN_PATHS or is_preflight:
            return None
        return self._check_token(scope, headers)

    def _is_ours(self, origin: str, host: str) -> bool:
        return origin in self._origins or (origin != "null" and urlsplit(origin).netloc.lower() == host.lower())

    def _check_token(self, scope: Scope, headers: Headers) -> Response | None:
        if scope["path"] in _TICKET_PATHS and scope["method"] in _SAFE_METHODS and self._has_ticket(scope):
            return None
        given = [_bearer(headers), _read_cookie(headers, TOKEN_COOKIE)]
        if scope["path"] == "/":
            given.append(QueryParams(scope["query_string"]).get("token"))
        peer = (scope.get("client") or ("",))[0]
        if any(given) and (wait := self._must_wait(peer)):
            return problem(429, "wrong-tokens", "too many wrong tokens from your address; wait a minute", wait)
        if self._is_token(given[0]) or self._is_token(given[1]):
            return None
        if scope["path"] == "/" and self._is_token(given[2]):
            return self._welcome(scope)
        if any(given):
            self._wrong.setdefault(peer, deque(maxlen=self._settings.wrong_tokens)).append(time.monotonic())
        if scope["path"] == "/":
            return HTMLResponse(_NO_TOKEN_PAGE, 401)
        refusal = problem(401, "token", "a token is needed: send 'Authorization: Bearer TOKEN' with the server's token")
        refusal.headers["WWW-Authenticate"] = "Bearer"
        return refusal

    def _must_wait(self, peer: str) -> float:
        """Seconds until an address may show a token again: whoever guesses learns nothing meanwhile."""
        now = time.monotonic()
        for address in [each for each, times in self._wrong.items() if now - times[-1] > _MINUTE]:
            del self._wrong[address]
        times = self._wrong.get(peer)
        return _MINUTE - (now - times[0]) if times is not None and len(times) == times.maxlen else 0.0

    def _is_token(self, given: str | None) -> bool:
        return given is not None and self._token is not None and same_secret(given, self._token)

    def _has_ticket(self, scope: Scope) -> bool:
        given = QueryParams(scope["query_string"]).get("image", "")
        days = (datetime.now(timezone.utc), datetime.now(timezone.utc) - timedelta(days=1))
        return any(same_secret(given, with_ticket(without_ticket(given), self._token or "", day)) for day in days)

    def _welcome(self, scope: Scope) -> Response:
        """The address with the token becomes a cookie, so that the token does not stay in the address bar."""
        answer = RedirectResponse(f"{self._settings.public_path}/", 303)
        secure = self._settings.secure or scope.get("scheme") == "https"
        _set_cookie(answer, TOKEN_COOKIE, self._token or "", self._settings, secure)
        return answer


class BodyLimit:
    """ASGI middleware: answers 413 as soon as a body is larger than its route takes, and 415 to compressed bodies.

    A compressed body would be a bomb's easiest way in, and no client we know sends one.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._upload_bytes = settings.upload_bytes + _SMALL  # the form around the file
        self._seconds = settings.body_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        limit = self._upload_bytes if _UPLOADS.fullmatch(f"{scope['method']} {scope['path']}") else _SMALL
        message = f"the request is larger than the {limit // MEGABYTE} MB this server takes"
        too_large = problem(413, "too-large", message)
        claimed = headers.get("content-length", "0")
        if headers.get("content-encoding", "identity").lower() != "identity":
            refusal = problem(415, "media-type", "compressed request bodies are not taken; send the file as it is")
            await refusal(scope, receive, send)
        elif claimed.isdigit() and int(claimed) > limit:
            await too_large(scope, receive, send)
        else:
            await self._count(scope, receive, send, limit, too_large)

    async def _count(self, scope: Scope, receive: Receive, send: Send, limit: int, too_large: ASGIApp) -> None:
        """Pass a request on while its body is within the limit; the answer is ours whatever handlers make of it."""
        count, started, complete, began = 0, False, False, time.monotonic()
        late = False

        async def counted() -> Message:
            nonlocal count, complete, late
            if complete:  # whoever asks again waits for the end of the connection
                return await receive()
            left = began + self._seconds + count / _SLOWEST - time.monotonic()
            try:
                message = await asyncio.wait_for(receive(), max(left, 0.01))
            except asyncio.TimeoutError:
                late = True
                raise _Unwound from None
            count += len(message.get("body", b""))
            complete = not message.get("more_body", False)
            if count > limit:
                raise _Unwound
            return message

        async def held(message: Message) -> None:
            nonlocal started
            if (count <= limit and not late) or started:  # else it is some handler's own words for the same thing
                started = True
                await send(message)

        with contextlib.suppress(_Unwound):
            await self._app(scope, counted, held)
        if late and not started:
            slow = problem(408, "slow-request", "the request's body comes too slowly")
            slow.headers["Connection"] = "close"
            await slow(scope, receive, send)
        elif count > limit and not started:
            await too_large(scope, receive, send)


class Public:
    """ASGI middleware: takes the public address' path off, and believes ``X-Forwarded-For`` and ``-Proto`` of trusted
    proxies only. Both kinds of proxies work: those that take the path off, and those that leave it on.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app: ASGIApp = ProxyHeadersMiddleware(app, list(settings.proxies))  # type: ignore[arg-type, assignment]
        self._prefix = settings.public_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope = dict(scope)
            path = scope["path"]
            if self._prefix and (path == self._prefix or path.startswith(self._prefix + "/")):
                scope["path"] = path[len(self._prefix) :] or "/"
                scope["raw_path"] = scope["path"].encode()
        await self._app(scope, receive, send)


class _Unwound(Exception):
    """Ends the reading of a body."""


def origin_of(url: str) -> str:
    """Scheme and host of an address, as browsers send them in ``Origin``."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".lower()


def same_secret(given: str, expected: str) -> bool:
    """Comparison whose time tells nothing."""
    return hmac.compare_digest(given.encode(), expected.encode())


def with_ticket(image_id: str, token: str, day: datetime) -> str:
    """An image's id with what lets whoever knows it fetch this image without the token, on this day and the next.

    Slicer's module asks for the next image with the token, then fetches it by its id without.

    Args:
        image_id: of the datastore.
        token: the server's.
        day: UTC.
    """
    ticket = hmac.new(token.encode(), f"{day:%Y-%m-%d} {image_id}".encode(), hashlib.sha256).hexdigest()
    return f"{image_id}~{ticket[:40]}"


def without_ticket(image_id: str) -> str:
    """An image's id alone."""
    return _TICKET.sub("", image_id)


def owner_of(headers: Headers) -> str | None:
    """Who asks: a hash of the owner secret in header or cookie; ``None`` when there is none."""
    secret = headers.get(OWNER_HEADER) or _read_cookie(headers, _OWNER_COOKIE)
    return hashlib.sha256(secret.encode()).hexdigest() if secret and len(secret) >= 16 else None


def give_owner(request: Request, answer: Response, settings: Settings) -> None:
    """A browser that comes without an owner's cookie gets one: it says whose scans are whose."""
    if _read_cookie(request.headers, _OWNER_COOKIE) is None:
        secure = settings.secure or request.url.scheme == "https"
        _set_cookie(answer, _OWNER_COOKIE, new_secret(), settings, secure)


def _read_cookie(headers: Headers, name: str) -> str | None:
    jar: SimpleCookie = SimpleCookie()
    try:
        jar.load(headers.get("cookie", ""))
    except CookieError:
        return None
    return jar[name].value if name in jar else None


def _set_cookie(answer: Response, name: str, value: str, settings: Settings, secure: bool) -> None:
    """A cookie that no script reads and no other site sends, nor another service under the same host."""
    path = f"{settings.public_path}/"
    answer.set_cookie(name, value, max_age=_COOKIE_SECONDS, path=path, httponly=True, samesite="strict", secure=secure)


def _bearer(headers: Headers) -> str | None:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def _host_names(settings: Settings) -> frozenset[str] | None:
    """Names under which we answer; ``None`` for any, where a server for others was not told its names."""
    if not settings.local_only and not settings.allowed_hosts:
        return None
    public = () if settings.public_url is None else (_without_port(urlsplit(settings.public_url).netloc),)
    return frozenset(name.lower() for name in (*_LOCAL_NAMES, settings.host, *settings.allowed_hosts, *public))


def _without_port(host: str) -> str:
    name, _, port = host.lower().rpartition(":")
    return name if port.isdigit() else host.lower()
