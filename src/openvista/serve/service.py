"""The parts of a running server, and their lives: start, housekeeping, stop. And how routes get at them."""

import asyncio
import contextlib
import logging
import time
from datetime import datetime, timedelta, timezone
from functools import cached_property
from typing import Annotated

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool

from openvista.geometry.grid import Float3
from openvista.io.atomic import claim_folder
from openvista.serve.engine import Engine
from openvista.serve.guard import owner_of
from openvista.serve.observe import Metrics
from openvista.serve.oneshot import OneShots
from openvista.serve.sandbox import Sandbox
from openvista.serve.scans import ScanStore
from openvista.serve.sessions import SessionStore
from openvista.serve.settings import Settings
from openvista.weights import find_model

logger = logging.getLogger(__name__)

_HOUSEKEEPING_SECONDS = 30.0


class Service:
    """What every route works with; one per server.

    Args:
        settings: the choices.

    Raises:
        OutputError: the state folder cannot be used.
        InputError: another server uses it.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._claim = claim_folder(settings.state)
        self.metrics = Metrics()
        self.engine = Engine(settings, self.metrics)
        self.sandbox = Sandbox(settings.state / "incoming", settings)
        self.scans = ScanStore(settings.state / "scans", settings.scans, settings.most_owner_scans)
        self.sessions = SessionStore(settings.state / "sessions", settings, self.engine, self.scans, self.metrics)
        self.oneshots = OneShots(settings, self.engine, self.scans, self.metrics)
        self._tasks: list[asyncio.Task[None]] = []
        self._stop_by: float | None = None
        self.metrics.watch("openvista_parsing", "Files that are read right now", lambda: self.sandbox.busy)
        self.metrics.watch("openvista_scans", "Scans kept", lambda: len(self.scans))

    @cached_property
    def spacings(self) -> frozenset[Float3]:
        """Voxel sizes of the model grids of this server."""
        return frozenset(find_model(name).card.spacing for name in self.settings.models)

    async def start(self) -> None:
        """Begin loading models; requests are answered meanwhile, with 503 where they need one."""
        self._tasks = [asyncio.create_task(self.engine.load()), asyncio.create_task(self._keep_house())]

    async def _keep_house(self) -> None:
        while True:
            await asyncio.sleep(min(_HOUSEKEEPING_SECONDS, self.settings.idle_minutes * 30))
            try:
                await self.tidy()
            except OSError as error:
                logger.error("housekeeping: %s", error.strerror)

    async def tidy(self) -> None:
        """Idle sessions go to disk; old ones, and scans that nobody needs, are deleted."""
        await self.sessions.tidy()
        limit = datetime.now(timezone.utc) - timedelta(hours=self.settings.keep_hours)
        for scan_id in self.scans.unused_since(limit, self.sessions.scan_ids()):
            await self.remove_scan(scan_id)

    async def remove_scan(self, scan_id: str) -> None:
        """Delete a scan and the sessions on it."""
        await self.sessions.remove_of_scan(scan_id)
        self.oneshots.forget(scan_id)
        await run_in_threadpool(self.scans.remove, scan_id)

    def drain(self) -> None:
        """Take no more questions; what runs may finish. Safe to call from a signal handler."""
        self.engine.draining = True
        if self._stop_by is None:
            self._stop_by = time.monotonic() + self.settings.drain_seconds

    async def stop(self) -> None:
        """Finish what runs and what was accepted, as far as ``drain_seconds`` go; write every session."""
        self.drain()
        await self.sessions.finish(max(0.0, (self._stop_by or 0.0) - time.monotonic()))
        for task in self._tasks:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*self._tasks, return_exceptions=True)
        await run_in_threadpool(self.engine.close)
        await self.sessions.close()
        await run_in_threadpool(self.sandbox.close)
        self._claim.release()


def service_of(request: Request) -> Service:
    """The service of the app that got a request."""
    service: Service = request.app.state.service
    return service


def _asker(request: Request) -> str | None:
    return owner_of(request.headers)


TheService = Annotated[Service, Depends(service_of)]
"""Of the app that got a request."""
Owner = Annotated[str | None, Depends(_asker)]
"""Hash of the owner's secret that came with a request; see :func:`openvista.serve.guard.owner_of`."""
