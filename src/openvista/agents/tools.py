"""What the tools do, in plain calls: which files, which sessions, which model. Nothing here knows the protocol."""

import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

from openvista.agents import answers
from openvista.agents.folders import Folders
from openvista.errors import InputError, PromptError, ServiceError
from openvista.inference.progress import Report
from openvista.io import check_output, check_scan, read_scan, read_segmentation, write_segmentation
from openvista.io.paths import output_format
from openvista.io.session_file import SESSION_SUFFIX
from openvista.model import Model, load_model
from openvista.plausibility import in_words
from openvista.prompts import Click
from openvista.report.preview import write_preview
from openvista.scan import Scan, Segmentation
from openvista.serve.ids import new_id, no_such
from openvista.serve.settings import MEGABYTE
from openvista.session.session import Session
from openvista.weights import ModelCard, find_model

MOST_SESSIONS = 4
_SESSION_BYTES = 1024 * MEGABYTE


@dataclass(frozen=True)
class Asked:
    """Which scan is meant.

    Attributes:
        path: of the file or folder.
        series: which DICOM series, if there are several.
        fill_gaps: interpolate slices that are missing.
    """

    path: Path
    series: str | None = None
    fill_gaps: bool = False

    def read(self) -> Scan:
        """The scan, with all that looks odd about it as its warnings.

        Raises:
            ScanError: it cannot be read.
        """
        scan = read_scan(self.path, series=self.series, fill_gaps=self.fill_gaps, apart=True)
        return replace(scan, warnings=tuple(check_scan(scan)))


@dataclass(eq=False)
class OpenedSession:
    """A session that is open, and its lock: one change at a time."""

    session: Session
    lock: threading.Lock = field(default_factory=threading.Lock)


class Toolbox:
    """The model, the folders, and the open sessions of one server.

    Args:
        folders: whose files may be used.
        model: name or folder.
        device, precision: as for :func:`openvista.load_model`.
    """

    def __init__(self, folders: Folders, model: str = "starter", device: str = "auto", precision: str = "auto") -> None:
        self.folders = folders
        self._name, self._device, self._precision = model, device, precision
        self._opened: dict[str, OpenedSession] = {}
        self._lock = threading.Lock()

    @cached_property
    def card(self) -> ModelCard:
        """What the model knows, without its weights.

        Raises:
            ModelError: there is no such model.
        """
        return find_model(self._name).card

    @cached_property
    def model(self) -> Model:
        """The model; loaded by the thread of the jobs, which alone asks for it first."""
        return load_model(self._name, self._device, self._precision)

    # --- scans --------------------------------------------------------------------------------------------------

    def classes(self, query: str) -> answers.KnownClasses:
        """What can be asked for by name."""
        known = [
            answers.KnownClass(id=one.id, name=one.name, aliases=list(one.aliases), group=one.group)
            for one in self.card.vocabulary().search(query)
        ]
        return answers.KnownClasses(model=self.card.name, answers_clicks="point" in self.card.branches, classes=known)

    def segmenting(
        self, asked: Asked, classes: str | Sequence[int | str], output: Path, format: str | None, drop_unlikely: bool
    ) -> Callable[[Report], answers.Segmented]:
        """The work of a segmentation, after all that can be refused before it.

        Raises:
            AnatomyError: a class that the model does not know.
            OutputError: the result cannot be written there.
        """
        ids = self.card.vocabulary().expand(classes)
        check_output(output, asked.path, output_format(output, format))

        def work(report: Report) -> answers.Segmented:
            scan, model = asked.read(), self.model
            result = model.segment(scan, ids, progress=report)
            rows = result.table()
            notes = [warning.message for warning in scan.warnings]
            if none_shown := model.region_warning(ids, rows):
                notes.append(none_shown)
            if drop_unlikely:
                notes += [f"left out: {row.name} ({in_words(row.unlikely)})" for row in rows if row.unlikely]
                result = result.without_unlikely()
            write_segmentation(result, output, format)
            return answers.Segmented(
                output=str(output), model=model.card.name, **answers.measured(result, notes).model_dump()
            )

        return work

    # --- sessions -----------------------------------------------------------------------------------------------

    def open(self, asked: Asked, start: Path | None) -> answers.SessionAnswer:
        """A new session on a scan.

        Args:
            asked: the scan.
            start: a session file to go on with, or a label map whose structures become objects.

        Raises:
            ServiceError: as many are open as may be.
        """
        self._require_room()
        scan, resumes = asked.read(), start is not None and start.name.endswith(SESSION_SUFFIX)
        session = self.model.open(scan, start if resumes else None)
        if start is not None and not resumes:
            session.start_from(read_segmentation(start, scan_grid=scan.grid, apart=True))
        with self._lock:
            self._require_room()
            self._opened[session_id := new_id()] = OpenedSession(session)
        return answers.session_answer(session_id, session, [warning.message for warning in scan.warnings])

    def _require_room(self) -> None:
        if len(self._opened) >= MOST_SESSIONS:
            there = ", ".join(f"{key} on {one.session.scan.name}" for key, one in self._opened.items())
            raise ServiceError(f"{MOST_SESSIONS} sessions are open, the most: close one of {there}", status=429)

    def opened(self, session_id: str) -> OpenedSession:
        """An open session by its handle.

        Raises:
            ServiceError: there is none.
        """
        found = self._opened.get(session_id)
        if found is None:
            raise no_such(f"session {session_id[:40]!r}: open_session gives a handle; sessions end with the server")
        return found

    def click(
        self, session_id: str, clicks: Sequence[Click], target: int | str, new: bool, world: bool, report: Report
    ) -> answers.SessionAnswer:
        """Clicks on one object.

        Args:
            session_id: the handle.
            clicks: in voxels of the scan, or in RAS+ mm.
            target: an object, or a class; the name of the new object.
            new: make an object that no class describes.
            world: they are in mm.
            report: told about windows.

        Raises:
            PromptError: no click can be used; nothing has changed.
        """
        opened = self.opened(session_id)
        with opened.lock:
            session = opened.session
            with ExitStack() as taken_back:  # no new object without a click on it, even where the job is cancelled
                if new:
                    target = session.new_object(str(target)).id
                    taken_back.callback(session.undo)
                answer = session.clicks(clicks, target, world=world, progress=report)
                if not answer.clicks:
                    raise PromptError("; ".join(answer.notes) or "no click could be used")
                taken_back.pop_all()
            session.open_scan.limit_caches(_SESSION_BYTES)
            return answers.session_answer(session_id, session, answer.notes)

    def undo(self, session_id: str) -> answers.SessionAnswer:
        """Take back the last change.

        Raises:
            ServiceError: there is none.
        """
        opened = self.opened(session_id)
        with opened.lock:
            if not opened.session.undo():
                raise ServiceError("there is nothing to undo", status=409)
            return answers.session_answer(session_id, opened.session)

    def close(self, session_id: str) -> answers.Closed:
        """Forget a session."""
        with self.opened(session_id).lock, self._lock:
            self._opened.pop(session_id, None)
            return answers.Closed(session_id=session_id, open_sessions=len(self._opened))

    # --- results ------------------------------------------------------------------------------------------------

    def segmentation(self, session_id: str | None, labels: str | None, scan: str | None) -> Segmentation:
        """A label map: of a session, or of a file with the scan it belongs to.

        Raises:
            InputError: both, or none of them; or the two files lie on different grids.
        """
        if (session_id is None) == (labels is None):
            raise InputError("give either session_id, or labels: the path of a label map (with scan for HU)")
        if session_id is not None:
            opened = self.opened(session_id)
            with opened.lock:
                return opened.session.segmentation()
        image = None if scan is None else Asked(self.folders.existing(scan)).read()
        path = self.folders.existing(str(labels))
        found = read_segmentation(path, scan_grid=None if image is None else image.grid, apart=True)
        told = found.provenance.get("unlikely")
        judged = {int(key): tuple(one) for key, one in told.items()} if isinstance(told, dict) else None
        return replace(found, scan=image, unlikely=judged)

    def export(self, session_id: str, output: Path, format: str | None) -> answers.Written:
        """Write a session's label map in any format, or the session itself.

        Raises:
            OutputError: it cannot be written there.
        """
        opened = self.opened(session_id)
        with opened.lock:
            if format == "ovsession" or (format is None and output.name.endswith(SESSION_SUFFIX)):
                opened.session.save(output)
                return answers.Written(path=str(output), format="ovsession")
            write_segmentation(opened.session.segmentation(), output, format)
        return answers.Written(path=str(output), format=output_format(output, format))


def picture(segmentation: Segmentation) -> bytes:
    """The preview as PNG.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    with TemporaryDirectory(prefix="openvista-") as folder:
        return write_preview(segmentation, Path(folder, "preview.png")).read_bytes()
