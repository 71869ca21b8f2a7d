"""Workers on this machine: a process each, started afresh (spawn), with the weights loaded once."""

import multiprocessing
import os
import signal
import socket
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any

from openvista.cohort.case import Attempt, CaseResult, WorkPlan
from openvista.cohort.failures import TIMEOUT, WORKER, Failure
from openvista.errors import OpenVistaError, first_line

_MOST_FALSE_STARTS = 3
"""Each worker may die so often before it is ready, while none gets anything done; then the machine is too small."""
_READY = "ready"


class LocalEngine:
    """A process per plan. One that dies, or is at a case for too long and is killed, gives way to a new one.

    Args:
        plans: of the workers: the same but for the device.
        case_seconds: of a try, before its process is killed; ``None`` for any time.
    """

    one_machine = True

    def __init__(self, plans: Sequence[WorkPlan], case_seconds: float | None = None) -> None:
        self._case_seconds = case_seconds
        self._false_starts = 0
        self._workers = [_Worker(plan) for plan in plans]

    def free(self) -> int:
        """Workers that are ready and at no try."""
        return sum(worker.is_free for worker in self._workers)

    def submit(self, attempt: Attempt) -> None:
        """Give it to the first free worker."""
        next(worker for worker in self._workers if worker.is_free).give(attempt)

    def ended(self, seconds: float) -> list[CaseResult]:
        """See :class:`openvista.cohort.engines.CohortEngine`."""
        until = time.monotonic() + seconds
        while True:
            results = self._ended_by(min(until, self._next_deadline()))
            if results or time.monotonic() >= until:
                return results

    def close(self) -> None:
        """Kill every worker."""
        for worker in self._workers:
            worker.end()

    def _next_deadline(self) -> float:
        deadlines = [worker.since + self._case_seconds for worker in self._at_work] if self._case_seconds else []
        return min(deadlines, default=float("inf"))

    @property
    def _at_work(self) -> list["_Worker"]:
        return [worker for worker in self._workers if worker.attempt is not None]

    def _ended_by(self, until: float) -> list[CaseResult]:
        ready = wait([worker.pipe for worker in self._workers], max(0.0, until - time.monotonic()))
        results = [self._heard(worker) for worker in self._workers if worker.pipe in ready]
        if self._case_seconds is not None:
            for worker in self._at_work:
                if time.monotonic() - worker.since >= self._case_seconds:
                    message = f"took longer than {self._case_seconds:g} s and was stopped"
                    results.append(self._replaced(worker, Failure(TIMEOUT, "", message)))
        return [result for result in results if result is not None]

    def _heard(self, worker: "_Worker") -> CaseResult | None:
        try:
            said = worker.pipe.recv()
        except (EOFError, OSError):
            return self._replaced(worker, Failure(WORKER, "", f"the worker ended with {worker.how_it_ended()}"))
        if said == _READY:
            worker.is_ready, self._false_starts = True, 0
            return None
        if isinstance(said, str):
            raise OpenVistaError(said)
        worker.attempt, self._false_starts = None, 0
        return said

    def _replaced(self, worker: "_Worker", failure: Failure) -> CaseResult | None:
        """A new process in place of one that has died or has to; what its try came to."""
        attempt, pid, started = worker.attempt, worker.process.pid or 0, worker.started
        if not worker.is_ready:
            self._false_starts += 1
            if self._false_starts >= _MOST_FALSE_STARTS * len(self._workers):
                raise OpenVistaError(
                    f"workers end while they load the model: {failure.message}; is there enough memory?"
                )
        worker.end()
        self._workers[self._workers.index(worker)] = _Worker(worker.plan)
        if attempt is None:
            return None
        return CaseResult(
            attempt, failure=failure, host=socket.gethostname(), pid=pid, started=started, ended=time.time()
        )


class _Worker:
    """The driver's side of a process.

    Attributes:
        is_ready: the weights are loaded.
        attempt: what it is at.
        since: when that was given to it, monotonic; ``started`` is the same since the epoch.
    """

    def __init__(self, plan: WorkPlan) -> None:
        self.plan = plan
        self.is_ready = False
        self.attempt: Attempt | None = None
        self.since = self.started = 0.0
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process: SpawnProcess = context.Process(target=_work, args=(plan, theirs), daemon=True)
        self.process.start()
        theirs.close()  # so that the pipe ends with the process

    @property
    def is_free(self) -> bool:
        return self.is_ready and self.attempt is None

    def give(self, attempt: Attempt) -> None:
        self.attempt, self.since, self.started = attempt, time.monotonic(), time.time()
        with suppress(OSError):  # it has died; the next look at its pipe tells
            self.pipe.send(attempt)

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self.pipe.close()

    def how_it_ended(self) -> str:
        self.process.join(5)
        code = self.process.exitcode
        if code is None or code >= 0:
            return f"exit code {code}"
        name = signal.Signals(-code).name
        return f"{name} (the system does so when memory runs out)" if name == "SIGKILL" else name


def _work(plan: WorkPlan, pipe: "Connection[Any, Any]") -> None:
    """The process: begin once, then one try after another, until the driver is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's, which ends us
    threading.Thread(target=_end_with_driver, daemon=True).start()
    try:
        run = plan.begin()
    except OpenVistaError as error:
        pipe.send(first_line(error))
        return
    pipe.send(_READY)
    while True:
        try:
            attempt = pipe.recv()
        except EOFError:
            return
        pipe.send(run(attempt))


def _end_with_driver() -> None:
    """A driver that is killed takes its workers along: the next one would do their cases at the same time."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
