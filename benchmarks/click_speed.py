"""A click over HTTP, as a user of the starter waits for it: the CT of examples/data, 15 objects.

    PYTHONPATH=tests/e2e python benchmarks/click_speed.py

Starts `openvista serve`. Seven objects come by name and eight by a first click on something new; then every
one gets four further clicks, near where it is, for it and against it in turn. Prints medians and quartiles of the
seconds from asking to the answer, by `openvista.client`, on one connection.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from conftest import serving
from openvista.client import Client

CT = Path(__file__).parents[1] / "examples" / "data" / "head_neck_ct.nii.gz"
UNNAMED = 8
FURTHER = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0, help="of where clicks go")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as state, serving(Path(state)) as url:
        first, further = click_times(url, np.random.default_rng(arguments.seed))
    for name, seconds in (("first click on an object", first), ("further click", further)):
        low, middle, high = statistics.quantiles(seconds, n=4)
        print(f"{name}: {1000 * middle:.0f} ms ({1000 * low:.0f} to {1000 * high:.0f}), {len(seconds)} clicks")


def click_times(url: str, random: np.random.Generator) -> tuple[list[float], list[float]]:
    """Seconds of the first clicks on new objects, and of all later ones."""
    with Client(url) as client:
        session = client.open(client.upload(CT))
        session.segment("all")
        labels_XYZ = session.labels.copy()
        places = {item.name: np.argwhere(labels_XYZ == item.id) for item in session.objects}
        low, high = np.array(labels_XYZ.shape) // 3, 2 * np.array(labels_XYZ.shape) // 3
        first = []
        for number in range(UNNAMED):
            name = f"new {number + 1}"
            session.new_object(name)
            voxel = random.integers(low, high)
            places[name] = voxel + random.integers(-3, 4, (50, 3))
            first.append(seconds_of(partial(session.click, voxel.tolist(), name)))
        further = []
        for turn in range(FURTHER):
            for name, around in places.items():
                voxel = around[random.integers(len(around))].tolist()
                further.append(seconds_of(partial(session.click, voxel, name, turn % 2 == 0)))
    return first, further


def seconds_of(act: Callable[[], None]) -> float:
    started = time.perf_counter()
    act()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
