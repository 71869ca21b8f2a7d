"""The sessions of a server: few in memory, many on disk, each its owner's alone.

Every session has a lock, so its changes happen one after the other in the order of asking. What needs the network goes
through the queue of the session's device; what does not (undo, rename, export) needs the lock only. After a change the
session is written to disk as soon as nobody has asked for anything for a moment; so it survives the process.
"""

import asyncio
import logging
import shutil
import time
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, TypeVar

from starlette.concurrency import run_in_threadpool

from openvista.errors import InputError, OutputError, SessionError
from openvista.inference.progress import Report
from openvista.io.session_file import write_session
from openvista.memory import release_heap
from openvista.serve.engine import Engine
from openvista.serve.ids import find_owned, list_owned, new_id, no_such, require_room
from openvista.serve.jobs import Job
from openvista.serve.kept_session import SAVED_FILE, KeptSession
from openvista.serve.observe import Metrics
from openvista.serve.scans import ScanRecord, ScanStore
from openvista.serve.settings import MEGABYTE, Settings
from openvista.serve.workspace import Workspace

logger = logging.getLogger(__name__)
T = TypeVar("T")

_QUIET_SECONDS = 1.0
_REST = 4
"""After a save we rest so many times as long as it took: writing must not become the main occupation."""


class SessionStore:
    """All sessions of a server.

    Args:
        folder: ours alone; sessions of an earlier run in it are there again.
        settings: how many, how long.
        engine: what answers.
        scans: what is asked about.
        metrics: told what comes and goes.
    """

    def __init__(self, folder: Path, settings: Settings, engine: Engine, scans: ScanStore, metrics: Metrics) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._settings = folder, settings
        self._engine, self._scans, self._metrics = engine, scans, metrics
        self._kept: dict[str, KeptSession] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._accepted: dict[asyncio.Task[None], Job] = {}
        self._most_bytes = settings.session_memory_mb * MEGABYTE
        for path in sorted(folder.iterdir()):
            self._restore(path)
        metrics.watch("openvista_sessions", "Sessions kept", lambda: len(self._kept))
        metrics.watch("openvista_sessions_open", "Sessions in memory", lambda: len(self._open()))
        metrics.watch("openvista_session_bytes", "Memory of sessions", lambda: sum(k.nbytes for k in self._open()))

    def _restore(self, path: Path) -> None:
        kept = KeptSession.from_folder(path, self._settings.queue_per_session)
        if kept is None or kept.scan_id not in self._scans:
            logger.warning("a kept session is damaged, or its scan is gone; it is deleted")
            shutil.rmtree(path, ignore_errors=True)
        else:
            self._kept[kept.id] = kept

    # --- which there are ----------------------------------------------------------------------------------------

    async def create(
        self, scan: ScanRecord, model: str | None, owner: str | None, file: Path | None = None
    ) -> KeptSession:
        """A new session on a scan; with a file, one that goes on where the file ends.

        Raises:
            ServiceError: 429, there are as many as there may be; 503.
            ModelError: no such model.
            SessionError: the file belongs to another scan or model.
        """
        name = self._engine.model(model).card.name
        most, most_owned = self._settings.sessions, self._settings.most_owner_sessions
        require_room(self._kept.values(), owner, most, most_owned, "sessions")
        turns = self._settings.queue_per_session
        kept = KeptSession(new_id(), owner, scan.id, name, datetime.now(timezone.utc), self._folder, turns)
        self._kept[kept.id] = kept
        async with AsyncExitStack() as undo:
            undo.push_async_callback(run_in_threadpool, shutil.rmtree, kept.folder, True)
            undo.callback(self._kept.pop, kept.id, None)
            await run_in_threadpool(kept.write_record)
            async with kept.lock:
                await self._open_now(kept, file)
            undo.pop_all()  # it is there: keep it
        if file is not None:
            self._save_soon(kept)
        return kept

    def get(self, session_id: str, owner: str | None) -> KeptSession:
        """A session of this owner.

        Raises:
            ServiceError: 404, there is none, or it is somebody else's.
        """
        return find_owned(self._kept, session_id, owner, "session")

    def owned_by(self, owner: str | None) -> list[KeptSession]:
        """The sessions of an owner, newest first; none for nobody."""
        return list_owned(self._kept.values(), owner)

    def scan_ids(self) -> set[str]:
        """The scans that sessions need."""
        return {kept.scan_id for kept in self._kept.values()}

    async def remove(self, kept: KeptSession) -> None:
        """Delete a session; what runs in it is stopped."""
        kept.cancel_all()
        self._kept.pop(kept.id, None)
        async with kept.lock:
            kept.workspace, kept.gone = None, True
            await run_in_threadpool(shutil.rmtree, kept.folder, True)
            await run_in_threadpool(release_heap)

    async def remove_of_scan(self, scan_id: str) -> None:
        """Delete the sessions on a scan."""
        for kept in [kept for kept in self._kept.values() if kept.scan_id == scan_id]:
            await self.remove(kept)

    # --- working in one -----------------------------------------------------------------------------------------

    async def compute(self, kept: KeptSession, job: Job, work: Callable[[Workspace, Report], T]) -> T:
        """Do something that needs the network: behind the session's earlier jobs, then in its device's queue.

        Raises:
            ServiceError: 429, 503, 404 deleted meanwhile, 409 cancelled; or whatever the work raises.
        """
        async with kept.turn(job):
            workspace = await self._open_now(kept, None)
            lane = kept.lane or self._engine.quietest()
            result = await self._engine.run(lane, job, lambda progress: work(workspace, progress))
        self._after(kept)
        return result

    async def change(self, kept: KeptSession, work: Callable[[Workspace], T]) -> T:
        """Do something quick that may change the session, behind its earlier jobs.

        Raises:
            ServiceError: 429, 503, 404; or whatever the work raises.
        """
        self._engine.require_ready()
        async with kept.turn(None):
            workspace = await self._open_now(kept, None)
            result = await run_in_threadpool(work, workspace)
        self._after(kept)
        return result

    def start(self, kept: KeptSession, job: Job, work: Callable[[Workspace, Report], object]) -> None:
        """As :meth:`compute`, without waiting; what goes wrong later is the job's. A server that stops does it first.

        Raises:
            ServiceError: 429, 503; what would go wrong at once.
        """
        self._engine.require_ready()
        kept.refuse_if_full()
        kept.lane = kept.lane or self._engine.quietest()
        kept.lane.refuse_if_full()
        job.accepted = True

        async def run() -> None:
            try:
                await self.compute(kept, job, work)
            except InputError as error:
                if not job.state.over:  # it never got its turn
                    job.finish(error)

        task = self._remember(run())
        self._accepted[task] = job
        task.add_done_callback(self._accepted.pop)

    async def finish(self, seconds: float) -> None:
        """Wait for what was accepted; what takes longer than these seconds is asked to stop."""
        if self._accepted:
            await asyncio.wait(list(self._accepted), timeout=seconds)
        for job in self._accepted.values():
            job.cancel()

    async def _open_now(self, kept: KeptSession, file: Path | None) -> Workspace:
        """The session's workspace, from disk if need be. Only for who holds its lock."""
        if kept.gone:
            raise no_such("session")
        kept.used = time.monotonic()
        if kept.workspace is None:
            kept.lane = kept.lane or self._engine.quietest()
            saved = file or kept.saved_file()
            if saved is not None and file is None:
                self._metrics.returned.inc()
            scan = self._scans.load(self._scans.of_session(kept.scan_id))
            model = kept.lane.model(kept.model)
            profile = self._settings.profile
            try:
                kept.workspace = await run_in_threadpool(Workspace, model, scan, profile, self._most_bytes, saved)
            except SessionError as error:
                # where we keep it does not concern the client
                raise SessionError(str(error).replace(str(saved), "the kept file")) from None
            kept.revision = kept.workspace.revision
            if file is None:
                kept.saved_revision = kept.revision
        return kept.workspace

    def _after(self, kept: KeptSession) -> None:
        """Something was done: tell listeners, keep it, mind the memory."""
        if kept.notice_revision():
            self._save_soon(kept)
        self._remember(self._make_room(kept))

    # --- keeping them -------------------------------------------------------------------------------------------

    def _save_soon(self, kept: KeptSession) -> None:
        if kept.save_planned:
            return
        kept.save_planned = True

        async def later() -> None:
            await asyncio.sleep(max(_QUIET_SECONDS, _REST * kept.save_seconds))
            while time.monotonic() - kept.used < _QUIET_SECONDS:
                await asyncio.sleep(_QUIET_SECONDS / 2)
            kept.save_planned = False
            await self._save(kept)

        self._remember(later())

    async def _save(self, kept: KeptSession) -> None:
        """Write a session if it has changed.

        Once begun it is carried through even when its task is cancelled: the thread would go on writing in any case,
        and could put an old file over a newer one.
        """
        await asyncio.shield(self._write(kept))

    async def _write(self, kept: KeptSession) -> None:
        """The lock is held only to collect what to write."""
        async with kept.saving:
            async with kept.lock:
                workspace = kept.workspace
                if workspace is None or kept.gone or workspace.revision == kept.saved_revision:
                    return
                revision = workspace.revision
                contents = await run_in_threadpool(workspace.session.contents)  # quick: it refers to what is there
            began = time.monotonic()
            try:
                await run_in_threadpool(write_session, contents, kept.folder / SAVED_FILE)
            except OutputError as error:
                if not kept.gone:  # deleted meanwhile, with its folder
                    logger.error("a session cannot be written: %s", error.__cause__ or "no reason given")
                return
            kept.save_seconds = time.monotonic() - began
            kept.saved_revision = revision
            self._metrics.saved.inc()

    async def _evict(self, kept: KeptSession) -> None:
        """From memory to disk, unless somebody has come for it meanwhile."""
        await self._save(kept)
        if kept.lock.locked():
            return
        async with kept.lock:
            if kept.workspace is not None and kept.workspace.revision == kept.saved_revision:
                kept.workspace = None
                self._metrics.evicted.inc()
                await run_in_threadpool(release_heap)

    async def _make_room(self, keep: KeptSession | None) -> None:
        """Those not used for longest go to disk, until what is in memory fits; the last one forgets what it can."""
        while True:
            opened = sorted(self._open(), key=lambda kept: kept.used)
            others = [kept for kept in opened if kept is not keep and not kept.lock.locked()]
            too_much = sum(kept.nbytes for kept in opened) > self._most_bytes
            if not too_much and len(opened) <= self._settings.open_sessions:
                return
            if not others:
                if too_much and keep is not None and keep.workspace is not None and not keep.lock.locked():
                    async with keep.lock:
                        keep.workspace.forget()
                return
            await self._evict(others[0])
            if others[0].workspace is not None:
                return  # it could not be written, or is wanted again

    async def tidy(self) -> None:
        """What is idle goes to disk; what nobody has asked for in a long time is deleted."""
        now = time.monotonic()
        for kept in list(self._kept.values()):
            if now - kept.used > self._settings.keep_hours * 3600:
                await self.remove(kept)
            elif kept.workspace is not None and now - kept.used > self._settings.idle_minutes * 60:
                await self._evict(kept)
        await self._make_room(None)

    async def close(self) -> None:
        """Write everything that is not written yet."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for kept in self._open():
            await self._save(kept)

    def _open(self) -> list[KeptSession]:
        return [kept for kept in self._kept.values() if kept.workspace is not None]

    def _remember(self, work: "Coroutine[Any, Any, None]") -> asyncio.Task[None]:
        """A task lives only as long as somebody refers to it."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
