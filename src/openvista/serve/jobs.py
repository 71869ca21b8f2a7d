"""A job: something asked of a network, that waits, runs, tells how far it is, and can be stopped."""

import threading
import time
from collections.abc import Callable
from datetime import datetime, timezone
from enum import Enum

from openvista.errors import OpenVistaError, ServiceError
from openvista.inference.progress import Progress
from openvista.serve import schemas
from openvista.serve.ids import new_id
from openvista.serve.problems import describe

_TELL_SECONDS = 0.1
"""Progress is told at most so often: nobody reads faster."""


class State(str, Enum):
    """Where a job is in its life."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def over(self) -> bool:
        """Nothing more will happen."""
        return self in (State.DONE, State.FAILED, State.CANCELLED)


class Job:
    """One job. Written by the thread that runs it, read by others.

    Args:
        kind: what was asked: classes, clicks, ...
        session_id: whose; ``None`` for a request without a session.
        listener: called from the running thread after every change worth telling.

    Attributes:
        id, kind, session_id, created, state, progress, seconds: as in the API's ``JobInfo``.
        warnings: what the one who asked should know of the answer.
        problem: detail and code of what went wrong, for people. Not the error itself: that holds on to the frames it
            came through, and so to a session that went to disk meanwhile.
        accepted: whoever asked was told that it will be done (202), so it is done even when the server is about to
            stop.
    """

    def __init__(
        self, kind: str, session_id: str | None = None, listener: Callable[["Job"], None] | None = None
    ) -> None:
        self.id = new_id()
        self.kind = kind
        self.session_id = session_id
        self.created = datetime.now(timezone.utc)
        self.state = State.QUEUED
        self.progress: Progress | None = None
        self.seconds: float | None = None
        self.problem: schemas.Problem | None = None
        self.warnings: list[str] = []
        self.accepted = False
        self._listener = listener
        self._cancelled = threading.Event()
        self._started = 0.0
        self._told = 0.0

    def start(self) -> None:
        """Its turn has come.

        Raises:
            ServiceError: it was cancelled while it waited.
        """
        self._refuse_if_cancelled()
        self._started = time.perf_counter()
        self.state = State.RUNNING
        self._tell()

    def report(self, progress: Progress) -> None:
        """What the engine calls after every step; the place where a cancelled job ends.

        Raises:
            ServiceError: it was cancelled.
        """
        self._refuse_if_cancelled()
        self.progress = progress
        now = time.perf_counter()
        if now - self._told >= _TELL_SECONDS or progress.done == progress.total:
            self._told = now
            self._tell()

    def finish(self, error: BaseException | None) -> None:
        """It has ended, well or with an error."""
        if self._started:
            self.seconds = time.perf_counter() - self._started
        if error is None:
            self.state = State.DONE
        else:
            _, code, detail, _ = describe(error if isinstance(error, OpenVistaError) else OpenVistaError())
            self.problem = schemas.Problem(detail=detail, code=code)
            self.state = State.CANCELLED if self._cancelled.is_set() else State.FAILED
        self._tell()

    def cancel(self) -> bool:
        """Ask it to stop; True if that may still matter."""
        if self.state.over:
            return False
        self._cancelled.set()
        return True

    def info(self) -> schemas.JobInfo:
        """As the API shows it."""
        progress = self.progress
        return schemas.JobInfo(
            id=self.id,
            kind=self.kind,
            state=self.state.value,
            created=self.created,
            seconds=self.seconds,
            progress=None if progress is None else schemas.Progress(**vars(progress)),
            problem=self.problem,
            warnings=self.warnings,
        )

    def _refuse_if_cancelled(self) -> None:
        if self._cancelled.is_set():
            raise ServiceError("cancelled", status=409, code="cancelled")

    def _tell(self) -> None:
        if self._listener is not None:
            self._listener(self)
