"""What was asked in a run, so that its numbers can be understood and made again."""

import hashlib
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

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
        habits: of the paper's evaluation that were switched on.
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


def checksum(file: Path) -> str:
    """SHA-256 of a file, in hex."""
    return hashlib.sha256(file.read_bytes()).hexdigest()
