"""kill -9 at random moments: ``PYTHONPATH=tests python tests/fuzz/kills.py --kills 100``.

After each kill every file is whole, or is not there (a name that begins with a dot is a file that was being written).
After the last one the command is let finish, going on where it can: its results are those of a run that nobody stopped.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from safetensors.numpy import load_file

from openvista.io.session_file import read_session

ROOT = Path(__file__).parents[2]
CT, LABELS = (ROOT / "examples" / "data" / f"head_neck_{kind}.nii.gz" for kind in ("ct", "labels"))


@dataclass(frozen=True)
class Command:
    """What is killed.

    Attributes:
        arguments: of ``openvista``, given the folder of results.
        again: options of a second start in the same folder.
        results: files that must be equal to those of a run that nobody stopped.
    """

    arguments: Callable[[Path], list[str]]
    again: tuple[str, ...]
    results: tuple[str, ...]


def make_commands(folder: Path) -> dict[str, Command]:
    """On a piece of the example case."""
    ct, labels = folder / "ct.nii.gz", folder / "seg.nii.gz"
    for source, target in ((CT, ct), (LABELS, labels)):
        nib.save(nib.load(source).slicer[50:80, 30:58, 58:84], target)
    every = json.loads((CT.parent / "dataset.json").read_text(encoding="utf-8"))["labels"]
    entry = {"image": "ct.nii.gz", "label": "seg.nii.gz", "fold": 0, "annotated": [1, 7]}
    listed = folder / "list.json"
    listed.write_text(json.dumps({"root": str(folder), "labels": every, "training": [entry]}))
    tune = ["--map", "mandible=mandible", "--patch", "32,32,32", "--steps", "6", "--fold", "none"]
    tune += ["--set", "save_every=1", "--set", "validate_every=100", "-q"]
    return {
        "segment": Command(
            lambda out: ["segment", str(ct), "-o", str(out / "r.nii.gz"), "--table", "--preview", "-q"],
            (),
            ("r.nii.gz", "r.csv"),
        ),
        "click": Command(
            lambda out: ["click", str(ct), "--at", "14,14,12", "--new", "lesion", "--session", str(out / "s.ovsession"),
                         "-o", str(out / "r.nii.gz"), "-q"],
            (),
            (),
        ),
        "finetune": Command(
            lambda out: ["finetune", str(listed), *tune, "-o", str(out / "run")], ("--resume",),
            ("run/model/model.safetensors",),
        ),
        "evaluate": Command(
            lambda out: ["evaluate", str(listed), "--split", "training", "--protocol", "auto",
                         "-o", str(out / "run"), "-q"], ("--resume",), (),
        ),
    }  # fmt: skip


def start(command: Command, out: Path, again: bool) -> "subprocess.Popen[bytes]":
    options = [*command.arguments(out), *(command.again if again and any(out.iterdir()) else ())]
    return subprocess.Popen(
        [sys.executable, "-m", "openvista", *options], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )


def finish(command: Command, out: Path, again: bool) -> float:
    """Seconds until it is done."""
    began = time.monotonic()
    process = start(command, out, again)
    _, errors = process.communicate()
    if process.returncode != 0:
        raise AssertionError(f"ended with {process.returncode}: {errors.decode()[-400:]}")
    return time.monotonic() - began


def check_whole(folder: Path) -> int:
    """Read every file to its end; how many there are."""
    count = 0
    for path in folder.rglob("*"):
        if path.is_dir() or any(part.startswith(".") for part in path.relative_to(folder).parts):
            continue
        count += 1
        if path.name.endswith(".nii.gz"):
            np.asarray(nib.load(path).dataobj)
        elif path.suffix == ".json":
            json.loads(path.read_text(encoding="utf-8"))
        elif path.suffix == ".ovsession":
            read_session(path)
        elif path.suffix == ".safetensors":
            load_file(path)
    return count


def kill_often(name: str, command: Command, kills: int, draw: random.Random, folder: Path) -> str:
    """What came of it, in a line."""
    whole, killed = folder / f"{name}-whole", folder / f"{name}-killed"
    whole.mkdir()
    killed.mkdir()
    seconds = finish(command, whole, False)
    done = hits = 0
    for number in range(kills):
        process = start(command, killed, number > 0)
        try:
            process.wait(draw.uniform(0.2, 1.05) * seconds)
            done += 1
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            hits += 1
        check_whole(killed)
    finish(command, killed, True)
    for result in command.results:
        if (whole / result).read_bytes() != (killed / result).read_bytes():
            raise AssertionError(f"{name}: {result} is another one after the kills")
    left = sum(path.name.startswith(".") for path in killed.rglob("*"))
    return f"{name:10} {hits:4} kills, {done:4} ran to their end before; every file whole; {left} temporary files left"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("commands", nargs="*", default=["segment", "click", "finetune", "evaluate"])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        commands = make_commands(Path(folder))
        for name in given.commands:
            line = kill_often(name, commands[name], given.kills, random.Random(f"{given.seed}{name}"), Path(folder))
            sys.stdout.write(line + "\n")
            sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
