"""One session as the server keeps it, in memory or on disk: whose it is, its turn-taking, and who listens."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from sse_starlette import EventSourceResponse, ServerSentEvent

from openvista.errors import ServiceError
from openvista.io import replacing
from openvista.io.session_file import SESSION_SUFFIX
from openvista.serve.engine import Lane
from openvista.serve.ids import no_such
from openvista.serve.jobs import Job
from openvista.serve.workspace import Workspace

_RECORD_FILE = "record.json"
SAVED_FILE = f"session{SESSION_SUFFIX}"
_KNOWN_JOBS = 32
_MOST_LISTENERS = 16
_MOST_WAITING = 200
_HEARTBEAT_SECONDS = 15
_LOOK_SECONDS = 0.5
"""So often a listener looks whether the server stops."""


class Streams:
    """The listeners of one session, as server-sent events."""

    def __init__(self) -> None:
        self._queues: set[asyncio.Queue[ServerSentEvent]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None

    def publish(self, event: str, data: dict[str, Any]) -> None:
        """Tell everybody; from any thread."""
        if self._loop is not None and self._queues:
            told = ServerSentEvent(json.dumps(data), event=event, sep="\n")
            self._loop.call_soon_threadsafe(self._deliver, told)

    def _deliver(self, event: ServerSentEvent) -> None:
        for queue in self._queues:
            if queue.full():  # a listener that does not read loses the oldest, and the server no memory
                queue.get_nowait()
            queue.put_nowait(event)

    def open(self, over: Callable[[], bool]) -> EventSourceResponse:
        """The answer to a new listener: events until it leaves or the server stops.

        Args:
            over: tells when to end.

        Raises:
            ServiceError: 429, too many listen.
        """
        if len(self._queues) >= _MOST_LISTENERS:
            message = f"{_MOST_LISTENERS} listen to this session already"
            raise ServiceError(message, status=429, code="many-listeners", retry_after=5)
        self._loop = asyncio.get_running_loop()
        queue: asyncio.Queue[ServerSentEvent] = asyncio.Queue(_MOST_WAITING)
        self._queues.add(queue)
        return EventSourceResponse(
            self._events(queue, over),
            ping=_HEARTBEAT_SECONDS,
            ping_message_factory=lambda: _comment("still here"),
        )

    async def _events(
        self, queue: "asyncio.Queue[ServerSentEvent]", over: Callable[[], bool]
    ) -> AsyncIterator[ServerSentEvent]:
        try:
            yield _comment("listening")
            while not over():
                with contextlib.suppress(TimeoutError, asyncio.TimeoutError):
                    yield await asyncio.wait_for(queue.get(), _LOOK_SECONDS)
        finally:
            self._queues.discard(queue)


def _comment(text: str) -> ServerSentEvent:
    return ServerSentEvent(comment=text, sep="\n")


@dataclass(eq=False)
class KeptSession:
    """A session that the server knows.

    Attributes:
        id: unguessable.
        owner: hash of the owner's secret; ``None`` when whoever knows the id may use it.
        scan_id, model: what it is about, and who answers.
        created: when.
        parent: the folder of all sessions.
        most_turns: how many may wait for their turn.
        workspace: while it is in memory.
        lane: the device whose queue it uses.
        lock: held by who works in it.
        saving: held by who writes it.
        used: when somebody last did, on the monotonic clock.
        revision, saved_revision: as it is, and as it is on disk.
        save_planned, save_seconds: whether a save is due, and how long the last one took.
        gone: it was deleted.
        streams: who listens to events.
    """

    id: str
    owner: str | None
    scan_id: str
    model: str
    created: datetime
    parent: Path
    most_turns: int = 4
    workspace: Workspace | None = None
    lane: Lane | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    saving: asyncio.Lock = field(default_factory=asyncio.Lock)
    used: float = field(default_factory=time.monotonic)
    revision: int = 0
    saved_revision: int = 0
    save_planned: bool = False
    save_seconds: float = 0.0
    gone: bool = False
    streams: Streams = field(default_factory=Streams)
    _jobs: dict[str, Job] = field(default_factory=dict)
    _waiting: int = 0
    _nbytes: int = 0

    @property
    def folder(self) -> Path:
        """Where it is kept."""
        return self.parent / self.id

    @property
    def nbytes(self) -> int:
        """Memory it takes; while a turn is under way in a thread, what it took when last nobody was at work."""
        if self.workspace is None:
            return 0
        if not self.lock.locked():
            self._nbytes = self.workspace.nbytes
        return self._nbytes

    def saved_file(self) -> Path | None:
        """The session file, if there is one."""
        path = self.folder / SAVED_FILE
        return path if path.exists() else None

    def write_record(self) -> None:
        """Put on disk what does not change."""
        self.folder.mkdir(exist_ok=True)
        record = {key: getattr(self, key) for key in ("owner", "scan_id", "model")}
        record["created"] = self.created.isoformat()
        with replacing(self.folder / _RECORD_FILE) as temporary:
            temporary.write_text(json.dumps(record), encoding="utf-8")

    @classmethod
    def from_folder(cls, folder: Path, most_turns: int) -> "KeptSession | None":
        """The session that a folder holds; ``None`` if it holds none."""
        try:
            record = json.loads((folder / _RECORD_FILE).read_text(encoding="utf-8"))
            created = datetime.fromisoformat(record["created"])
            owner, scan_id, model = record["owner"], record["scan_id"], record["model"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return cls(folder.name, owner, scan_id, model, created, folder.parent, most_turns)

    # --- turns --------------------------------------------------------------------------------------------------

    def refuse_if_full(self) -> None:
        """Too many are waiting already.

        Raises:
            ServiceError: 429.
        """
        if self._waiting >= self.most_turns:
            message = "this session has too many requests waiting; let them finish"
            raise ServiceError(message, status=429, code="session-queue-full", retry_after=1)

    @contextlib.asynccontextmanager
    async def turn(self, job: Job | None) -> AsyncIterator[None]:
        """Wait for the turn, in the order of asking, and have the session alone then.

        Raises:
            ServiceError: 429, too many wait already.
        """
        self.refuse_if_full()
        self._waiting += 1
        if job is not None:
            self._jobs[job.id] = job
            while len(self._jobs) > _KNOWN_JOBS:
                del self._jobs[next(iter(self._jobs))]
        try:
            async with self.lock:
                yield
        except BaseException as error:
            if job is not None and not job.state.over:  # it did not even get into the queue
                job.finish(error)
            raise
        finally:
            self._waiting -= 1

    # --- jobs ---------------------------------------------------------------------------------------------------

    def job(self, job_id: str) -> Job:
        """One of the last jobs.

        Raises:
            ServiceError: 404.
        """
        if job_id not in self._jobs:
            raise no_such("job")
        return self._jobs[job_id]

    @property
    def active_job(self) -> Job | None:
        """What runs or waits, the oldest of it."""
        return next((job for job in self._jobs.values() if not job.state.over), None)

    def new_job(self, kind: str) -> Job:
        """A job of this session, that tells its listeners how it goes."""
        return Job(kind, self.id, lambda job: self.streams.publish("job", job.info().model_dump(mode="json")))

    def notice_revision(self) -> bool:
        """Whether something has changed since the last look; listeners are told."""
        if self.workspace is None or self.workspace.revision == self.revision:
            return False
        self.revision = self.workspace.revision
        self.streams.publish("change", {"revision": self.revision})
        return True

    def cancel_all(self) -> int:
        """Ask all jobs to stop; how many."""
        return sum(job.cancel() for job in list(self._jobs.values()))
