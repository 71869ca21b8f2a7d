"""Workers as their driver knows them: the tries each has in hand, and whether it asks for another one."""

import socket
import time
from collections import deque
from typing import Generic, Protocol, TypeVar

from openvista.cohort.case import Attempt, CaseResult
from openvista.cohort.failures import TIMEOUT, WORKER, Failure


class InHand:
    """A worker's tries, in the order in which they were given and will end.

    Attributes:
        tries: that have not ended.
        asks: whether the worker would begin to read another one.
        since: when the oldest one was given, or became the oldest; monotonic.
    """

    def __init__(self) -> None:
        self.tries: deque[Attempt] = deque()
        self.asks = False
        self.since = self._started = 0.0

    @property
    def free(self) -> bool:
        """Nothing is in hand, and a try is asked for."""
        return self.asks and not self.tries

    @property
    def ahead(self) -> bool:
        """The first try of another scan may be read meanwhile."""
        return self.asks and bool(self.tries) and all(attempt.may_overlap for attempt in self.tries)

    def take(self, attempt: Attempt) -> None:
        """It was given this one."""
        if not self.tries:
            self._begin()
        self.tries.append(attempt)
        self.asks = False

    def ended(self, result: CaseResult) -> None:
        """The oldest one has ended so."""
        assert self.tries[0] == result.attempt, "tries end in order"
        self.tries.popleft()
        self._begin()

    def lost(self, failure: Failure, pid: int = 0) -> list[CaseResult]:
        """What the tries came to when the worker has died, or was killed because of the oldest one.

        Who is to blame for a death nobody knows: it counts for each, and each is tried again alone.
        """
        results = []
        for number, attempt in enumerate(self.tries):
            if number and failure.kind == TIMEOUT:
                failure = Failure(WORKER, "", f"its worker was stopped: {self.tries[0].case.id} took too long")
            host, now = socket.gethostname(), time.time()
            results.append(CaseResult(attempt, failure=failure, host=host, pid=pid, started=self._started, ended=now))
        self.tries.clear()
        return results

    def _begin(self) -> None:
        self.since, self._started = time.monotonic(), time.time()


class EngineWorker(Protocol):
    """The driver's side of a process or an actor.

    Attributes:
        in_hand: its tries.
    """

    in_hand: InHand

    def give(self, attempt: Attempt) -> None:
        """Have it work on this one."""


AnyWorker = TypeVar("AnyWorker", bound=EngineWorker)


class Workers(Generic[AnyWorker]):
    """The part of an engine that is the same wherever its workers run.

    Args:
        workers: all of them; one that is lost is replaced in the list.
    """

    def __init__(self, workers: list[AnyWorker]) -> None:
        self._workers = workers

    def free(self) -> int:
        """See :class:`openvista.cohort.engines.CohortEngine`."""
        return sum(worker.in_hand.free for worker in self._workers)

    def ahead(self) -> int:
        """See :class:`openvista.cohort.engines.CohortEngine`."""
        return sum(worker.in_hand.ahead for worker in self._workers)

    def submit(self, attempt: Attempt) -> None:
        """See :class:`openvista.cohort.engines.CohortEngine`."""
        by_choice = sorted(self._workers, key=lambda worker: not worker.in_hand.free)
        next(worker for worker in by_choice if worker.in_hand.free or worker.in_hand.ahead).give(attempt)


def too_long(seconds: float) -> Failure:
    """Of a try that was stopped after so many seconds."""
    return Failure(TIMEOUT, "", f"took longer than {seconds:g} s and was stopped")
