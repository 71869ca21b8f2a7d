"""The driver: gives every case to workers until it is done or has failed for good, and keeps the manifest."""

import heapq
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

from openvista.cohort.case import Attempt, CaseResult, CohortCase
from openvista.cohort.engines import CohortEngine
from openvista.cohort.failures import BUG, MEMORY, QUARANTINED, TRIES, may_run_again, pause_before
from openvista.cohort.manifest import DONE, FAILED, SET_ASIDE, WAITING, JobKey, LastState, Manifest
from openvista.cohort.storage import Place
from openvista.cohort.tally import Tally
from openvista.io.atomic import make_folder, write_text

logger = logging.getLogger(__name__)

TRACEBACKS = "quarantine"
"""Folder of the tracebacks, beside the manifest."""
_LOOK_S = 0.5
"""How long to wait for a result before the bar moves on anyway."""


@dataclass(frozen=True)
class ToDo:
    """The cases of a run, by what an earlier run has left of them.

    Attributes:
        attempts: what is to be tried.
        kept: how many are done.
        left_aside: how many are in quarantine.
    """

    attempts: list[Attempt]
    kept: int
    left_aside: int


def what_to_do(
    cases: Sequence[CohortCase],
    states: dict[str, LastState],
    key: JobKey,
    place: Place,
    verify: bool = False,
    again: bool = False,
) -> ToDo:
    """Which cases are still to be tried.

    Done is what was made of this version of the scan, with these settings and weights, if its files are there with
    the size that the manifest says.

    Args:
        cases: of the run.
        states: what manifests say, from :func:`openvista.cohort.manifest.last_states`.
        key: of the run.
        place: where results are.
        verify: read the files, too, and compare their SHA-256.
        again: try what is in quarantine.
    """
    attempts, kept, left_aside = [], 0, 0
    for case in cases:
        last = states.get(case.id)
        if last is not None and last.is_of(case.identity, key):
            if last.state == DONE and _is_there(last, place, verify):
                kept += 1
                continue
            if last.state == SET_ASIDE and not again:
                left_aside += 1
                continue
        attempts.append(Attempt(case, 1 if last is None else last.number + 1))
    return ToDo(attempts, kept, left_aside)


def drive(
    todo: ToDo, engine: CohortEngine, manifest: Manifest, tell: Callable[[Tally], None] = lambda tally: None
) -> Tally:
    """Work until nothing is left to be tried.

    Args:
        todo: from :func:`what_to_do`.
        engine: the workers.
        manifest: where everything is noted.
        tell: called after each change, and at least twice a second.

    Raises:
        OpenVistaError: workers cannot begin at all, or the manifest cannot be written.
    """
    tally = Tally(len(todo.attempts) + todo.kept + todo.left_aside, todo.kept, todo.left_aside)
    queue = _Queue(todo.attempts)
    while queue or tally.running:
        while (attempt := _next(queue, engine, tally)) is not None:
            manifest.started(attempt)
            engine.submit(attempt)
            tally.running += 1
        for result in engine.ended(_LOOK_S):
            tally.running -= 1
            _note(result, queue, manifest, tally)
        tell(tally)
    return tally


def _next(queue: "_Queue", engine: CohortEngine, tally: Tally) -> Attempt | None:
    """What to give to a worker now, if there is anything for one."""
    if engine.free():
        return queue.next(tally.running == 0 or not engine.one_machine)
    return queue.first() if engine.ahead() else None


class _Queue:
    """Tries that wait: in order; after a pause; or, the last ones, for a machine that does nothing else."""

    def __init__(self, attempts: Sequence[Attempt]) -> None:
        self._next = deque(attempts)
        self._paused: list[tuple[float, int, Attempt]] = []
        self._alone: deque[Attempt] = deque()
        self._numbers = count()

    def __bool__(self) -> bool:
        return bool(self._next or self._paused or self._alone)

    def add(self, attempt: Attempt, pause_s: float, alone: bool) -> None:
        """A try that follows another."""
        if alone:
            self._alone.append(attempt)
        else:
            heapq.heappush(self._paused, (time.monotonic() + pause_s, next(self._numbers), attempt))

    def first(self) -> Attempt | None:
        """A scan that has not been tried in this run."""
        return self._next.popleft() if self._next else None

    def next(self, nothing_runs: bool) -> Attempt | None:
        """What to try now, if there is anything."""
        if self._next:
            return self._next.popleft()
        if self._paused and self._paused[0][0] <= time.monotonic():
            return heapq.heappop(self._paused)[2]
        if self._alone and nothing_runs and not self._paused:
            return self._alone.popleft()
        return None


def _note(result: CaseResult, queue: _Queue, manifest: Manifest, tally: Tally) -> None:
    """What a try's end means for its case."""
    failure, attempt = result.failure, result.attempt
    if failure is None:
        manifest.ended(result, DONE)
        tally.case_done()
    elif may_run_again(failure, attempt.tries):
        manifest.ended(result, WAITING)
        tally.retries += 1
        following = replace(attempt, number=attempt.number + 1, tries=attempt.tries + 1, small=failure.kind == MEMORY)
        is_last = following.tries == TRIES[failure.kind]
        queue.add(following, pause_before(failure, attempt.tries), following.small or is_last)
        logger.info("%s: %s; tried again", attempt.case.id, failure.message)
    else:
        manifest.ended(result, SET_ASIDE if failure.kind in QUARANTINED else FAILED)
        tally.case_failed(failure.kind)
        logger.warning("%s: %s (%s)", attempt.case.id, failure.message, failure.kind)
        if failure.kind == BUG:
            _keep_traceback(manifest.path.parent, attempt.case.id, failure.traceback)


def _keep_traceback(folder: Path, case_id: str, text: str) -> None:
    target = folder / TRACEBACKS / f"{case_id}.txt"
    make_folder(target.parent)
    write_text(target, text)


def _is_there(last: LastState, place: Place, verify: bool) -> bool:
    for output in last.outputs:
        if place.size(output.path) != output.bytes or (verify and place.sha256(output.path) != output.sha256):
            logger.info("%s: is missing or has changed: made again", output.path)
            return False
    return bool(last.outputs)
