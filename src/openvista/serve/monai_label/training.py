"""Fine-tuning on the datastore's final labels: one job at a time, in a process of its own, with low priority."""

import asyncio
import csv
import logging
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool

from openvista.anatomy import Vocabulary
from openvista.datalist import Case, DataList, write_datalist
from openvista.datalist.dicom_pairs import renumbered
from openvista.errors import AnatomyError, ServiceError
from openvista.io import read_segmentation
from openvista.scan import Segmentation
from openvista.serve.ids import new_id
from openvista.serve.monai_label.datastore import Datastore
from openvista.serve.monai_label.models import ListedModel, find_listed
from openvista.serve.service import Service
from openvista.structures import present_ids
from openvista.weights import find_model

logger = logging.getLogger(__name__)

_DEFAULT_MINUTES = 30.0
_MOST_MINUTES = 24 * 60.0
_LOG_FILE = "finetune.log"
_TOLD_LINES = 20


class Training:
    """The fine-tuning of a server.

    Args:
        service: the server's parts.
        datastore: what to learn from; ``None`` where there is none.
    """

    def __init__(self, service: Service, datastore: Datastore | None) -> None:
        self._service, self._datastore = service, datastore
        self._process: subprocess.Popen[bytes] | None = None
        self._facts: dict[str, Any] = {}
        self._folder = Path()
        self._starting = asyncio.Lock()

    @property
    def _on(self) -> bool:
        return self._service.settings.train and self._datastore is not None

    def offered(self) -> dict[str, Any]:
        """What ``/info/`` says about trainers."""
        if not self._on:
            return {}
        return {"vista3d": {"description": "fine-tune on the final labels", "config": {"minutes": _DEFAULT_MINUTES}}}

    def statistics(self) -> dict[str, Any]:
        """What ``/info/`` says about the last job."""
        return {"vista3d": {"status": self._state}} if self._process is not None else {}

    async def start(self, model: str, params: dict[str, Any]) -> dict[str, Any]:
        """Begin a job.

        Raises:
            ServiceError: 403, it is off; 404, no such model; 422, too few labels or wrong params; 429, one runs.
        """
        if not self._on or self._datastore is None:
            raise ServiceError("training is off; start the server with --train and --datastore", status=403, code="off")
        listed = find_listed(self._service, model)
        minutes = _minutes(params.get("minutes"))
        if self._starting.locked() or (self._process is not None and self._process.poll() is None):
            raise ServiceError("a training job runs already", status=429, code="busy", retry_after=60)
        async with self._starting:
            return await self._start(self._datastore, listed, minutes)

    async def _start(self, datastore: Datastore, listed: ListedModel, minutes: float) -> dict[str, Any]:
        folder = self._service.settings.state / "train" / new_id()
        try:
            datalist, mapping = await run_in_threadpool(make_list, datastore, folder / "data", listed.model.vocabulary)
        except ServiceError:
            await run_in_threadpool(shutil.rmtree, folder, True)
            raise
        self.close()  # the job before this one, which has ended
        self._folder = folder
        source = self._source_of(listed.model.card.name)
        self._facts = {"id": self._folder.name, "model": listed.name, "minutes": minutes, "start_ts": int(time.time())}
        self._process = _run(self._folder, datalist, mapping, source, minutes)
        return self.status()

    def _source_of(self, name: str) -> str:
        """What the command line calls a loaded model."""
        return next(given for given in self._service.settings.models if find_model(given).card.name == name)

    def status(self, running_only: bool = False) -> dict[str, Any]:
        """The last job.

        Raises:
            ServiceError: 404, there is none; or with ``running_only``, none that runs.
        """
        if self._process is None or (running_only and self._state != "RUNNING"):
            raise ServiceError("there is no training job", status=404, code="not-found")
        told = {"status": self._state, "details": self._details()}
        return {**self._facts, **told, "progress": last_row(self._folder / "run" / "train.csv")}

    def stop(self) -> dict[str, Any]:
        """End the job; what it has learned so far stays in its folder.

        Raises:
            ServiceError: 404, there is none.
        """
        if self._process is None:
            raise ServiceError("there is no training job", status=404, code="not-found")
        self.close()
        return self.status()

    def close(self) -> None:
        """End the job, if one runs, and let go of its pipe."""
        process = self._process
        if process is None:
            return
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if process.stdin is not None:
            process.stdin.close()

    @property
    def _state(self) -> str:
        status = None if self._process is None else self._process.poll()
        if status is None:
            return "RUNNING"
        return "DONE" if status == 0 else "STOPPED" if status < 0 else "FAILED"

    def _details(self) -> list[str]:
        """The last lines that the job wrote, our folder shortened: the end of them says where the new model is."""
        log = self._folder / _LOG_FILE
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines() if log.exists() else []
        return [line.replace(str(self._service.settings.state), "STATE") for line in lines[-_TOLD_LINES:]]


def make_list(datastore: Datastore, folder: Path, vocabulary: Vocabulary) -> tuple[Path, list[str]]:
    """A data list of everything that has a final label, with one numbering for all of them.

    Annotators' files number their segments as they please; what counts is the names.

    Returns:
        The list's file, and what to map onto which class: known names to their classes, others to new ones.

    Raises:
        ServiceError: 422, nothing is labelled.
    """
    folder.mkdir(parents=True)
    numbers: dict[str, int] = {}
    cases = []
    for image_id, image, label, info in datastore.pairs():
        found = read_segmentation(label, apart=True)
        names = _names(found, info)
        target = folder / f"{image_id}.nii.gz"
        annotated = frozenset(numbers.setdefault(name.casefold(), len(numbers) + 1) for name in names.values())
        own = {key: numbers[name.casefold()] for key, name in names.items()}
        renumbered(found, own, {own[key]: name for key, name in names.items()}).save(target)
        cases.append(Case(image.resolve(), target, None, annotated, {}))
    if not numbers:
        raise ServiceError("nothing in the datastore has a final label yet", code="no-labels")
    listed = DataList(folder / "dataset.json", {number: name for name, number in numbers.items()}, tuple(cases), ())
    mapping = [f"{number}={_target(name, vocabulary)}" for name, number in numbers.items()]
    return write_datalist(listed), mapping


def _names(found: Segmentation, info: dict[str, Any]) -> dict[int, str]:
    """Names of the values that occur: those that the client sent along, else those in the file."""
    sent: dict[int, str] = {}
    for item in info.get("label_info") or []:
        if isinstance(item, dict) and isinstance(item.get("name"), str) and isinstance(item.get("idx"), int):
            sent[item["idx"]] = item["name"]
    return {key: " ".join(sent.get(key, found.names[key]).split()) for key in present_ids(found.labels)}


def _target(name: str, vocabulary: Vocabulary) -> str:
    try:
        return str(vocabulary.resolve(name))
    except AnatomyError:
        return f"new:{name}"


def last_row(table: Path) -> dict[str, float]:
    """How far the job is: the newest line of its ``train.csv`` (step, seconds, loss, ...); nothing before the first."""
    try:
        with table.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        return {name: float(value) for name, value in rows[-1].items()} if rows else {}
    except (OSError, TypeError, ValueError):  # not there yet, or just being written
        return {}


def _minutes(given: Any) -> float:
    if given is None:
        return _DEFAULT_MINUTES
    if isinstance(given, bool) or not isinstance(given, int | float) or not 0 < given <= _MOST_MINUTES:
        raise ServiceError(f"minutes must be a number up to {_MOST_MINUTES:g}", code="params")
    return float(given)


def _run(folder: Path, datalist: Path, mapping: list[str], model: str, minutes: float) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "openvista.serve.worker", "finetune", str(datalist), "--model", model]
    command += ["--minutes", f"{minutes:g}", "--output", str(folder / "run"), "--verbose"]
    for item in mapping:
        command += ["--map", item]
    if shutil.which("nice"):
        command = ["nice", "-n", "10", *command]
    logger.info("fine-tuning begins")
    with (folder / _LOG_FILE).open("wb") as log:
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True)
