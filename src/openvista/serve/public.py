"""Behind a proxy: the address that browsers see, and what of a proxy's headers is believed."""

from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from openvista.serve.settings import Settings


def origin_of(url: str) -> str:
    """Scheme and host of an address, as browsers send them in ``Origin``."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".lower()


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
