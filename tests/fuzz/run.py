"""Damaged files by the thousand: ``PYTHONPATH=tests python tests/fuzz/run.py --cases 2000`` (``make fuzz``).

Each file is read in a child process of its own, with limits on memory and time, and counted: right, refused (one line),
traceback, crash (a signal), hang, or a silently wrong grid. What is drawn depends on the seed and the case's number
only, so a finding comes back with ``--only NUMBER``, and ``--keep`` leaves its file.
"""

import argparse
import gc
import json
import os
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from judge import judge
from mutate import damaged
from seeds import make_seeds, seed_path

OUTCOMES = ("right", "refused", "traceback", "crash", "hang", "wrong grid")
_MEMORY = 3 << 30
_SECONDS = 20


@dataclass(frozen=True)
class Case:
    """One damaged file: its number, kind and name, and what came of it."""

    number: int
    kind: str
    name: str
    outcome: str
    why: str


def run(numbers: Sequence[int], seed: int, lanes: int, keep: Path | None = None) -> list[Case]:
    """Damage and read files of these numbers, so many at a time.

    Every case runs in a fork of a process that has loaded and tried everything before: a case costs what reading does.
    """
    with tempfile.TemporaryDirectory() as folder:
        seeds = make_seeds(Path(folder))
        for name in seeds:  # what is loaded on first use is loaded here, and not by every child
            outcome, why = judge(name.split("/")[0], seed_path(Path(folder), name))
            if (outcome, why) != ("right", "") and name != "checkpoint/old.pt":
                raise AssertionError(f"{name}, undamaged: {outcome}: {why}")
        gc.freeze()  # or each child copies every page that its collector looks at
        one = partial(_one, seed, seeds, Path(folder), keep)
        with ProcessPoolExecutor(lanes, get_context("fork")) as pool:
            return list(pool.map(one, numbers))


def _one(seed: int, seeds: dict[str, bytes], folder: Path, keep: Path | None, number: int) -> Case:
    name = list(seeds)[number % len(seeds)]
    kind, file = name.split("/")
    path = keep / f"{number}-{file}" if keep else folder / str(os.getpid()) / kind / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(damaged(file, seeds[name], random.Random(f"{seed}/{number}")))
    return Case(number, kind, file, *_in_child(kind, path))


def _in_child(kind: str, path: Path) -> tuple[str, str]:
    """What became of reading a file in a process with limits."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read_end)
        _read(kind, path, write_end)
    os.close(write_end)
    end = time.monotonic() + 2 * _SECONDS
    while (ended := os.waitpid(child, os.WNOHANG)) == (0, 0):
        if time.monotonic() > end:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            os.close(read_end)
            return "hang", ""
        time.sleep(0.002)
    with os.fdopen(read_end, "rb") as pipe:
        answer = pipe.read()
    status = os.waitstatus_to_exitcode(ended[1])
    if status in (-signal.SIGXCPU, -signal.SIGALRM):
        return "hang", ""
    if status != 0 or not answer:
        return "crash", f"signal {-status}"
    outcome, why = json.loads(answer)
    return outcome, why


def _read(kind: str, path: Path, pipe: int) -> None:
    """In the child: bound ourselves, read, say what came of it, end."""
    own = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (own + _MEMORY, own + _MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (_SECONDS, _SECONDS + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 30, 1 << 30))
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    try:
        answer = judge(kind, path)
    except BaseException as error:  # noqa: BLE001 - that is what is looked for
        last = traceback.extract_tb(error.__traceback__)[-1]
        words = f"{type(error).__name__}: {str(error)[:150]} ({Path(last.filename).name}:{last.lineno})"
        answer = ("traceback", words)
    os.write(pipe, json.dumps([answer[0], answer[1][:400]]).encode())
    os._exit(0)


def table(found: list[Case]) -> str:
    """Counts by kind."""
    kinds = list(dict.fromkeys(case.kind for case in found))
    counts = Counter((case.kind, case.outcome) for case in found)
    lines = [f"{'':12}" + "".join(f"{outcome:>12}" for outcome in OUTCOMES)]
    for kind in [*kinds, "all"]:
        cells = [sum(counts[each, outcome] for each in (kinds if kind == "all" else [kind])) for outcome in OUTCOMES]
        lines.append(f"{kind:12}" + "".join(f"{cell:>12}" for cell in cells))
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, help="the number of one case")
    parser.add_argument("--lanes", type=int, default=len(os.sched_getaffinity(0)), help="files read at the same time")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="leave the damaged files here")
    parser.add_argument("--all", action="store_true", help="print every case")
    given = parser.parse_args()
    began = time.monotonic()
    numbers = range(given.cases) if given.only is None else [given.only]
    found = run(numbers, given.seed, given.lanes, given.keep)
    bad = [case for case in found if case.outcome not in ("right", "refused")]
    for case in found if given.all else bad:
        sys.stdout.write(f"{case.number:5} {case.outcome:10} {case.kind}/{case.name}: {case.why}\n")
    spent = sum(os.times()[:4])
    seconds = f"{time.monotonic() - began:.0f} s, {spent:.0f} s of a processor"
    sys.stdout.write(f"{table(found)}\nseed {given.seed}, {len(found)} files, {given.lanes} at a time, {seconds}\n")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
