"""The work on a node's queue: a complete series is segmented as the first fitting rule says, and its results are sent.

Everything is done at least once. Objects have the same UIDs whenever they are made of the same series by the same
model, so what arrives twice is one object in every archive.
"""

import logging
import os
import shutil
import threading
from dataclasses import dataclass

from openvista.errors import InputError, OpenVistaError, OutputError, ScanError
from openvista.inference.progress import Progress
from openvista.io import DicomOptions, read_scan
from openvista.model import Model, load_model
from openvista.pacs.dicom_results import write_objects
from openvista.pacs.queue import QueuedSeries, SeriesQueue, SeriesState
from openvista.pacs.rules import Rule, Rules
from openvista.pacs.send import send

logger = logging.getLogger(__name__)

_MOST_ATTEMPTS = 3
_MOST_SECONDS_BETWEEN = 3600.0
_LOOK_SECONDS = 0.5
_TIDY_SECONDS = 60.0


@dataclass(frozen=True)
class WorkSettings:
    """How to work.

    Attributes:
        title: AE title under which results are sent.
        device, precision: how to compute.
        retry_seconds: until the second try to send; then twice as long each time, an hour at most.
        give_up_hours: after which a result that cannot be sent is given up.
        keep_minutes: how long images and results stay after the end, for slices that come late.
        remember_days: how long images that come again are recognised.
    """

    title: str = "OPENVISTA"
    device: str = "auto"
    precision: str = "auto"
    retry_seconds: float = 30.0
    give_up_hours: float = 72.0
    keep_minutes: float = 60.0
    remember_days: float = 30.0


class _Stopped(BaseException):
    """Ends the work on a series; not an error of it."""


class Worker:
    """Works on the queue, one series at a time, with one loaded model.

    Args:
        queue: what has come.
        rules: what to do.
        settings: how.
    """

    def __init__(self, queue: SeriesQueue, rules: Rules, settings: WorkSettings) -> None:
        self._queue, self._rules, self._settings = queue, rules, settings
        self._stop = threading.Event()
        self._model: tuple[str, Model] | None = None

    def check_rules(self) -> None:
        """Find mistakes before anything arrives: each rule's model is loaded, and its classes are looked up.

        Raises:
            InputError: no such model, class, profile or device.
        """
        for rule in reversed(self._rules.rules):  # so that the first rule's model is the one that stays loaded
            self._model_of(rule).vocabulary.expand(list(rule.classes) or None)

    def stop(self) -> None:
        """End soon: what is being worked on is taken up again at the next start."""
        self._stop.set()

    def run(self) -> None:
        """Work until :meth:`stop`."""
        tidied = 0.0
        while not self._stop.is_set():
            series = self._queue.next()
            if series is None:
                self._stop.wait(_LOOK_SECONDS)
                tidied += _LOOK_SECONDS
            else:
                self._work_on(series)
            if series is not None or tidied >= _TIDY_SECONDS:
                self._queue.tidy(self._settings.keep_minutes * 60, self._settings.remember_days * 86400)
                tidied = 0.0

    def _work_on(self, series: QueuedSeries) -> None:
        rule = self._rules.rule_for(series.entry.facts)
        if rule is None:
            logger.info("series %s: %d images, no rule fits", series.name, len(series.images))
            self._queue.finish(series, SeriesState.IGNORED)
            return
        try:
            if series.entry.state is SeriesState.SEGMENTING:
                self._segment(series, rule)
            if series.entry.state is SeriesState.SENDING:
                self._send(series, rule)
        except _Stopped:
            self._queue.postpone(series, 0.0)
        except OpenVistaError as error:
            self._note_problem(series, error)

    def _segment(self, series: QueuedSeries, rule: Rule) -> None:
        if series.entry.attempts >= _MOST_ATTEMPTS:
            raise InputError("the process ended whenever it was worked on")
        self._queue.begin(series, rule.name)
        logger.info("series %s: %d images, rule %s", series.name, len(series.images), rule.name)
        scan = read_scan(series.instances, fill_gaps=rule.fill_gaps)
        result = self._model_of(rule).segment(
            scan, list(rule.classes) or None, profile=rule.profile, progress=self._check_stopped
        )
        if not result.labels.any():
            logger.info("series %s: nothing was found", series.name)
            self._queue.finish(series, SeriesState.DONE)
            return
        unfinished = series.unfinished_results
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir()
        write_objects(result, rule.formats, unfinished, DicomOptions())
        shutil.rmtree(series.results, ignore_errors=True)
        os.replace(unfinished, series.results)
        self._queue.begin_sending(series)

    def _send(self, series: QueuedSeries, rule: Rule) -> None:
        self._queue.begin(series, rule.name)
        for name in rule.send_to:
            for path in sorted(series.results.glob("*.dcm")):
                what = f"{name}/{path.stem}"
                if what in series.entry.sent:
                    continue
                self._check_stopped(None)
                send(path, self._rules.destinations[name], self._settings.title)
                self._queue.note_sent(series, what)
        logger.info("series %s: %d results sent", series.name, len(series.entry.sent))
        self._queue.finish(series, SeriesState.DONE)

    def _note_problem(self, series: QueuedSeries, error: OpenVistaError) -> None:
        """Try again later what may go away by itself; give up on what does not."""
        entry = series.entry
        # what is wrong with a scan may quote its headers; it is in entry.json only
        told = "it cannot be read as a CT" if isinstance(error, ScanError) else str(error)
        seconds = min(self._settings.retry_seconds * 2 ** (entry.attempts - 1), _MOST_SECONDS_BETWEEN)
        tries = self._settings.give_up_hours * 3600 / _MOST_SECONDS_BETWEEN
        is_last = entry.attempts >= (tries if entry.state is SeriesState.SENDING else _MOST_ATTEMPTS)
        if isinstance(error, InputError) and not isinstance(error, OutputError):
            is_last = True
        if is_last:
            logger.error("series %s: given up: %s; its entry.json says more", series.name, told)
            self._queue.finish(series, SeriesState.FAILED, str(error))
        else:
            logger.warning("series %s: %s; again in %.0f s", series.name, told, seconds)
            self._queue.postpone(series, seconds, str(error))

    def _check_stopped(self, _: Progress | None) -> None:
        if self._stop.is_set():
            raise _Stopped

    def _model_of(self, rule: Rule) -> Model:
        if self._model is None or self._model[0] != rule.model:
            self._model = None  # there may not be memory for two
            self._model = (rule.model, load_model(rule.model, self._settings.device, self._settings.precision))
        return self._model[1]
