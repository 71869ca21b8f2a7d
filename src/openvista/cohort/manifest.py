"""The manifest: a line per event, so that whoever comes later knows what is done, and with what.

``manifest.jsonl`` lies in the output folder (that of shard 3 of 8 is ``manifest.3-of-8.jsonl``). The first line of each
run is a header; every other line is the state of a case at that moment. The last line of a case counts. Only the
driver writes, and only at the end of the file.
"""

import getpass
import json
import logging
import os
import re
import socket
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock, Timeout

from openvista._version import __version__
from openvista.cohort.case import Attempt, CaseResult, OutputFile
from openvista.errors import InputError
from openvista.io.atomic import drop_torn_line, make_folder, writing

logger = logging.getLogger(__name__)

Item = TypeVar("Item")

SCHEMA = 1
"""Version of the format; other versions are refused."""
RUNNING, WAITING, DONE, FAILED, SET_ASIDE = "running", "waiting", "done", "failed", "quarantined"
ENDED = (DONE, FAILED, SET_ASIDE)
"""What a state of a case is that nobody is at, or will be by himself."""
_NAME = re.compile(r"manifest(?:\.(\d+)-of-(\d+))?\.jsonl$")
_LOCK_PATIENCE_S = 1.0


@dataclass(frozen=True)
class Shard:
    """A part of a cohort: case number ``index``, ``index + count``, ... in order of ids."""

    index: int
    count: int

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """Of "3/8": shard 3 of 8, counted from 0.

        Raises:
            InputError: it is something else.
        """
        match = re.fullmatch(r"(\d+)/(\d+)", text.strip())
        if match is None or not int(match[1]) < int(match[2]):
            raise InputError(f"--shard {text}: write INDEX/COUNT with the index from 0, such as 0/4 to 3/4")
        return cls(int(match[1]), int(match[2]))

    def __str__(self) -> str:
        return f"{self.index}-of-{self.count}"

    def part(self, cases: Sequence[Item]) -> list[Item]:
        """The cases of this shard."""
        return list(cases[self.index :: self.count])


@dataclass(frozen=True)
class JobKey:
    """What decides whether a result is still the one that is wanted, beside the scan itself."""

    settings_sha256: str
    weights_sha256: str


@dataclass(frozen=True, slots=True)
class LastState:
    """What a manifest last says of a case.

    Attributes:
        state: "running", "waiting", "done", "failed" or "quarantined".
        number: of the last try.
        identity: of the scan it was; "" where the try has not ended.
        key: of settings and weights; empty where the try has not ended.
        outputs: files, where it is done.
    """

    state: str
    number: int
    identity: str
    key: JobKey
    outputs: tuple[OutputFile, ...] = ()

    def is_of(self, identity: str, key: JobKey) -> bool:
        """Whether it is about this version of the scan, these settings and weights."""
        return self.key == key and self.identity == identity


class Manifest:
    """The file of one driver, open for writing. From :func:`open_manifest`.

    Args:
        path: the file.
        key: of this run.
    """

    def __init__(self, path: Path, key: JobKey) -> None:
        self.path = path
        self._key = key
        with writing(path):
            drop_torn_line(path)
            self._stream = path.open("a", encoding="utf-8")

    def begin(self, cases: int, names: Mapping[int, str]) -> None:
        """The header of a run over so many cases, that looks for these classes."""
        about: dict[str, Any] = {
            "openvista_manifest": SCHEMA,
            "openvista": __version__,
            "cases": cases,
            "host": socket.gethostname(),
        }
        about["names"] = dict(names)
        self._write(about | asdict(self._key))

    def started(self, attempt: Attempt) -> None:
        """A try has been given to a worker."""
        self._write(_event(attempt, RUNNING))

    def ended(self, result: CaseResult, state: str) -> None:
        """A try has ended, and what the case is now."""
        case = result.attempt.case
        content = _event(result.attempt, state) | {"input_uri": case.uri, "input_identity": case.identity}
        content |= asdict(self._key)
        content |= {key: getattr(result, key) for key in ("host", "pid", "device")}
        content |= {key: round(getattr(result, key), 3) for key in ("started", "ended", "seconds")}
        if result.failure is None:
            content["outputs"] = [asdict(output) for output in result.outputs]
            content["volumes_ml"] = result.volumes_ml
            content["at_border"] = result.at_border
            if result.unlikely:
                content["unlikely"] = result.unlikely
        else:
            content["error"] = asdict(result.failure)
        if result.warnings:
            content["warnings"] = result.warnings
        self._write(content)

    def close(self) -> None:
        """Write what the system still holds."""
        with suppress(OSError):
            os.fsync(self._stream.fileno())
        with writing(self.path):
            self._stream.close()

    def _write(self, content: Mapping[str, Any]) -> None:
        with writing(self.path):
            self._stream.write(json.dumps(content, ensure_ascii=False) + "\n")
            self._stream.flush()


def _event(attempt: Attempt, state: str) -> dict[str, Any]:
    return {"case_id": attempt.case.id, "state": state, "attempt": attempt.number, "time": round(time.time(), 3)}


def manifest_path(folder: Path, shard: Shard | None) -> Path:
    """Where the manifest of a driver lies."""
    return folder / f"manifest{'' if shard is None else f'.{shard}'}.jsonl"


def manifests_in(folder: Path) -> dict[Path, Shard | None]:
    """The manifests of a folder, with their shards."""
    found = sorted(folder.glob("manifest*.jsonl"))
    matches = {path: match for path in found if (match := _NAME.fullmatch(path.name))}
    return {path: None if match[1] is None else Shard(int(match[1]), int(match[2])) for path, match in matches.items()}


@contextmanager
def open_manifest(folder: Path, shard: Shard | None, key: JobKey) -> Iterator[Manifest]:
    """The manifest of a driver that works in a folder alone; or on a shard of it, beside those of other shards.

    Raises:
        OutputError: the folder cannot be written.
        InputError: another driver works there.
    """
    make_folder(folder)
    path = manifest_path(folder, shard)
    with locked(path):
        others = [p for p, other in manifests_in(folder).items() if p != path and (shard is None or other is None)]
        for other in others:
            with locked(other):
                pass  # nobody works on it
        manifest = Manifest(path, key)
        try:
            yield manifest
        finally:
            manifest.close()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Be the only one to write a manifest; who that is stands in a file beside it.

    Raises:
        InputError: somebody else is.
    """
    lock, owner = FileLock(path.with_suffix(".lock")), path.with_suffix(".owner")
    with writing(path):
        try:
            lock.acquire(timeout=_LOCK_PATIENCE_S)
        except Timeout:
            raise InputError(f"{path.parent}: {_owner(owner)} works there; wait for it, or stop it first") from None
    try:
        with writing(owner):
            owner.write_text(f"process {os.getpid()} of {_user()} on {socket.gethostname()}", encoding="utf-8")
        yield
    finally:
        owner.unlink(missing_ok=True)
        lock.release()


def records(paths: Iterable[Path]) -> Iterator[dict[str, Any]]:
    """The lines of manifests that are about cases, in order. A line that was cut off by a power cut is left out.

    Raises:
        InputError: a manifest of another version, or one that cannot be read.
    """
    for path in paths:
        for content in _lines(path):
            if "case_id" in content:
                yield content


def headers(path: Path) -> list[dict[str, Any]]:
    """The headers of the runs that wrote a manifest."""
    return [content for content in _lines(path) if "openvista_manifest" in content]


def last_records(paths: Iterable[Path]) -> Iterator[dict[str, Any]]:
    """The line of each case that counts: the last one; where several manifests speak of a case, the later of those.

    Clocks of machines may differ by minutes, so a time decides between manifests only, never within one. The files are
    read twice and nothing of them is kept: there may be 100,000 cases.
    """
    paths = list(paths)
    last = {content["case_id"]: number for number, content in _so_far(paths)}
    for number, content in enumerate(records(paths)):
        if last[content["case_id"]] == number:
            yield content


def _so_far(paths: Sequence[Path]) -> Iterator[tuple[int, dict[str, Any]]]:
    """The lines, with their numbers, that count as far as the files have been read."""
    seen: dict[str, tuple[int, float]] = {}
    number = -1
    for place, path in enumerate(paths):
        for content in records([path]):
            number += 1
            before = seen.get(content["case_id"])
            if before is None or before[0] == place or before[1] <= content["time"]:
                seen[content["case_id"]] = place, content["time"]
                yield number, content


def last_states(paths: Iterable[Path]) -> dict[str, LastState]:
    """What manifests last say of each case."""
    keys: dict[JobKey, JobKey] = {}
    states = {}
    for _, content in _so_far(list(paths)):
        key = JobKey(content.get("settings_sha256", ""), content.get("weights_sha256", ""))
        states[content["case_id"]] = LastState(
            content["state"],
            content["attempt"],
            content.get("input_identity", ""),
            keys.setdefault(key, key),  # one object for all cases
            tuple(OutputFile(**output) for output in content.get("outputs", ())),
        )
    return states


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    try:
        stream = path.open(encoding="utf-8", errors="replace")
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    with stream:
        for number, line in enumerate(stream, start=1):
            try:
                content = json.loads(line)
            except ValueError:
                if line.strip():
                    logger.warning("%s: line %d is cut off and left out", path, number)
                continue
            if not isinstance(content, dict):
                raise InputError(f"{path}: line {number} is no manifest's; choose another output folder")
            if content.get("openvista_manifest", SCHEMA) != SCHEMA:
                raise InputError(
                    f"{path}: a manifest of version {content['openvista_manifest']}, this OpenVISTA writes version "
                    f"{SCHEMA}; choose another output folder"
                )
            yield content


def _owner(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip() or "another driver"
    except OSError:
        return "another driver"


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container may have no name for its user
        return "an unnamed user"
