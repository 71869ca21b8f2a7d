"""How the parts are put together: settings in, ASGI application out."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from openvista._version import __version__
from openvista.serve import health, nim
from openvista.serve.guard import OWNER_HEADER, BodyLimit, Guard, Public, give_owner
from openvista.serve.monai_label import routes_datastore, routes_infer, routes_proxy, routes_training
from openvista.serve.monai_label.interface import MonaiLabel
from openvista.serve.native import about, comparison, measurements, prompts, results, scans, sessions
from openvista.serve.nninteractive import routes
from openvista.serve.nninteractive.leases import Leases
from openvista.serve.observe import Observer
from openvista.serve.openapi import describe_all
from openvista.serve.problems import install as install_problems
from openvista.serve.service import Service, service_of
from openvista.serve.settings import Settings

WEB_FOLDER = Path(__file__).parent / "web"
"""The built viewer, where it was built."""

_PLAIN_PAGE = f"""<!doctype html><html lang="en"><title>OpenVISTA</title>
<body style="font:16px system-ui;margin:4em auto;max-width:34em"><h1>OpenVISTA {__version__}</h1>
<p>The server runs; this installation has no viewer. Its API is described in
<a href="/openapi.json">openapi.json</a>; try <code>openvista.client</code>, or curl:</p>
<pre>curl -F file=@ct.nii.gz ADDRESS/api/v1/scans</pre></body></html>"""

_DESCRIPTION = """3D CT segmentation by class name and by clicks. Four faces on one port: `/api/v1` (ours),
`/v1/vista3d` (as NVIDIA's VISTA-3D NIM), `/info/`, `/infer/`, ... (as MONAI Label), `/nninteractive/...` (as the
server of nnInteractive)."""


def create_app(settings: Settings) -> FastAPI:
    """The application, with its state folder claimed; models load when it starts.

    Raises:
        OutputError: the state folder cannot be used.
        InputError: another server uses it.
    """
    service = Service(settings)

    leases = Leases(service)

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        await service.start()
        sweeping = asyncio.create_task(leases.keep_house())
        yield
        sweeping.cancel()
        service.drain()
        await leases.close()
        await service.stop()
        app.state.monai_label.training.close()

    # docs_url: FastAPI's page loads scripts from elsewhere, which neither works offline nor passes our own policy
    app = FastAPI(
        title="OpenVISTA",
        version=__version__,
        description=_DESCRIPTION,
        lifespan=life,
        docs_url=None,
        redoc_url=None,
    )
    app.state.service = service
    app.state.leases = leases
    app.state.monai_label = MonaiLabel(service)
    install_problems(app)
    native = (about, scans, sessions, prompts, results, comparison, measurements)
    for part in (health, *native, nim, routes_infer, routes_datastore, routes_training, routes_proxy, routes):
        app.include_router(part.router)
    describe_all(app)
    _add_pages(app)
    _add_middleware(app, service)
    return app


def _add_middleware(app: FastAPI, service: Service) -> None:
    """From the inside out: size, who may ask, other origins, observation."""
    settings = service.settings
    app.add_middleware(BodyLimit, settings=settings)
    app.add_middleware(Guard, settings=settings)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.cors_origins),
            allow_methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "If-None-Match", OWNER_HEADER],
            expose_headers=["Content-Disposition", "ETag", "Retry-After", "X-Request-Id"],
        )
    app.add_middleware(Observer, metrics=service.metrics)
    app.add_middleware(Slashes)
    app.add_middleware(Public, settings=settings)


class Slashes:
    """ASGI middleware: MONAI Label's clients write some addresses with a slash at the end and without."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] in ("/info", "/session", "/datastore", "/train", "/auth"):
            scope["path"] += "/"
        await self._app(scope, receive, send)


def _add_pages(app: FastAPI) -> None:
    """The viewer, if it is there."""
    page = WEB_FOLDER / "index.html"

    @app.get("/", include_in_schema=False)
    async def viewer(request: Request) -> Response:
        answer: Response = FileResponse(page) if page.is_file() else HTMLResponse(_PLAIN_PAGE)
        answer.headers["Cache-Control"] = "no-cache"
        give_owner(request, answer, service_of(request).settings)
        return answer

    if page.is_file():
        app.mount("/", StaticFiles(directory=WEB_FOLDER), name="viewer")
