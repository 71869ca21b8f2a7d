"""The folder of a run: what was asked for, what it ran on, what happened, and what came out.

::

    recipe.json         the resolved recipe: every key, names as ids
    plan.json           of a fine-tune: the classes' names, and which cases were skipped and why
    environment.json    versions, device, git revision, command
    log.txt             the log
    train.csv           every step            validation.csv   every validation
    curves.png          both as a picture     tensorboard/     both for TensorBoard
    last.pt             to resume from        best.pt, best.json   weights of the best validation
    model/              the result, as --model takes it
    ranges.json         what the training cases show of each class, for the model's card
    launch.txt          which torchrun works here, so that processes it restarts recognise their own run
"""

import csv
import json
import logging
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from openvista._version import __version__
from openvista.distributed import Ranks
from openvista.errors import RecipeError
from openvista.io.atomic import output_error, replacing, write_text, writing
from openvista.plausibility import ClassRanges
from openvista.train.checkpoint import LAST
from openvista.train.curves import draw_curves
from openvista.train.recipe import Recipe

logger = logging.getLogger(__name__)

LAUNCH, RANGES = "launch.txt", "ranges.json"
TRAIN_COLUMNS = ("step", "seconds", "loss", "learning_rate", "gradient", "waited")


class RunFolder:
    """Writes the files of a run; the first process has one.

    Args:
        path: made if it does not exist.
        recipe: of the run.
        ranks: for the description of the environment.
        resume_at: step the run goes on from; rows of later steps are dropped, they come again. ``None``: a new run.

    Raises:
        OutputError: the folder cannot be written.
    """

    def __init__(self, path: Path, recipe: Recipe, ranks: Ranks, resume_at: int | None) -> None:
        self.path = path
        with writing(path):
            path.mkdir(parents=True, exist_ok=True)
            note_launch(path, ranks)
            self._log = _LogFile(path / "log.txt", encoding="utf-8")
            for table in (path / "train.csv", path / "validation.csv"):
                if resume_at is None:
                    table.unlink(missing_ok=True)
                else:
                    drop_rows_after(table, resume_at)
        self._log.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        logging.getLogger("openvista").addHandler(self._log)
        self._write_json("recipe.json", recipe.model_dump(mode="json"))
        environment = describe_environment(ranks)
        self._write_json("environment.json" if resume_at is None else f"environment-{resume_at}.json", environment)
        self._events = Events(path / "tensorboard", resume_at)

    def add_step(
        self, step: int, seconds: float, loss: float, learning_rate: float, gradient: float, waited: float
    ) -> None:
        """One row of ``train.csv``; ``waited`` is the share of the time that went into waiting for patches."""
        row = (step, round(seconds, 2), loss, learning_rate, gradient, round(waited, 4))
        self._append("train.csv", TRAIN_COLUMNS, row)
        self._events.add(step, {"train/loss": loss, "train/learning_rate": learning_rate, "train/gradient": gradient})

    def add_validation(self, step: int, seconds: float, mean: float, scores: Mapping[str, Mapping[int, float]]) -> None:
        """One row of ``validation.csv``, and the curves."""
        flat = {f"{kind} {class_id}": score for kind, dice in scores.items() for class_id, score in dice.items()}
        columns = ("step", "seconds", "mean", *flat)
        self._append("validation.csv", columns, [step, round(seconds), mean, *flat.values()])
        self._events.add(step, {"validation/mean": mean} | {f"validation/{name}": one for name, one in flat.items()})
        draw_curves(self.path)

    def write_best(self, step: int, scores: Mapping[str, Mapping[int, float]]) -> None:
        """``best.json``: what the weights in ``best.pt`` reached."""
        self._write_json("best.json", {"step": step, **scores})

    def write_ranges(self, ranges: Mapping[int, ClassRanges]) -> None:
        """``ranges.json``: what the training cases show of each class."""
        self._write_json(RANGES, {str(class_id): asdict(one) for class_id, one in ranges.items()})

    def _append(self, name: str, columns: Sequence[str], row: Sequence[float]) -> None:
        path = self.path / name
        with writing(path):
            new = not path.exists()
            with path.open("a", newline="") as file:
                writer = csv.writer(file)
                if new:
                    writer.writerow(columns)
                writer.writerow(row)

    def _write_json(self, name: str, content: Mapping[str, Any]) -> None:
        write_text(self.path / name, json.dumps(content, indent=2) + "\n")

    def __enter__(self) -> "RunFolder":
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is not None:
            # into the file only: whoever started the run gets the error itself
            record = logger.makeRecord(logger.name, logging.INFO, __file__, 0, "stopped: %s", (error,), None)
            self._log.handle(record)
        logging.getLogger("openvista").removeHandler(self._log)
        try:
            self._log.close()
        except OSError as refusal:  # its last lines are lost; the error that ended the run says more
            logger.warning("%s", output_error(self.path / "log.txt", refusal))
        self._events.close()


class _LogFile(logging.FileHandler):
    """``log.txt``; a line it cannot write is left out: on a full disk the tables raise the error."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Say nothing; ``logging`` itself would print a traceback."""


def check_unused(path: Path) -> None:
    """Refuse a folder that holds a run, rather than mix two.

    Raises:
        RecipeError: there is a checkpoint in it.
    """
    if (path / LAST).exists():
        raise RecipeError(f"{path} holds a run already: go on with --resume, or choose another folder with -o")


def note_launch(path: Path, ranks: Ranks) -> None:
    """Write down which torchrun works in this folder, for :func:`is_restart`.

    Raises:
        OutputError: the folder cannot be written.
    """
    if ranks.launch is not None:
        write_text(path / LAUNCH, ranks.launch)


def is_restart(path: Path, ranks: Ranks) -> bool:
    """Whether torchrun has started these processes anew, and it is the one that works in this folder."""
    if ranks.restarts == 0 or ranks.launch is None:
        return False
    try:
        return (path / LAUNCH).read_text(encoding="utf-8", errors="replace") == ranks.launch
    except OSError:
        return False


def drop_rows_after(table: Path, step: int) -> None:
    """Take rows of later steps off a table whose first column is the step."""
    if not table.exists():
        return
    with table.open(newline="") as file:
        header, *rows = [*csv.reader(file)] or [[]]
    kept = [row for row in rows if row and row[0].isdigit() and int(row[0]) <= step and len(row) == len(header)]
    with replacing(table) as partial, partial.open("w", newline="") as file:
        csv.writer(file).writerows([header, *kept])


class Events:
    """Writes numbers by step; without the package ``tensorboard`` it writes nothing and says so once.

    Args:
        folder: where the event files go.
        purge_after: step after which earlier events are not shown any more; ``None`` for a new run.

    Raises:
        OutputError: the folder cannot be written.
    """

    def __init__(self, folder: Path, purge_after: int | None) -> None:
        self._folder = folder
        self._writer = None
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            logger.info("no events for TensorBoard: pip install 'openvista[train]' brings it")
            return
        purge_step = None if purge_after is None else purge_after + 1
        with writing(folder):
            self._writer = SummaryWriter(str(folder), purge_step=purge_step)

    def add(self, step: int, values: Mapping[str, float]) -> None:
        """Write numbers of a step, by name.

        Raises:
            OutputError: the system refused to write these, or earlier ones.
        """
        if self._writer is None:
            return
        with writing(self._folder):
            for name, value in values.items():
                self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Write what is left; where the system refuses, say so: the run itself is safe."""
        if self._writer is None:
            return
        try:
            self._writer.close()
        except OSError as error:
            logger.warning("%s", output_error(self._folder, error))


def describe_environment(ranks: Ranks) -> dict[str, Any]:
    """Versions, device, processes and git revision, as plain values."""
    return {
        "openvista": __version__,
        "git_revision": git_revision(Path(__file__).parent),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "cuda": torch.version.cuda,
        "platform": platform.platform(),
        "device": torch.cuda.get_device_name(ranks.device) if ranks.device.type == "cuda" else _cpu_name(),
        "processors": os.cpu_count(),
        "threads_per_process": torch.get_num_threads(),
        "processes": ranks.count,
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
    }


def git_revision(folder: Path) -> str | None:
    """Commit of the checkout a folder lies in, with "+changes" if files differ from it; ``None`` outside of one."""
    commit = _git(folder, "rev-parse", "HEAD")
    if not commit:
        return None
    return f"{commit}+changes" if _git(folder, "status", "--porcelain", "--untracked-files=no", ".") else commit


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _cpu_name() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()
