"""Questions without a session: everything in one request, as NIM's and MONAI Label's clients ask.

They repeat the whole question for every click. So the engine's session of a scan is kept for a while, emptied of what
was asked: its features stay, and the second question costs little.
"""

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from starlette.requests import Request

from openvista.errors import PromptError
from openvista.inference.progress import Report
from openvista.prompts import Click
from openvista.scan import Segmentation
from openvista.serve.engine import Engine, Lane
from openvista.serve.jobs import Job
from openvista.serve.observe import Metrics
from openvista.serve.scans import ScanRecord, ScanStore
from openvista.serve.settings import MEGABYTE, Settings
from openvista.session.session import Session

_KEPT = 4
_SHARE = 4
"""Part of the memory for sessions that those kept here may take, besides it."""
_LOOK_SECONDS = 0.5

ObjectRef = int | str


@dataclass(frozen=True)
class Question:
    """A whole question.

    Attributes:
        classes: names and ids for the automatic branch; ``None`` for everything, empty for none.
        clicks: by class or by name of a new object.
        new: names among the keys of ``clicks`` that are new objects, which no class describes.
        existing: a label map to start from.
    """

    classes: Sequence[ObjectRef] | None = ()
    clicks: Mapping[ObjectRef, Sequence[Click]] = field(default_factory=dict)
    new: frozenset[str] = frozenset()
    existing: Segmentation | None = None


@dataclass(frozen=True)
class Result:
    """The answer to a question.

    Attributes:
        segmentation: on the scan's grid.
        notes: what the user should know.
        seconds: of computing.
    """

    segmentation: Segmentation
    notes: list[str]
    seconds: float


@dataclass(eq=False)
class _Kept:
    session: Session
    lane: Lane
    lock: threading.Lock = field(default_factory=threading.Lock)


class OneShots:
    """Answers whole questions.

    Args:
        settings: profile and memory.
        engine: what answers.
        scans: what is asked about.
        metrics: told how many are kept.
    """

    def __init__(self, settings: Settings, engine: Engine, scans: ScanStore, metrics: Metrics) -> None:
        self._settings, self._engine, self._scans = settings, engine, scans
        self._most_bytes = settings.session_memory_mb * MEGABYTE // _SHARE
        self._kept: OrderedDict[tuple[str, str], _Kept] = OrderedDict()
        metrics.watch("openvista_oneshot_bytes", "Memory of scans asked without a session", self._nbytes)

    async def ask(self, request: Request, record: ScanRecord, model: str | None, asked: Question, kind: str) -> Result:
        """Queue a question and wait; when the client goes away meanwhile, it is cancelled.

        Raises:
            ServiceError: 429, 503; or what the engine raises.
        """
        name = self._engine.model(model).card.name
        kept = self._keep(record, name)
        job = Job(kind)

        def work(progress: Report) -> tuple[Segmentation, list[str]]:
            with kept.lock:
                answered = answer(kept.session, asked, progress)
                kept.session.open_scan.limit_caches(self._most_bytes)
            return answered

        task = asyncio.ensure_future(self._engine.run(kept.lane, job, work))
        while not task.done():
            await asyncio.wait({task}, timeout=_LOOK_SECONDS)
            if not task.done() and await request.is_disconnected():
                job.cancel()
        segmentation, notes = await task
        return Result(segmentation, notes, job.seconds or 0.0)

    def forget(self, scan_id: str) -> None:
        """The scan is gone."""
        for key in [key for key in self._kept if key[0] == scan_id]:
            del self._kept[key]

    def _keep(self, record: ScanRecord, model: str) -> _Kept:
        key = (record.id, model)
        if key not in self._kept:
            lane = self._engine.quietest()
            session = lane.model(model).open(
                self._scans.load(record), profile=self._settings.profile, feature_budget=self._most_bytes // _SHARE
            )
            self._kept[key] = _Kept(session, lane)
        self._kept.move_to_end(key)
        while len(self._kept) > 1 and (len(self._kept) > _KEPT or self._nbytes() > self._most_bytes):
            self._kept.popitem(last=False)
        return self._kept[key]

    def _nbytes(self) -> int:
        return sum(kept.session.open_scan.nbytes for kept in list(self._kept.values()))


def answer(session: Session, asked: Question, progress: Report) -> tuple[Segmentation, list[str]]:
    """Ask an empty session, and leave it empty.

    Raises:
        AnatomyError: an unknown class.
        ModelError: the model has no branch for this.
        PromptError: no click on an object is usable.
    """
    notes: list[str] = []
    try:
        if asked.existing is not None:
            session.start_from(asked.existing)
        if asked.classes is None or asked.classes:
            session.segment(None if asked.classes is None else list(asked.classes), progress)
        for which, clicks in asked.clicks.items():
            if which in asked.new and session.state.find(which) is None:
                session.new_object(str(which))
            # what was not asked for by class does not start from it: the clicks alone describe it
            found = session.clicks(clicks, which, automatic=False, progress=progress)
            notes += found.notes
            if not found.clicks:
                raise PromptError(found.notes[0] if found.notes else f"no click on {which!r} is usable")
        return session.segmentation(), notes
    finally:
        while session.undo():
            pass
