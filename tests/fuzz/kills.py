"""kill -9 and Ctrl-C at random moments: ``make kills``.

Alone: ``PYTHONPATH=tests:tests/serve python tests/fuzz/kills.py --kills 100``.

After each kill every file is whole, or is not there (a name that begins with a dot is a file that was being written),
and nothing that was safe before is lost. The next start, in the same folder, goes on; when it reaches its end, its
results are those of a run that nobody stopped, and another folder begins.

A command runs in a fork of this process, which has loaded before what the command loads: so a kill falls into its work
and not into Python's start, and costs a second. ``serve`` is in ``serve_kills.py``.
"""

import argparse
import csv
import gc
import importlib
import json
import os
import random
import re
import signal
import sys
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import torch
from safetensors.numpy import load_file
from serving import make_model

from openvista.cli.main import main as run_command_line
from openvista.io.session_file import read_session
from openvista.train.checkpoint import load_checkpoint

ROOT = Path(__file__).parents[2]
CT, LABELS = (ROOT / "examples" / "data" / f"head_neck_{kind}.nii.gz" for kind in ("ct", "labels"))
INTERRUPTED = 130
_PATIENCE = 120.0
_ENDS = {".png": b"IEND\xaeB`\x82", ".html": b"</html>"}


@dataclass(frozen=True)
class Command:
    """What is killed.

    Attributes:
        arguments: of ``openvista``, given the folder of results.
        again: options of a second start in the same folder.
        results: files that must be equal to those of a run that nobody stopped.
        safe: the file whose :attr:`progress` is a number that never falls.
        ends: how many runs come to their end before another folder begins.
    """

    arguments: Callable[[Path], list[str]]
    again: tuple[str, ...] = ()
    results: tuple[str, ...] = ()
    safe: str = ""
    progress: Callable[[Path], int] = lambda _: 0
    ends: int = 1


def make_commands(folder: Path) -> dict[str, Command]:
    """On pieces of the example case: fine-tuning with the starter, the others with a tiny random model."""
    tiny = str(make_model(folder, "tiny", ("automatic", "point")))
    entries = []
    for number, first in enumerate((58, 61, 64)):
        ct, labels = (nib.load(path).slicer[56:72, 36:52, first : first + 14] for path in (CT, LABELS))
        mandible = (np.asarray(labels.dataobj) == 7).astype(np.uint8)
        nib.save(ct, folder / f"ct{number}.nii.gz")
        nib.save(nib.Nifti1Image(mandible, labels.affine), folder / f"seg{number}.nii.gz")
        entries.append({"image": f"ct{number}.nii.gz", "label": f"seg{number}.nii.gz", "fold": 0})
    for name, label, count in (("tune", "mandible", 1), ("judge", "liver", 3)):
        content = {"root": str(folder), "labels": {"1": label}, "training": entries[:count]}
        (folder / f"{name}.json").write_text(json.dumps(content))
    ct_file = str(folder / "ct0.nii.gz")
    tune = ["--map", "mandible=mandible", "--patch", "32,32,32", "--steps", "6", "--fold", "none"]
    tune += ["--set", "save_every=1", "--set", "validate_every=100", "-v"]
    return {
        "segment": Command(
            lambda out: ["segment", ct_file, "-m", tiny, "-o", str(out / "r.nii.gz"), "--table", "--preview", "-v"],
            results=("r.nii.gz", "r.csv"),
        ),
        "click": Command(
            lambda out: ["click", ct_file, "-m", tiny, "--at", "8,8,7", "-c", "liver", "-v",
                         "--session", str(out / "s.ovsession"), "-o", str(out / "r.nii.gz"), "--preview"],
            safe="s.ovsession", progress=lambda path: len(read_session(path).manifest["events"]), ends=6,
        ),
        "finetune": Command(
            lambda out: ["finetune", str(folder / "tune.json"), *tune, "-o", str(out / "run")], ("--resume",),
            ("run/model/model.safetensors",),
            "run/last.pt", lambda path: int(load_checkpoint(path, torch.device("cpu"))["step"]),
        ),
        "evaluate": Command(
            lambda out: ["evaluate", str(folder / "judge.json"), "-m", tiny, "--split", "training",
                         "--protocol", "auto", "-o", str(out / "run"), "-v"], ("--resume",), ("run/scores.csv",),
            "run/cases-0.jsonl", lambda path: path.read_bytes().count(b"\n"),
        ),
    }  # fmt: skip


# --- processes ----------------------------------------------------------------------------------------------------


class Child:
    """A command of ``openvista`` in a fork of this process, in a process group of its own."""

    def __init__(self, arguments: list[str], log: Path, modules: Path | None = None) -> None:
        self.log, self.began = log, time.monotonic()
        log.write_bytes(b"")
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # until the child can take it
        self.pid = os.fork()
        if self.pid == 0:
            _become(["openvista", *arguments], log, modules)
        with suppress(PermissionError):  # the child does the same, and one of us is first
            os.setpgid(self.pid, self.pid)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})

    def wait(self, seconds: float) -> int | None:
        """The exit status, negative for a signal; ``None`` when it still runs after so many seconds."""
        end = time.monotonic() + seconds
        while (ended := os.waitpid(self.pid, os.WNOHANG)) == (0, 0):
            if time.monotonic() > end:
                return None
            time.sleep(0.002)
        return os.waitstatus_to_exitcode(ended[1])

    def stop(self, how: signal.Signals) -> int:
        """kill -9 hits the command, Ctrl-C all that it started, too."""
        os.kill(self.pid, how) if how == signal.SIGKILL else os.killpg(self.pid, how)
        status = self.wait(_PATIENCE)
        if status is None:
            os.killpg(self.pid, signal.SIGKILL)
            raise AssertionError(f"still runs {_PATIENCE:g} s after {how.name}: {self.said()}")
        return status

    def seconds(self) -> float:
        """Since it was started."""
        return time.monotonic() - self.began

    def said(self) -> str:
        return self.log.read_text(errors="replace")[-2000:]


def _become(words: list[str], log: Path, modules: Path | None) -> None:
    """In the child: be that command, and end."""
    os.setpgid(0, 0)
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(out, 1)
    os.dup2(out, 2)
    sys.stdout, sys.stderr = (os.fdopen(number, "w", closefd=False) for number in (1, 2))  # not pytest's
    sys.argv, status = words, 0
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        run_command_line()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except KeyboardInterrupt:  # before the command's own handler is there
        status = INTERRUPTED
    except BaseException:  # noqa: BLE001 - as Python itself: a traceback, and 1
        sys.excepthook(*sys.exc_info())
        status = 1
    if modules is not None:
        modules.write_text("\n".join(list(sys.modules)))
    with suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(status)


def undisturbed(command: Command, out: Path, folder: Path) -> float:
    """Run a command to its end, twice: the first loads what it needs, also into this process. Seconds of the second."""
    for again in (False, True):
        target = out if again else out.with_name(f"{out.name}-first")
        target.mkdir()
        child = Child(command.arguments(target), folder / "log", folder / "modules")
        if status := child.wait(10 * _PATIENCE):
            raise AssertionError(f"ended with {status}: {child.said()}")
        seconds = child.seconds()
        for name in (folder / "modules").read_text().split():
            with suppress(ImportError, AttributeError):
                importlib.import_module(name)
        gc.collect()
        gc.freeze()
    return seconds


# --- what is looked at --------------------------------------------------------------------------------------------


def check_whole(folder: Path) -> None:
    """Read every file to its end."""
    for path in folder.rglob("*"):
        if path.is_dir() or any(part.startswith(".") for part in path.relative_to(folder).parts):
            continue
        content = path.read_bytes()
        if path.name.endswith(".nii.gz"):
            np.asarray(nib.load(path).dataobj)
        elif path.suffix == ".json":
            json.loads(content)
        elif path.suffix == ".jsonl":  # a line that was being written is left out by whoever goes on
            for line in content.split(b"\n")[:-1]:
                json.loads(line)
        elif path.suffix == ".ovsession":
            read_session(path)
        elif path.suffix == ".safetensors":
            load_file(path)
        elif path.suffix == ".pt":
            if (damaged := zipfile.ZipFile(path).testzip()) is not None:
                raise AssertionError(f"{path}: {damaged} is damaged")
        elif not content.rstrip().endswith(_ENDS.get(path.suffix, b"")):
            raise AssertionError(f"{path} is cut short")


def unfinished(folder: Path) -> set[Path]:
    """Files that were being written."""
    return {path for path in folder.rglob("*") if path.name.startswith(".")}


def phase(log: Path) -> str:
    """The last line of the log, without its numbers."""
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.startswith("openvista: ")]
    words = [line.removeprefix("openvista: ") for line in lines if "nothing half-written" not in line]
    text = re.sub(r"[\d(][\d.,() ]*", "# ", words[-1]) if words else "(no word yet)"
    return text[:60].strip()


def progress(command: Command, folder: Path) -> int:
    """What is safe."""
    path = folder / command.safe
    return command.progress(path) if path.exists() else 0


# --- the loop -----------------------------------------------------------------------------------------------------


@dataclass
class Tally:
    """What came of the kills of one command; how long it takes when nobody stops it."""

    seconds: float
    kills: int = 0
    interrupts: int = 0
    ends: int = 0
    left: int = 0


def kill_often(name: str, command: Command, kills: int, draw: random.Random, folder: Path) -> str:
    """What came of it, in lines."""
    whole, log = folder / f"{name}-whole", folder / f"{name}.log"
    tally, phases, lives = Tally(undisturbed(command, whole, folder)), Counter[str](), 0
    while tally.kills + tally.interrupts < kills:
        lives += 1
        life = folder / f"{name}-{lives}"
        life.mkdir()
        ends = 0
        while ends < command.ends and tally.kills + tally.interrupts < kills:
            ends += _one(command, life, log, draw, tally, phases)
        _finish(command, life, whole, log, done=ends == command.ends)
        tally.left += len(unfinished(life))
    where = "".join(f"\n{count:12} {text}" for text, count in phases.most_common())
    return (
        f"{name}: {tally.kills} kill -9, {tally.interrupts} Ctrl-C in {lives} folders, {tally.seconds:.1f} s "
        f"undisturbed; {tally.ends} ran to their end before; {tally.left} temporary files left by "
        f"kill -9; last word before:{where}"
    )


def _one(command: Command, life: Path, log: Path, draw: random.Random, tally: Tally, phases: Counter[str]) -> int:
    """Start, wait, kill, look; whether it ended by itself before."""
    before, safe, temporary = any(life.iterdir()), progress(command, life), unfinished(life)
    child = Child([*command.arguments(life), *(command.again if before else ())], log)
    how = draw.choice([signal.SIGKILL, signal.SIGINT])
    status = child.wait(draw.uniform(0, tally.seconds))
    ended = status is not None
    if ended and not before:  # how busy the machine is changes
        tally.seconds = (tally.seconds + child.seconds()) / 2
    if status is None:
        status = child.stop(how)
        ended = status == 0
    if ended:
        tally.ends += 1
    elif how == signal.SIGKILL:
        tally.kills += 1
    else:
        tally.interrupts += 1
    wanted = (0,) if ended else (-signal.SIGKILL,) if how == signal.SIGKILL else (INTERRUPTED,)
    if status not in wanted or "Traceback" in child.said():
        raise AssertionError(f"ended with {status} after {how.name}: {child.said()}")
    if not ended:
        phases[phase(log)] += 1
    check_whole(life)
    if progress(command, life) < safe:
        raise AssertionError(f"{life}: {safe} were safe, now {progress(command, life)}")
    if how == signal.SIGINT and (more := unfinished(life) - temporary):
        raise AssertionError(f"Ctrl-C left {more}")
    return int(ended)


def _finish(command: Command, life: Path, whole: Path, log: Path, done: bool) -> None:
    """Let it come to its end; its results are those of a run that nobody stopped."""
    if not done:
        child = Child([*command.arguments(life), *(command.again if any(life.iterdir()) else ())], log)
        if status := child.wait(10 * _PATIENCE):
            raise AssertionError(f"the second start ended with {status}: {child.said()}")
    check_whole(life)
    for result in command.results:
        if _content(whole / result) != _content(life / result):
            raise AssertionError(f"{life / result} is another one after the kills")


def _content(path: Path) -> object:
    """The bytes; of a table, its rows without how long something took."""
    if path.suffix != ".csv":
        return path.read_bytes()
    with path.open(newline="") as file:
        return [{key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(file)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("commands", nargs="*", default=["segment", "click", "finetune", "evaluate"])
    parser.add_argument("--kills", type=int, default=100, help="of each command")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        commands = make_commands(Path(folder))
        for name in given.commands:
            began = time.monotonic()
            line = kill_often(name, commands[name], given.kills, random.Random(f"{given.seed}{name}"), Path(folder))
            spent = f"{time.monotonic() - began:.0f} s, {sum(os.times()[:4]):.0f} s of a processor so far"
            sys.stdout.write(f"{line}\n{name}: {spent}\n")
            sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
