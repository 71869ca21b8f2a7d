"""Strays of many classes: one pass over the label map against one over each class's box; processor seconds.

The map is the worst there is: 117 classes in lumps all over 512 x 512 x 200 voxels, so that every class's box is the
whole.

    OMP_NUM_THREADS=1 python benchmarks/strays_speed.py
"""

import argparse
import statistics
import time

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from openvista.inference.strays import remove_strays, stray_voxels

SPACING = (0.8, 0.8, 2.0)
LUMP = 8


def class_by_class(labels: NDArray[np.uint8], class_ids: range) -> None:
    """What :func:`remove_strays` did before."""
    for class_id, box in enumerate(ndimage.find_objects(labels), start=1):
        stray = stray_voxels(labels[box] == class_id, SPACING) if box is not None and class_id in class_ids else None
        if stray is not None:
            labels[box][stray] = 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", type=int, nargs=3, default=(512, 512, 200))
    parser.add_argument("--classes", type=int, default=117)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    random = np.random.default_rng(0)
    lumps = random.integers(0, given.classes + 1, [side // LUMP for side in given.shape], dtype=np.uint8)
    lumps[random.random(lumps.shape) < 0.5] = 0
    labels = lumps.repeat(LUMP, 0).repeat(LUMP, 1).repeat(LUMP, 2)
    class_ids, ratios = range(1, given.classes + 1), []
    for _ in range(given.rounds):
        began = time.process_time()
        one_pass = remove_strays(labels.copy(), SPACING, class_ids)
        between = time.process_time()
        class_by_class(before := labels.copy(), class_ids)
        ended = time.process_time()
        ratios.append((ended - between) / (between - began))
        same = np.array_equal(one_pass, before)
        print(f"one pass {between - began:.2f} s, class by class {ended - between:.2f} s; the same: {same}")
    print(f"ratio: {statistics.median(ratios):.0f}")


if __name__ == "__main__":
    main()
