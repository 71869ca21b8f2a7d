"""Work for the engines of a cohort that is done in no time, and what can go wrong with it, by the name of the scan."""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from openvista.cohort.case import Attempt, CaseResult, CohortCase, OutputFile, Work
from openvista.cohort.failures import failure_of
from openvista.cohort.manifest import JobKey
from openvista.cohort.storage import Place
from openvista.errors import ModelError, OpenVistaError
from openvista.weights.card import sha256_of

KEY = JobKey("s" * 64, "w" * 64)


@dataclass(frozen=True)
class Copying:
    """Copies each scan, and leaves a line in ``notes`` when it begins and when it is at a scan.

    Scans of these names go wrong: "kills once" and "kills" take their process along, "slow" sleeps for a minute,
    "pause" for half a second, "memory" is too large but for the smaller plan, "bug" shows a defect.
    """

    output: str
    notes: str
    overlaps: bool = False

    def begin(self) -> Work:
        if Path(self.notes, "refuse").exists():
            raise ModelError("no such model")
        if Path(self.notes, "die").exists():
            os.kill(os.getpid(), signal.SIGKILL)
        self.note("begin")
        return Work(self.copy, overlaps=self.overlaps)

    def note(self, *words: object) -> None:
        with Path(self.notes, "notes").open("a") as stream:
            stream.write(" ".join(map(str, (os.getpid(), *words))) + "\n")

    def copy(self, attempt: Attempt) -> CaseResult:
        case, started = attempt.case, time.time()
        self.note("copy", case.id)
        if "kills" in case.id and ("once" not in case.id or attempt.tries == 1):
            os.kill(os.getpid(), signal.SIGKILL)
        if "slow" in case.id:
            time.sleep(60)
        if "pause" in case.id:
            time.sleep(0.5)
        try:
            if "memory" in case.id and not attempt.small:
                raise MemoryError("too large")
            if "bug" in case.id:
                raise ZeroDivisionError("a defect")
            with Place(self.output).folder_for(case.id) as folder:
                target = folder / f"{Path(case.id).name}.copy"
                target.write_bytes(Path(case.uri).read_bytes())
        except (OpenVistaError, OSError, MemoryError, ZeroDivisionError) as error:
            return CaseResult(attempt, failure=failure_of(error), started=started, ended=time.time())
        output = OutputFile(f"{case.id}.copy", sha256_of(target), target.stat().st_size)
        return CaseResult(attempt, (output,), {1: 2.0}, pid=os.getpid(), started=started, ended=time.time())


def make_cases(folder: Path, *names: str) -> list[CohortCase]:
    """A file for each name, with the name in it."""
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_text(name)
    return [CohortCase(name, str(folder / name), "1") for name in names]


def notes_of(plan: Copying) -> list[list[str]]:
    """The notes: process, what, and which scan."""
    return [line.split(" ", 2) for line in Path(plan.notes, "notes").read_text().splitlines()]
