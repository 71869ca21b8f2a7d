"""Workers on this machine: a process each, started afresh (spawn), with the weights loaded once."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any

from openvista.cohort.case import Attempt, CaseResult, WorkPlan
from openvista.cohort.engines.workers import InHand, Workers, too_long
from openvista.cohort.failures import WORKER, Failure
from openvista.errors import OpenVistaError, first_line

_MOST_FALSE_STARTS = 3
"""Each worker may die so often before it is ready, while none gets anything done; then the machine is too small."""
_GRACE_S = 5.0
"""For a scan that is being written when the run is stopped."""
_LOOK_S = 0.5


class LocalEngine(Workers["_Worker"]):
    """A process per plan. One that dies, or is at a case for too long and is killed, gives way to a new one.

    Args:
        plans: of the workers: the same but for the device.
        case_seconds: of a try, before its process is killed; ``None`` for any time.
    """

    one_machine = True

    def __init__(self, plans: Sequence[WorkPlan], case_seconds: float | None = None) -> None:
        self._case_seconds = case_seconds
        self._false_starts = 0
        super().__init__([_Worker(plan) for plan in plans])

    def ended(self, seconds: float) -> list[CaseResult]:
        """See :class:`openvista.cohort.engines.CohortEngine`."""
        until = time.monotonic() + seconds
        while True:
            waiting = self.free() + self.ahead()
            results = self._ended_by(min(until, self._next_deadline()))
            if results or self.free() + self.ahead() > waiting or time.monotonic() >= until:
                return results

    def close(self) -> None:
        """Ask workers that have something in hand to end, then kill all."""
        for worker in self._workers:
            worker.pipe.close()
            if worker.in_hand.tries:
                worker.process.terminate()
        until = time.monotonic() + _GRACE_S
        for worker in self._workers:
            if worker.in_hand.tries:
                worker.process.join(max(0.0, until - time.monotonic()))
            worker.end()

    def _next_deadline(self) -> float:
        deadlines = (
            [worker.in_hand.since + self._case_seconds for worker in self._at_work] if self._case_seconds else []
        )
        return min(deadlines, default=float("inf"))

    @property
    def _at_work(self) -> list["_Worker"]:
        return [worker for worker in self._workers if worker.in_hand.tries]

    def _ended_by(self, until: float) -> list[CaseResult]:
        ready = wait([worker.pipe for worker in self._workers], max(0.0, until - time.monotonic()))
        results = [result for worker in self._workers if worker.pipe in ready for result in self._heard(worker)]
        if self._case_seconds is not None:
            for worker in self._at_work:
                if time.monotonic() - worker.in_hand.since >= self._case_seconds:
                    results += self._replaced(worker, too_long(self._case_seconds))
        return results

    def _heard(self, worker: "_Worker") -> list[CaseResult]:
        try:
            said = worker.pipe.recv()
        except (EOFError, OSError):
            return self._replaced(worker, Failure(WORKER, "", f"the worker ended with {worker.how_it_ended()}"))
        if isinstance(said, str):
            raise OpenVistaError(said)
        self._false_starts = 0
        result, asks = said
        worker.in_hand.asks |= asks
        if result is None:
            worker.has_begun = True
            return []
        worker.in_hand.ended(result)
        return [result]

    def _replaced(self, worker: "_Worker", failure: Failure) -> list[CaseResult]:
        """A new process in place of one that has died or has to; what the tries came to that it had in hand."""
        if not worker.has_begun:
            self._false_starts += 1
            if self._false_starts >= _MOST_FALSE_STARTS * len(self._workers):
                raise OpenVistaError(
                    f"workers end while they load the model: {failure.message}; is there enough memory?"
                )
        worker.end()
        self._workers[self._workers.index(worker)] = _Worker(worker.plan)
        return worker.in_hand.lost(failure, worker.process.pid or 0)


class _Worker:
    """The driver's side of a process.

    Attributes:
        has_begun: the weights are loaded.
        in_hand: its tries.
    """

    def __init__(self, plan: WorkPlan) -> None:
        self.plan = plan
        self.has_begun = False
        self.in_hand = InHand()
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process: SpawnProcess = context.Process(target=_work, args=(plan, theirs), daemon=True)
        self.process.start()
        theirs.close()  # so that the pipe ends with the process

    def give(self, attempt: Attempt) -> None:
        self.in_hand.take(attempt)
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
        work = plan.begin()
    except OpenVistaError as error:
        pipe.send(first_line(error))
        return
    driver = _Driver(pipe, work.overlaps)
    signal.signal(signal.SIGTERM, driver.stop)
    work.run(driver, driver.tell)


class _Driver:
    """The worker's side of the pipe: what the driver gives, one after another, and what came of each."""

    def __init__(self, pipe: "Connection[Any, Any]", overlaps: bool) -> None:
        self._pipe, self._overlaps = pipe, overlaps
        self._asked, self._stopped, self._sending = False, False, threading.Lock()

    def __iter__(self) -> Iterator[Attempt]:
        """Until the driver is gone. Who overlaps asks for each; others have asked with what came of the last one."""
        with suppress(EOFError, OSError):
            while True:
                if self._overlaps or not self._asked:
                    self._send(None, True)
                while not self._pipe.poll(_LOOK_S):
                    if self._stopped:
                        return
                yield self._pipe.recv()

    def stop(self, *_: object) -> None:
        """End the process, from its main thread; what is being written is written first."""
        self._stopped = True
        raise SystemExit(1)

    def tell(self, result: CaseResult) -> None:
        with suppress(OSError):  # the driver has gone, and ends us
            self._send(result, not self._overlaps)

    def _send(self, result: CaseResult | None, asks: bool) -> None:
        with self._sending:  # one thread reads, another one writes
            self._asked = asks
            self._pipe.send((result, asks))


def _end_with_driver() -> None:
    """A driver that is killed takes its workers along: the next one would do their cases at the same time."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
