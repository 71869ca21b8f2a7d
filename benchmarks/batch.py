"""What ``openvista batch`` costs beside the network: scans per hour by workers, and how fast the driver is.

    python benchmarks/batch.py scans CT.nii.gz --copies 8 --workers 1 2
    python benchmarks/batch.py driver --cases 100000

``scans`` copies a CT and segments the copies with each number of workers, and also one by one, a process each, as
``openvista segment`` in a loop does; only ratios of one run mean something on a machine that others use too.
``driver`` gives the driver cases whose workers do nothing: what is left are its queue, its manifest and the pipes.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from openvista.cohort.case import Attempt, CaseResult, CohortCase, OutputFile, Work
from openvista.cohort.driver import drive, what_to_do
from openvista.cohort.engines.local import LocalEngine
from openvista.cohort.manifest import JobKey, last_states, manifests_in, open_manifest
from openvista.cohort.storage import Place
from openvista.cohort.tally import Tally

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


def scans(ct: Path, copies: int, workers: list[int], rest: list[str]) -> dict[str, object]:
    found: dict[str, object] = {"copies": copies}
    with tempfile.TemporaryDirectory() as folder:
        inputs = Path(folder, "in")
        inputs.mkdir()
        for number in range(copies):
            shutil.copyfile(ct, inputs / f"{number}.nii.gz")
        began = time.perf_counter()
        for file in sorted(inputs.iterdir()):
            _run("segment", file, "-o", Path(folder, "one"), "-q", *rest)
        alone = time.perf_counter() - began
        found["one process each"] = {"scans_per_hour": round(3600 * copies / alone), "ratio": 1.0}
        for count in workers:
            began = time.perf_counter()
            _run("batch", inputs, "-o", Path(folder, str(count)), "-q", "-w", count, "--previews", 0, *rest)
            seconds = time.perf_counter() - began
            rate = round(3600 * copies / seconds)
            found[f"{count} workers"] = {"scans_per_hour": rate, "ratio": round(alone / seconds, 2)}
    return found


def _run(*words: object) -> None:
    subprocess.run([sys.executable, "-m", "openvista", *map(str, words)], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_subparsers(dest="kind", required=True)
    of_driver = kinds.add_parser("driver")
    of_driver.add_argument("--cases", type=int, default=100_000)
    of_driver.add_argument("--workers", type=int, nargs="+", default=[2])
    of_scans = kinds.add_parser("scans")
    of_scans.add_argument("ct", type=Path)
    of_scans.add_argument("--copies", type=int, default=8)
    of_scans.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    asked, rest = parser.parse_known_args()
    if asked.kind == "driver":
        found = [driver(asked.cases, count) for count in asked.workers]
    else:
        found = [scans(asked.ct, asked.copies, asked.workers, rest)]
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
