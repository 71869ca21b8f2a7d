"""Workers on a Ray cluster: an actor each, with the weights loaded once. Only paths travel.

Ray is asked to retry nothing: it cannot tell a scan that kills workers from a bad machine. The driver counts the tries
of each case.
"""

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from queue import Queue
from typing import Any

import ray
from ray.exceptions import OutOfMemoryError, RayError

from openvista.cohort.case import Attempt, CaseResult, Segmenter, Work, WorkPlan
from openvista.cohort.engines.workers import InHand, Workers, too_long
from openvista.cohort.failures import MEMORY, WORKER, Failure
from openvista.errors import InputError, OpenVistaError, first_line

logger = logging.getLogger(__name__)

_MOST_FALSE_STARTS = 3
_PATIENCE_S = 60.0
"""A cluster without a ready worker for so long is worth a warning."""
_CALLS = 4
"""Of an actor at once: three tries, and what it asks."""
_RESOURCE = "resource."


@dataclass(frozen=True)
class RayOptions:
    """What to ask a cluster for.

    Attributes:
        address: of its head; "" for ``RAY_ADDRESS``, or a cluster on this machine for the time of the run.
        workers: how many; ``None`` for as many as have room when the run begins.
        cpus: cores of a worker.
        gpus: GPUs of a worker; ``None`` for one where the cluster has any.
        memory_gb: memory of a worker, so that Ray does not put too many on a machine.
        resources: others, by the names that ``ray start --resources`` gave them.
    """

    address: str = ""
    workers: int | None = None
    cpus: float = 1.0
    gpus: float | None = None
    memory_gb: float | None = None
    resources: Mapping[str, float] = field(default_factory=dict)


class RayEngine(Workers["_Worker"]):
    """An actor per worker. One that dies, with its machine or alone, gives way to a new one where there is room.

    Args:
        plan: of the workers.
        options: what to ask the cluster for.
        tries: to be done; there are not more workers than that.
        case_seconds: of a try, before its actor is killed; ``None`` for any time.

    Raises:
        InputError: there is no cluster at that address, or it has no room for a worker.
    """

    one_machine = False

    def __init__(self, plan: WorkPlan, options: RayOptions, tries: int, case_seconds: float | None = None) -> None:
        self._was_connected = ray.is_initialized()
        _connect(options.address)
        gpus, count = _room(options)
        if isinstance(plan, Segmenter) and not gpus:
            plan = replace(plan, threads=max(1, int(options.cpus)))
        memory = {} if options.memory_gb is None else {"memory": int(options.memory_gb * 1e9)}
        self._actor = ray.remote(_Actor).options(
            num_cpus=options.cpus,
            num_gpus=gpus,
            resources=dict(options.resources) or None,
            max_restarts=0,
            max_task_retries=0,
            max_concurrency=_CALLS,
            scheduling_strategy="SPREAD",
            **memory,
        )
        self._plan, self._case_seconds = plan, case_seconds
        self._false_starts, self._last_ready = 0, time.monotonic()
        super().__init__([_Worker(self._actor, plan) for _ in range(min(count, tries))])

    def ended(self, seconds: float) -> list[CaseResult]:
        """See :class:`openvista.cohort.engines.CohortEngine`."""
        expected = {answer: worker for worker in self._workers for answer in worker.awaited}
        ready, waiting = ray.wait(list(expected), num_returns=1, timeout=seconds)
        if waiting:
            ready += ray.wait(waiting, num_returns=len(waiting), timeout=0)[0]
        results = []
        for answer in ready:
            if expected[answer] in self._workers:
                results += self._heard(expected[answer], answer)
        if self._case_seconds is not None:
            for worker in list(self._workers):
                if worker.in_hand.tries and time.monotonic() - worker.in_hand.since >= self._case_seconds:
                    results += self._replaced(worker, too_long(self._case_seconds))
        self._warn_without_room()
        return results

    def close(self) -> None:
        """Kill every actor; a cluster that was started for this run ends."""
        for worker in self._workers:
            ray.kill(worker.handle)
        if not self._was_connected:
            ray.shutdown()

    def _heard(self, worker: "_Worker", answer: Any) -> list[CaseResult]:
        try:
            said = ray.get(answer)
        except OutOfMemoryError as error:
            return self._replaced(worker, Failure(MEMORY, "OutOfMemoryError", first_line(error)))
        except RayError as error:
            return self._replaced(worker, Failure(WORKER, type(error).__name__, first_line(error)))
        if isinstance(said, str):
            raise OpenVistaError(said)
        self._false_starts = 0
        if isinstance(said, CaseResult):
            worker.results.popleft()
            worker.in_hand.ended(said)
            return [said]
        worker.answered()
        return []

    def _replaced(self, worker: "_Worker", failure: Failure) -> list[CaseResult]:
        if not worker.has_begun:
            self._false_starts += 1
            if self._false_starts >= _MOST_FALSE_STARTS * len(self._workers):
                raise OpenVistaError(f"workers end while they load the model: {failure.message}")
        ray.kill(worker.handle)
        self._workers[self._workers.index(worker)] = _Worker(self._actor, self._plan)
        return worker.in_hand.lost(failure)

    def _warn_without_room(self) -> None:
        if any(worker.has_begun for worker in self._workers):
            self._last_ready = time.monotonic()
        elif time.monotonic() - self._last_ready > _PATIENCE_S:
            self._last_ready = time.monotonic()
            logger.warning("no worker has been ready for %g s: has the cluster room for one?", _PATIENCE_S)


class _Worker:
    """The driver's side of an actor.

    Attributes:
        results: what it will say of the tries it has in hand, in their order.
        has_begun: the weights are loaded.
        in_hand: its tries.
    """

    def __init__(self, actor: Any, plan: WorkPlan) -> None:
        self.handle = actor.remote(plan)
        self.results: deque[Any] = deque()
        self._question: Any = self.handle.begin.remote()
        self.has_begun = False
        self.in_hand = InHand()

    @property
    def awaited(self) -> list[Any]:
        """What it says next: of the oldest try, since two answers may overtake each other on their way; whether it has
        begun, or asks for a try."""
        return [answer for answer in (*list(self.results)[:1], self._question) if answer is not None]

    def answered(self) -> None:
        """It has begun; or it asks for a try."""
        self.in_hand.asks = self.has_begun
        self._question = None if self.has_begun else self.handle.ask.remote()
        self.has_begun = True

    def give(self, attempt: Attempt) -> None:
        self.in_hand.take(attempt)
        self.results.append(self.handle.run.remote(attempt))
        self._question = self.handle.ask.remote()


class _Actor:
    """The process on the cluster: a thread works on what Ray's threads bring."""

    def __init__(self, plan: WorkPlan) -> None:
        self._plan = plan
        self._given: Queue[Attempt] = Queue()
        self._answers: deque[Future[CaseResult]] = deque()
        self._asks = threading.Semaphore(0)

    def begin(self) -> str | None:
        """Load the weights; says what is wrong where that is impossible."""
        try:
            work = self._plan.begin()
        except OpenVistaError as error:
            return first_line(error)
        threading.Thread(target=self._work, args=(work,), daemon=True).start()
        return None

    def ask(self) -> None:
        """Returns when another try is asked for."""
        self._asks.acquire()

    def run(self, attempt: Attempt) -> CaseResult:
        """Work on a try."""
        answer: Future[CaseResult] = Future()
        self._answers.append(answer)
        self._given.put(attempt)
        return answer.result()

    def _work(self, work: Work) -> None:
        try:
            work.run(self._tries(), lambda result: self._answers.popleft().set_result(result))
        finally:
            os._exit(1)  # it works as long as the process lives; the driver sees that it does not

    def _tries(self) -> Iterator[Attempt]:
        while True:
            self._asks.release()
            yield self._given.get()


def ray_options(settings: Mapping[str, str], workers: int | None) -> RayOptions:
    """Of ``--engine-option``: ``address``, ``cpus``, ``gpus``, ``memory_gb``, and ``resource.NAME`` for others.

    Raises:
        InputError: there is no such option, or its value is no number.
    """
    numbers: dict[str, float] = {}
    for key, value in settings.items():
        if key == "address":
            continue
        if key not in ("cpus", "gpus", "memory_gb") and not key.startswith(_RESOURCE):
            raise InputError(f"ray has no option {key!r}: there is address, cpus, gpus, memory_gb, {_RESOURCE}NAME")
        try:
            numbers[key] = float(value)
        except ValueError:
            raise InputError(f"--engine-option {key}={value}: give a number") from None
    resources = {key.removeprefix(_RESOURCE): numbers.pop(key) for key in list(numbers) if key.startswith(_RESOURCE)}
    return RayOptions(settings.get("address", ""), workers, **numbers, resources=resources)


def _connect(address: str) -> None:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # no telemetry
    where = address or os.environ.get("RAY_ADDRESS") or None
    try:
        ray.init(
            address=where,
            include_dashboard=None if where else False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            ignore_reinit_error=True,
        )
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise InputError(f"no Ray cluster at {where or 'this machine'}: {first_line(error)}") from None


def _room(options: RayOptions) -> tuple[float, int]:
    """GPUs of a worker, and how many workers."""
    there = ray.cluster_resources()
    gpus = options.gpus if options.gpus is not None else min(1.0, there.get("GPU", 0.0))
    if options.workers is not None:
        return gpus, options.workers
    wanted = {"CPU": options.cpus, "GPU": gpus, **options.resources}
    if options.memory_gb is not None:
        wanted["memory"] = options.memory_gb * 1e9
    count = int(min((there.get(name, 0.0) / amount for name, amount in wanted.items() if amount), default=1))
    if count < 1:
        raise InputError(
            f"the Ray cluster has no room for a worker: it has {_shown(there)}, one needs {_shown(wanted)}"
        )
    return gpus, count


def _shown(resources: Mapping[str, float]) -> str:
    kept = {name: amount for name, amount in resources.items() if ":" not in name and name != "object_store_memory"}
    return ", ".join(f"{name} {amount:g}" for name, amount in sorted(kept.items()))
