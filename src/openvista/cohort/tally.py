"""How far a cohort has come: counts, rate, time left; for a bar, for ``progress.json`` and for Prometheus."""

import json
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from openvista.cohort.failures import KINDS
from openvista.errors import needs_extra
from openvista.io.atomic import write_text

_REMEMBERED = 200
"""Ends that the rate is taken from, so that it follows what is happening now."""


@dataclass
class Tally:
    """What has become of the cases of a run so far.

    Attributes:
        total: cases.
        kept: that were done before, and are still what is wanted.
        left_aside: quarantined by an earlier run and not tried again.
        done: by this run.
        failed: of this run, by kind of failure.
        retries: tries that failed and were, or will be, followed by another.
        running: tries that workers are at.
    """

    total: int
    kept: int = 0
    left_aside: int = 0
    done: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    retries: int = 0
    running: int = 0
    _ends: deque[float] = field(default_factory=lambda: deque([time.monotonic()], maxlen=_REMEMBERED), repr=False)

    @property
    def failures(self) -> int:
        """Cases without a result, that no more tries of this run will bring."""
        return self.failed.total() + self.left_aside

    @property
    def finished(self) -> int:
        """Cases that need nothing more."""
        return self.kept + self.done + self.failures

    @property
    def waiting(self) -> int:
        """Cases that no worker is at yet."""
        return self.total - self.finished - self.running

    def case_done(self) -> None:
        """Another case is done."""
        self.done += 1
        self._ends.append(time.monotonic())

    def case_failed(self, kind: str) -> None:
        """Another case has failed for good."""
        self.failed[kind] += 1
        self._ends.append(time.monotonic())

    @property
    def per_hour(self) -> float:
        """Cases that end in an hour, at the rate of the last ones."""
        seconds = time.monotonic() - self._ends[0]
        return 3600 * (len(self._ends) - 1) / seconds if seconds > 0 else 0.0

    @property
    def seconds_left(self) -> float | None:
        """At that rate; ``None`` before anything has ended."""
        rate = self.per_hour
        return 3600 * (self.total - self.finished) / rate if rate else None

    def content(self) -> dict[str, Any]:
        """For a JSON file."""
        left = self.seconds_left
        return {
            "total": self.total,
            "done": self.done,
            "kept": self.kept,
            "failed": {kind: self.failed[kind] for kind in KINDS if self.failed[kind]},
            "quarantined_before": self.left_aside,
            "running": self.running,
            "waiting": self.waiting,
            "retries": self.retries,
            "cases_per_hour": round(self.per_hour, 1),
            "seconds_left": None if left is None else round(left),
            "time": round(time.time()),
        }


def write_progress(tally: Tally, path: Path) -> None:
    """Write the numbers as JSON, whole or not at all.

    Raises:
        OutputError: the system refused.
    """
    write_text(path, json.dumps(tally.content(), indent=2) + "\n")


def write_prometheus(tally: Tally, path: Path) -> None:
    """Write the numbers for the textfile collector of Prometheus' node exporter, whole or not at all.

    Raises:
        OutputError: the system refused.
        MissingExtraError: prometheus-client is not installed.
    """
    with needs_extra("prometheus-client", "serve", "write numbers for Prometheus"):
        from prometheus_client import CollectorRegistry, Gauge, generate_latest

    registry = CollectorRegistry()
    cases = Gauge("openvista_batch_cases", "Cases by state", ["state"], registry=registry)
    for state in ("total", "done", "kept", "running", "waiting"):
        cases.labels(state).set(getattr(tally, state))
    failed = Gauge("openvista_batch_failed", "Cases that failed, by kind", ["kind"], registry=registry)
    for kind in KINDS:
        failed.labels(kind).set(tally.failed[kind])
    Gauge("openvista_batch_retries", "Tries followed by another", registry=registry).set(tally.retries)
    Gauge("openvista_batch_cases_per_hour", "Rate of the last cases", registry=registry).set(tally.per_hour)
    Gauge("openvista_batch_time_seconds", "When this was written", registry=registry).set(time.time())
    write_text(path, generate_latest(registry).decode())
