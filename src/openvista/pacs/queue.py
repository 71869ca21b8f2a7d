"""The series that a node has received, on disk: nothing that was acknowledged is lost, whenever the process ends.

One folder for each series, called by a hash of its UID: ``entry.json`` says how far it is, ``instances/<SOP UID>.dcm``
are its images, ``results/`` what is to be sent. An image counts as received once its file has its name; an entry
changes by replacing its file.
"""

import hashlib
import logging
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from pydantic import BaseModel, ValidationError

from openvista.errors import OpenVistaError
from openvista.io.atomic import replacing
from openvista.pacs.rules import SeriesFacts

logger = logging.getLogger(__name__)

_ENTRY_FILE, _INSTANCES, _RESULTS = "entry.json", "instances", "results"
_RESERVE_BYTES = 256 << 20
"""Stays free on the disk."""


class QueueFull(OpenVistaError):
    """There is no room for another image; the sender may try again later."""


class SeriesState(str, Enum):
    """How far a series is."""

    RECEIVING = "receiving"
    SEGMENTING = "segmenting"
    SENDING = "sending"
    DONE = "done"
    IGNORED = "ignored"
    FAILED = "failed"


OVER = (SeriesState.DONE, SeriesState.IGNORED, SeriesState.FAILED)


class Entry(BaseModel):
    """What is known about a series.

    Attributes:
        uid: Series Instance UID.
        facts: what rules ask about.
        state: how far it is.
        changed: when it came into this state, or its last image came; seconds since 1970.
        not_before: when it is to be tried again; seconds since 1970.
        attempts: how often this state's work was begun.
        rule: name of the rule that is obeyed.
        sent: "destination/file" of every result that arrived.
        late: images came while it was worked on; it is to be done again.
        seen: SOP Instance UIDs of images whose files are deleted.
        problem: why it failed. May hold what identifies a patient: never for a log.
    """

    uid: str
    facts: SeriesFacts
    state: SeriesState = SeriesState.RECEIVING
    changed: float = 0.0
    not_before: float = 0.0
    attempts: int = 0
    rule: str | None = None
    sent: list[str] = []
    late: bool = False
    seen: list[str] = []
    problem: str | None = None


@dataclass(eq=False)
class QueuedSeries:
    """A series of the queue.

    Attributes:
        folder: its own.
        entry: what is known; changed by the queue only.
        images: SOP Instance UIDs of the images whose files are there.
    """

    folder: Path
    entry: Entry
    images: set[str]

    @property
    def name(self) -> str:
        """What a log may call it: nobody finds the patient by it."""
        return self.folder.name[:8]

    @property
    def instances(self) -> Path:
        """Folder of its images."""
        return self.folder / _INSTANCES

    @property
    def results(self) -> Path:
        """Folder of what is to be sent; there once all of it is written."""
        return self.folder / _RESULTS

    @property
    def unfinished_results(self) -> Path:
        """Where results are written, before the folder becomes :attr:`results`."""
        return self.folder / f".{_RESULTS}"


class SeriesQueue:
    """All series of a node. Safe to call from several threads.

    Args:
        folder: ours alone; existing. What an earlier run left in it goes on.
        most_bytes: of images and results together.
        quiet_seconds: a series is complete when no image of it has come for so long.
        clock: seconds since 1970.
    """

    def __init__(
        self, folder: Path, most_bytes: int, quiet_seconds: float, clock: Callable[[], float] = time.time
    ) -> None:
        self._folder, self._most_bytes, self._quiet_seconds, self._clock = folder, most_bytes, quiet_seconds, clock
        self._lock = threading.RLock()
        self._series = {one.folder.name: one for one in self._left_over()}
        self._bytes = sum(path.stat().st_size for path in folder.rglob("*.dcm"))

    def add(self, uid: str, sop_uid: str, facts: SeriesFacts, content: bytes) -> bool:
        """Keep an image; returns once it is safe.

        Args:
            uid: Series Instance UID.
            sop_uid: SOP Instance UID: digits and dots.
            facts: of the series.
            content: the whole DICOM file.

        Returns:
            Whether it is new; one that came before changes nothing, unless its series failed.

        Raises:
            QueueFull: there is no room.
            OutputError: the system refused to write.
        """
        with self._lock:
            series = self._find_or_make(uid, facts)
            known = sop_uid in series.images or sop_uid in series.entry.seen
            if not known:
                self._check_room(len(content))
                _write(series.instances / f"{sop_uid}.dcm", content)
                series.images.add(sop_uid)
                self._bytes += len(content)
            if not known or series.entry.state is SeriesState.FAILED:
                self._image_came(series)
            return not known

    def _find_or_make(self, uid: str, facts: SeriesFacts) -> QueuedSeries:
        name = hashlib.sha256(uid.encode()).hexdigest()[:24]
        if name not in self._series:
            series = QueuedSeries(self._folder / name, Entry(uid=uid, facts=facts, changed=self._clock()), set())
            series.instances.mkdir(parents=True, exist_ok=True)
            self._save(series)
            self._series[name] = series
        return self._series[name]

    def _check_room(self, more: int) -> None:
        if self._bytes + more > self._most_bytes:
            raise QueueFull(f"the queue holds the {self._most_bytes >> 20} MB that it may")
        if shutil.disk_usage(self._folder).free < more + _RESERVE_BYTES:
            raise QueueFull("the disk is full")

    def _image_came(self, series: QueuedSeries) -> None:
        entry = series.entry
        if entry.state in (SeriesState.SEGMENTING, SeriesState.SENDING):
            self._change(series, late=True)
        elif entry.state is SeriesState.RECEIVING:
            entry.changed = self._clock()  # not worth a file: after a restart the quiet time begins anew
        else:
            self._begin_again(series)

    def _begin_again(self, series: QueuedSeries) -> None:
        shutil.rmtree(series.results, ignore_errors=True)
        self._change(
            series, state=SeriesState.RECEIVING, attempts=0, not_before=0.0, rule=None, sent=[], late=False, seen=[]
        )

    # --- the work ---------------------------------------------------------------------------------------------------

    def next(self) -> QueuedSeries | None:
        """A series to work on, the longest waiting first: complete, or begun in an earlier run, or to be tried again.

        One that is complete is then in the state ``segmenting``.
        """
        with self._lock:
            now = self._clock()
            for series in sorted(self._series.values(), key=lambda one: one.entry.changed):
                entry = series.entry
                if entry.state in OVER or entry.not_before > now:
                    continue
                if entry.state is not SeriesState.RECEIVING:
                    return series
                if now - entry.changed >= self._quiet_seconds:
                    self._change(series, state=SeriesState.SEGMENTING)
                    return series
            return None

    def begin(self, series: QueuedSeries, rule: str) -> None:
        """Note that an attempt begins, before it does: what ends the process every time is not tried for ever."""
        with self._lock:
            self._change(series, rule=rule, attempts=series.entry.attempts + 1)

    def begin_sending(self, series: QueuedSeries) -> None:
        """Its results are written."""
        with self._lock:
            self._bytes += sum(path.stat().st_size for path in series.results.glob("*.dcm"))
            self._change(series, state=SeriesState.SENDING, attempts=0, not_before=0.0)

    def note_sent(self, series: QueuedSeries, what: str) -> None:
        """A result has arrived."""
        with self._lock:
            self._change(series, sent=[*series.entry.sent, what])

    def postpone(self, series: QueuedSeries, seconds: float, problem: str | None = None) -> None:
        """Try again later, in the same state; with 0 seconds and no problem the attempt does not count."""
        with self._lock:
            attempts = series.entry.attempts - (problem is None)
            self._change(series, not_before=self._clock() + seconds, problem=problem, attempts=attempts)

    def finish(self, series: QueuedSeries, state: SeriesState, problem: str | None = None) -> None:
        """It is over; what came late begins it again."""
        with self._lock:
            if series.entry.late:
                self._begin_again(series)
            else:
                self._change(series, state=state, problem=problem)

    def tidy(self, keep_seconds: float, remember_seconds: float) -> None:
        """Delete the files of series that are over for so long; forget those that are over for even longer."""
        with self._lock:
            now = self._clock()
            for series in list(self._series.values()):
                age = now - series.entry.changed
                if series.entry.state not in OVER or age < keep_seconds:
                    continue
                self._delete_files(series)
                if age >= remember_seconds:
                    shutil.rmtree(series.folder, ignore_errors=True)
                    del self._series[series.folder.name]

    def _delete_files(self, series: QueuedSeries) -> None:
        if not series.images and not series.results.exists():
            return
        if series.entry.state is not SeriesState.FAILED:  # what failed may be sent again
            series.entry.seen = sorted({*series.entry.seen, *series.images})
        self._save(series)
        files = [*series.instances.glob("*.dcm"), *series.results.glob("*.dcm")]
        self._bytes -= sum(path.stat().st_size for path in files)
        for path in files:
            path.unlink(missing_ok=True)
        shutil.rmtree(series.results, ignore_errors=True)
        series.images.clear()

    def __len__(self) -> int:
        return len(self._series)

    def count(self, *states: SeriesState) -> int:
        """How many series are in these states."""
        with self._lock:
            return sum(series.entry.state in states for series in self._series.values())

    # --- files ------------------------------------------------------------------------------------------------------

    def _change(self, series: QueuedSeries, **values: object) -> None:
        series.entry = series.entry.model_copy(update={"changed": self._clock(), **values})
        self._save(series)

    def _save(self, series: QueuedSeries) -> None:
        _write(series.folder / _ENTRY_FILE, series.entry.model_dump_json(indent=1).encode())

    def _left_over(self) -> Iterator[QueuedSeries]:
        for folder in sorted(path for path in self._folder.iterdir() if path.is_dir() and not path.suffix):
            _delete_half_written(folder)
            try:
                entry = Entry.model_validate_json((folder / _ENTRY_FILE).read_bytes())
            except (OSError, ValidationError):
                logger.error("series %s: its entry is damaged; it is kept as %s.damaged", folder.name[:8], folder.name)
                folder.rename(folder.with_suffix(".damaged"))
                continue
            if entry.state is SeriesState.RECEIVING:
                entry.changed = self._clock()
            images = {path.stem for path in (folder / _INSTANCES).glob("*.dcm")}
            yield QueuedSeries(folder, entry, images)


def _delete_half_written(folder: Path) -> None:
    for path in list(folder.rglob(".*")):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _write(path: Path, content: bytes) -> None:
    """The file, whole or not at all, and on the disk when this returns."""
    with replacing(path) as temporary, temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
