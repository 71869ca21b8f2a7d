"""What ``openvista batch`` costs beside the network: scans per hour by workers, and how fast the driver is.

    python benchmarks/batch.py pipeline CT.nii.gz
    python benchmarks/batch.py scans CT.nii.gz
    python benchmarks/batch.py driver --cases 100000

``pipeline`` segments 20 scans with one ``openvista segment``, with its steps overlapping and not, and one by one, a
process each; ``scans`` 8 scans with ``openvista batch``, 1 and 2 workers. What follows is for the commands, such as
``-m starter``. Every way works on a part of the scans in each of four rounds, in another order each time: only ratios
within a round mean something on a machine that others use too; the median is told, with the least and the most.
``driver`` gives the driver cases whose workers do nothing: what is left are its queue, its manifest and the pipes.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import numpy as np
import psutil

from openvista.cohort.case import Attempt, CaseResult, CohortCase, OutputFile, Work
from openvista.cohort.driver import drive, what_to_do
from openvista.cohort.engines.local import LocalEngine
from openvista.cohort.manifest import JobKey, last_states, manifests_in, open_manifest
from openvista.cohort.storage import Place
from openvista.cohort.tally import Tally
from openvista.io import read_scan, write_scan
from openvista.scan import Scan

Arm = Callable[[list[Path], Path], list[tuple[object, ...]]]
Arms = dict[str, Arm]

_SHA = "0" * 64
_VOLUMES = {class_id: 100.5 + class_id for class_id in range(60)}
"""As many structures as a scan of the trunk shows."""


@dataclass(frozen=True)
class Nothing:
    """Says that it has done what it was asked."""

    def begin(self) -> Work:
        return Work(self.work)

    def work(self, attempt: Attempt) -> CaseResult:
        name = attempt.case.id
        outputs = tuple(OutputFile(f"{name}_seg.{ending}", _SHA, 1_000_000) for ending in ("nii.gz", "json"))
        return CaseResult(attempt, outputs, _VOLUMES, (1, 2), (), None, "host", os.getpid(), "cuda:0", 1.0, 31.0)


def driver(count: int, workers: int) -> dict[str, object]:
    cases = [CohortCase(f"site/{number:06}", f"/in/{number:06}.nii.gz", "1000:1") for number in range(count)]
    memory, process = [], psutil.Process()
    with tempfile.TemporaryDirectory() as folder:
        out, key = Path(folder), JobKey(_SHA, _SHA)

        def tell(tally: Tally) -> None:
            if not memory or tally.done >= len(memory) * count / 10:
                memory.append(round(process.memory_info().rss / 1e6))

        with open_manifest(out, None, key) as manifest:
            manifest.begin(count, {})
            engine = LocalEngine([Nothing()] * workers)
            while engine.free() < workers:
                engine.ended(1)
            began = time.perf_counter()
            drive(what_to_do(cases, {}, key, Place(folder)), engine, manifest, tell)
            seconds = time.perf_counter() - began
            engine.close()
        size = manifest.path.stat().st_size
        began = time.perf_counter()
        states = last_states(manifests_in(out))
        read = time.perf_counter() - began
        assert len(states) == count
    return {
        "cases": count,
        "workers": workers,
        "cases_per_second": round(count / seconds),
        "manifest_bytes_per_case": round(size / count),
        "seconds_to_read_it": round(read, 1),
        "driver_mb_at_each_tenth": memory,
    }


def compare(ct: Path, copies: int, rounds: int, enlarge: Sequence[int], arms: Arms) -> dict[str, object]:
    """Segment so many scans in each way, a part of them in every round, in another order each time.

    Args:
        ct: made larger, and made different from scan to scan by noise.
        copies: scans in all; those of a round are ``copies / rounds``.
        rounds: how many.
        enlarge: how often each voxel is repeated along X, Y, Z: smaller voxels, as hospitals have them.
        arms: name of a way to the commands that segment some files into a folder; ratios are to the first.
    """
    seconds: dict[str, list[float]] = {name: [] for name in arms}
    each = copies // rounds
    with tempfile.TemporaryDirectory() as folder:
        for number in range(rounds):
            inputs = Path(folder, "in", str(number))
            inputs.mkdir(parents=True)
            files = [_made_up(ct, inputs / f"{index}.nii.gz", number * each + index, enlarge) for index in range(each)]
            names = list(arms)
            for name in names[number % len(names) :] + names[: number % len(names)]:
                commands = arms[name](files, Path(folder, name.replace(" ", "_"), str(number)))
                began = time.perf_counter()
                for command in commands:
                    _run(*command)
                seconds[name].append((time.perf_counter() - began) / each)
    first = seconds[next(iter(arms))]
    told: dict[str, object] = {
        "scans": each * rounds,
        "rounds": rounds,
        "load": [round(one) for one in os.getloadavg()],
    }
    for name, found in seconds.items():
        ratios = [alone / one for alone, one in zip(first, found, strict=True)]
        told[name] = {
            "seconds_per_scan": round(median(found), 2),
            "scans_per_hour": round(3600 / median(found)),
            "times_as_fast": round(median(ratios), 2),
            "from": round(min(ratios), 2),
            "to": round(max(ratios), 2),
        }
    return told


def _made_up(ct: Path, target: Path, seed: int, enlarge: Sequence[int]) -> Path:
    scan = read_scan(ct)
    voxels = scan.voxels
    for axis, count in enumerate(enlarge):
        voxels = voxels.repeat(count, axis)
    noise = np.random.default_rng(seed).normal(0, 10, voxels.shape)
    spacing = [length / count for length, count in zip(scan.grid.spacing, enlarge, strict=True)]
    grid = replace(
        scan.grid, affine=scan.grid.affine @ np.diag([*(1 / count for count in enlarge), 1]), shape=voxels.shape
    )
    assert np.allclose(grid.spacing, spacing)
    write_scan(Scan((voxels + noise).astype(np.int16), grid), target)
    return target


def _one_process_each(rest: list[str]) -> Arm:
    return lambda files, out: [("segment", file, "-o", _made(out), "-q", *rest) for file in files]


def _segment(*words: str) -> Arm:
    return lambda files, out: [("segment", *files, "-o", _made(out), "-q", *words)]


def _batch(count: int, *words: str) -> Arm:
    return lambda files, out: [("batch", files[0].parent, "-o", out, "-q", "-w", count, "--previews", 0, *words)]


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _run(*words: object) -> None:
    subprocess.run([sys.executable, "-m", "openvista", *map(str, words)], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_subparsers(dest="kind", required=True)
    of_driver = kinds.add_parser("driver")
    of_driver.add_argument("--cases", type=int, default=100_000)
    of_driver.add_argument("--workers", type=int, nargs="+", default=[2])
    for kind, copies in (("scans", 8), ("pipeline", 20)):
        of_scans = kinds.add_parser(kind)
        of_scans.add_argument("ct", type=Path)
        of_scans.add_argument("--copies", type=int, default=copies)
        of_scans.add_argument("--rounds", type=int, default=4)
        of_scans.add_argument("--enlarge", type=int, nargs=3, default=[3, 3, 1])
    asked, rest = parser.parse_known_args()
    if asked.kind == "driver":
        print(json.dumps([driver(asked.cases, count) for count in asked.workers], indent=2))
        return
    arms: Arms = {"one process each": _one_process_each(rest)}
    if asked.kind == "pipeline":
        arms |= {"no pipeline": _segment("--no-pipeline", *rest), "pipeline": _segment(*rest)}
    else:
        for count in (1, 2):
            arms[f"{count} workers, no pipeline"] = _batch(count, "--no-pipeline", *rest)
            arms[f"{count} workers"] = _batch(count, *rest)
    print(json.dumps(compare(asked.ct, asked.copies, asked.rounds, asked.enlarge, arms), indent=2))


if __name__ == "__main__":
    main()
