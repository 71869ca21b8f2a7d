"""Seconds of the starter on the demo scan, weights loaded: `model.segment`, and the first and second click on objects.

Medians: of three calls, and of three places. To compare two versions, let their checkouts take turns.

    python benchmarks/starter_speed.py
    PYTHONPATH=../older/src python benchmarks/starter_speed.py
"""

import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import openvista as ov

SCAN = Path(__file__).parents[1] / "examples" / "data" / "head_neck_ct.nii.gz"
PLACES = ((60, 38, 55), (40, 30, 40), (70, 40, 60))
BESIDE = (3, 2, 0)


def main() -> None:
    model, scan = ov.load_model("starter"), ov.read_scan(SCAN)
    whole = [seconds(partial(model.segment, scan)) for _ in range(3)]
    first, second = [], []
    for place in PLACES:
        session = model.open(scan)
        target = session.new_object("object")
        beside = tuple(a + b for a, b in zip(place, BESIDE, strict=True))
        first.append(seconds(partial(session.click, place, target)))
        second.append(seconds(partial(session.click, beside, target)))
    for what, times in (("segment", whole), ("first click", first), ("second click", second)):
        print(f"{what}: {statistics.median(times):.2f} s ({', '.join(f'{time:.2f}' for time in times)})")


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
