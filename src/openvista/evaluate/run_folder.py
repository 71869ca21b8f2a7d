"""The folder of a run: what was asked, and a line per finished case, so that a run can be stopped and taken up again.

Several processes (torchrun) may work on one run: each appends to a file of its own, and the first one gathers.
"""

import json
import logging
import os
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from openvista.distributed import Ranks
from openvista.errors import InputError, OutputError
from openvista.evaluate.score import CaseRecord
from openvista.io.atomic import drop_torn_line, make_folder, write_text

logger = logging.getLogger(__name__)

INFO_FILE, PICTURES = "run.json", "pictures"
_RECORDS = "cases-*.jsonl"
_POLL_SECONDS, _REMIND_SECONDS = 0.5, 60.0
_FREE = ("command", "started", "version", "precision")
"""What may differ between the parts of one run."""


@dataclass(frozen=True, kw_only=True)
class RunInfo:
    """What was asked, so that numbers can be understood and made again.

    Attributes:
        command: that started it.
        started: date and time with zone, ISO 8601.
        version: of OpenVISTA.
        model, weights_sha256: what was judged.
        precision: device and number formats.
        datalist, datalist_sha256: name and checksum of the data list.
        split: which part of it.
        cases: names of its cases, in order.
        protocol: its name.
        oracle: whether prompts came from the truth in a way no user could give them.
        profile: inference profile.
        seed: of the protocol and of the bootstrap.
        clicks: numbers of clicks; empty for a protocol without clicks.
        habits: variants of the paper's evaluation that were switched on, see
            :class:`openvista.evaluate.clicks.PaperVariant`.
        tolerance_mm, tolerances: of NSD; the latter by class id.
        surface: definition of surface.
        only_in_slices: class ids that are scored inside ``label_slices`` only.
        names: class id to name, of every class of the data list.
        classes: label value to class id.
    """

    command: str
    started: str
    version: str
    model: str
    weights_sha256: str
    precision: str
    datalist: str
    datalist_sha256: str
    split: str
    cases: tuple[str, ...]
    protocol: str
    oracle: bool
    profile: str
    seed: int
    clicks: tuple[int, ...]
    habits: tuple[str, ...]
    tolerance_mm: float
    tolerances: dict[int, float]
    surface: str
    only_in_slices: tuple[int, ...]
    names: dict[int, str]
    classes: dict[int, int] = field(default_factory=dict)  # folders of earlier versions do not say it

    @property
    def last_clicks(self) -> int | None:
        """The last number of clicks; ``None`` for a protocol without clicks."""
        return self.clicks[-1] if self.clicks else None

    def row_name(self, class_id: int | None) -> str:
        """What a row of a table is called: a structure, or, for ``None``, the mean over all."""
        return "mean over structures" if class_id is None else self.names[class_id]

    @property
    def way(self) -> str:
        """The protocol, and what in it no user could do."""
        oracle = " (oracle: prompts from the truth)" if self.oracle else ""
        habits = f" with habits of the paper: {', '.join(self.habits)}" if self.habits else ""
        return f"{self.protocol}{oracle}{habits}"

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "RunInfo":
        """What ``asdict`` and JSON made of it.

        Raises:
            TypeError, ValueError: it is something else.
        """
        restored: dict[str, Any] = {}
        for key, value in content.items():
            if key in ("names", "tolerances", "classes"):
                restored[key] = {int(number): item for number, item in value.items()}
            else:
                restored[key] = tuple(value) if isinstance(value, list) else value
        return cls(**restored)

    def difference(self, other: "RunInfo") -> str | None:
        """The first field in which two parts of a run contradict each other."""
        mine, theirs = asdict(self), asdict(other)
        return next((key for key in mine if key not in _FREE and mine[key] != theirs[key]), None)


class EvaluationFolder:
    """One run on disk.

    Args:
        path: the folder; made when missing.
        info: of the run.
        ranks: which process this is.
        resume: go on with what is there, instead of refusing a folder that holds a run.

    Raises:
        OutputError: the folder cannot be written, or holds a run that is not this one.
    """

    def __init__(self, path: Path, info: RunInfo, ranks: Ranks, resume: bool = False) -> None:
        self.path, self.info, self.ranks = path, info, ranks
        if path.suffix.lower() in (".csv", ".json", ".html"):
            raise OutputError(f"{path}: results are a folder with scores.csv, scores.json and report.html; name one")
        make_folder(path)
        make_folder(path / PICTURES)
        if ranks.is_first:
            self._begin(resume)
        else:
            self._wait_for_beginning()
        self._own_file = path / f"cases-{ranks.rank}.jsonl"
        drop_torn_line(self._own_file)

    def finished(self) -> set[str]:
        """Names of the cases that are done, by whichever process."""
        return {record.case for record in self.records()}

    def append(self, record: CaseRecord) -> None:
        """Keep a finished case, for good."""
        try:
            with self._own_file.open("a", encoding="utf-8") as file:
                file.write(json.dumps(record.to_json()) + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise OutputError(f"{self._own_file}: cannot be written: {error.strerror}; free some space") from None

    def records(self) -> list[CaseRecord]:
        """The finished cases in the order of the data list."""
        found = {record.case: record for file in sorted(self.path.glob(_RECORDS)) for record in _read_lines(file)}
        return [found[case] for case in self.info.cases if case in found]

    def wait_for_others(self) -> None:
        """Until every case is done."""
        reminded = time.monotonic()
        while missing := set(self.info.cases) - self.finished():
            time.sleep(_POLL_SECONDS)
            if time.monotonic() - reminded > _REMIND_SECONDS:
                reminded = time.monotonic()
                logger.warning("waiting for other processes: %d cases are not done yet", len(missing))

    def _begin(self, resume: bool) -> None:
        earlier = read_info(self.path) if (self.path / INFO_FILE).exists() else None
        if earlier is not None and not resume:
            raise OutputError(f"{self.path}: holds a run already; add --resume to go on with it, or choose another")
        if earlier is not None and (key := earlier.difference(self.info)):
            raise OutputError(
                f"{self.path}: holds another run ({key} {getattr(earlier, key)!r}, now {getattr(self.info, key)!r}); "
                f"choose another folder"
            )
        if earlier is None:
            write_text(self.path / INFO_FILE, json.dumps(asdict(self.info), indent=2) + "\n")

    def _wait_for_beginning(self) -> None:
        while not (self.path / INFO_FILE).exists():
            time.sleep(_POLL_SECONDS)
        if key := read_info(self.path).difference(self.info):
            raise OutputError(f"{self.path}: holds another run ({key} differs); choose another folder")


def read_info(folder: Path) -> RunInfo:
    """What was asked in the run of this folder.

    Raises:
        InputError: there is none, or it is damaged.
    """
    path = folder / INFO_FILE
    try:
        return RunInfo.from_json(json.loads(path.read_text(encoding="utf-8")))
    except OSError:
        raise InputError(f"{folder}: holds no results of 'openvista evaluate': {INFO_FILE} is missing") from None
    except (TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path} is damaged ({error}); evaluate again into another folder") from None


def _read_lines(file: Path) -> list[CaseRecord]:
    """The records of a file that another process may be writing: a last line without its end does not count yet."""
    lines = file.read_text(encoding="utf-8").split("\n")[:-1]
    try:
        return [CaseRecord.from_json(json.loads(line)) for line in lines]
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{file} is damaged ({error!r}); remove it and evaluate its cases again") from None
