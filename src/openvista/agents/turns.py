"""Jobs, one at a time in the order of asking; and what became of the last ones."""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from openvista.errors import OpenVistaError, ServiceError
from openvista.inference.progress import Progress, Report
from openvista.serve.ids import no_such
from openvista.serve.jobs import Job

logger = logging.getLogger(__name__)
T = TypeVar("T")
Tell = Callable[[Progress], Awaitable[None]]

MOST_WAITING = 8
_KNOWN_TURNS = 32
_LOOK_SECONDS = 0.2


@dataclass(eq=False)
class Turn(Generic[T]):
    """A job with what came of it.

    Attributes:
        job: its state and progress.
        future: done when nothing more happens; never with an error, which would hold on to a scan.
        problem: what went wrong, in one line.
    """

    job: Job
    future: "Future[T | None]" = field(default_factory=Future)
    problem: str | None = None

    def answer(self) -> T:
        """What it gave.

        Raises:
            ServiceError: it failed or was cancelled.
        """
        result = None if self.future.cancelled() else self.future.result()
        if result is None:
            raise ServiceError(self.problem or "cancelled")
        return result

    def cancel(self) -> bool:
        """Ask it to stop; True if that may still matter."""
        if not self.job.cancel():
            return False
        if self.future.cancel():  # it still waited
            self.job.finish(ServiceError("cancelled", status=409, code="cancelled"))
        return True

    async def wait(self, seconds: float, tell: Tell) -> None:
        """Wait until it is over, at most so long, and tell how far it is."""
        loop = asyncio.get_running_loop()
        end, told, done = loop.time() + seconds, None, asyncio.wrap_future(self.future)
        while not self.job.state.over and (left := end - loop.time()) > 0:
            await asyncio.wait([done], timeout=min(left, _LOOK_SECONDS))
            if (progress := self.job.progress) is not None and progress != told:
                told = progress
                await tell(progress)


class Turns:
    """The jobs of one server. A thread of its own does them."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="agents")
        self._lock = threading.Lock()
        self._kept: dict[str, Turn] = {}

    def submit(self, kind: str, work: Callable[[Report], T]) -> Turn[T]:
        """Queue a job.

        Args:
            kind: what was asked.
            work: told whom to report to; that is where a cancelled job ends.

        Raises:
            ServiceError: too many wait already.
        """
        with self._lock:
            if sum(not turn.job.state.over for turn in self._kept.values()) > MOST_WAITING:
                message = f"{MOST_WAITING} jobs wait already; let them finish, or cancel one"
                raise ServiceError(message, status=429, code="queue-full")
            turn: Turn[T] = Turn(Job(kind))
            self._kept[turn.job.id] = turn
            for key in [key for key, old in self._kept.items() if old.job.state.over][:-_KNOWN_TURNS]:
                del self._kept[key]
            turn.future = self._executor.submit(self._run, turn, work)
        return turn

    def find(self, job_id: str) -> Turn:
        """One of the last jobs.

        Raises:
            ServiceError: there is none of this id.
        """
        if job_id not in self._kept:
            raise no_such(f"job {job_id[:40]!r}")
        return self._kept[job_id]

    async def run(self, kind: str, work: Callable[[Report], T], tell: Tell) -> T:
        """Queue a job and wait for its answer; whoever asked and does not wait any more cancels it.

        Raises:
            ServiceError: it cannot be queued, failed, or was cancelled.
        """
        turn = self.submit(kind, work)
        try:
            while not turn.job.state.over:
                await turn.wait(60.0, tell)
        finally:
            turn.cancel()
        return turn.answer()

    def close(self) -> None:
        """Cancel all jobs, and wait for the one that runs to notice."""
        for turn in list(self._kept.values()):
            turn.cancel()
        self._executor.shutdown(cancel_futures=True)

    def _run(self, turn: Turn[T], work: Callable[[Report], T]) -> T | None:
        failed: BaseException | None = None
        try:
            turn.job.start()
            return work(turn.job.report)
        except OpenVistaError as error:
            failed, turn.problem = error, str(error)
        except Exception as error:
            logger.exception("a job of kind %s failed", turn.job.kind)
            failed, turn.problem = error, "the server failed; its log says why"
        finally:
            turn.job.finish(failed)
        return None


def stage_in_words(progress: Progress) -> str:
    """What is under way, for people."""
    words = {"prepare": "preparing the scan", "encode": "window", "label": "labelling"}
    return f"{words.get(progress.stage, progress.stage)} {progress.done}/{progress.total}"
