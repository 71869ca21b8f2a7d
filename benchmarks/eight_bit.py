"""A calibrated model in 8 bits against half precision and float32: processor seconds, and Dice with the truth.

The precisions take turns on every scan, with profile ``best``; seconds are the processor's, of all threads. Before:

    openvista models calibrate CT ... --model starter

    OMP_NUM_THREADS=1 python benchmarks/eight_bit.py dataset.json --cases pt_017 pt_024 pt_034 pt_083 pt_100 pt_172
"""

import argparse
import statistics
import time
from collections import defaultdict
from pathlib import Path

import numpy as np

import openvista as ov
from openvista.datalist import read_datalist
from openvista.inference.automatic import prepare_scan
from openvista.inference.profiles import BEST
from openvista.inference.windows import cut_windows
from openvista.io import read_labels
from openvista.metrics.masks import dice

PRECISIONS = ("float32", "auto", "int8")
ROUNDS = 15


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("datalist", type=Path)
    parser.add_argument("--cases", nargs="+", required=True, help="names of images without ending")
    parser.add_argument("--model", default="starter")
    given = parser.parse_args()
    models = {precision: ov.load_model(given.model, "cpu", precision) for precision in PRECISIONS}
    listed = read_datalist(given.datalist)
    cases = [case for case in listed.every_case if case.name in given.cases]
    time_windows(models, ov.read_scan(cases[0].image))
    seconds: dict[str, float] = defaultdict(float)
    differences: dict[str, dict[str, list[float]]] = {name: defaultdict(list) for name in PRECISIONS}
    for case in cases:
        scan, (truth, _) = ov.read_scan(case.image), read_labels(case.label)
        results = {}
        for precision, model in models.items():
            began = time.process_time()
            results[precision] = model.segment(scan)
            seconds[precision] += time.process_time() - began
        for value, structure in listed.label_names.items():
            if value in case.annotated:
                inside = truth == value
                slices = np.flatnonzero(inside.any((0, 1)))  # where somebody contoured it
                part = np.s_[:, :, slices[0] : slices[-1] + 1]
                scores = {name: dice(result.mask(structure)[part], inside[part]) for name, result in results.items()}
                for name, score in scores.items():
                    differences[name][structure].append(score - scores["float32"])
    for name in PRECISIONS:
        everything = np.concatenate(list(differences[name].values()))
        error = everything.std() / len(everything) ** 0.5
        print(f"{name}: {seconds[name]:.1f} s; Dice against float32 {everything.mean():+.4f} ({error:.4f})")
        for structure, values in differences[name].items():
            print(f"    {structure} {np.mean(values):+.4f} ({np.std(values) / len(values) ** 0.5:.4f})")


def time_windows(models: dict[str, ov.Model], scan: ov.Scan) -> None:
    """One window in the middle of a scan, the precisions taking turns."""
    network = models["auto"].network
    windowed = cut_windows(prepare_scan(network, scan, BEST), network.network.preset, BEST)
    window_XYZ = windowed.image_XYZ[windowed.plan.slices(windowed.plan.starts[len(windowed.plan.starts) // 2])]
    taken: dict[str, list[float]] = defaultdict(list)
    for _ in range(ROUNDS):
        for name, each in models.items():
            began = time.perf_counter()
            each.network.features(window_XYZ)
            taken[name].append(time.perf_counter() - began)
    for name, values in taken.items():
        low, high = min(values[1:]), max(values[1:])
        print(f"{name}: a window in {1e3 * statistics.median(values[1:]):.0f} ms ({1e3 * low:.0f} to {1e3 * high:.0f})")


if __name__ == "__main__":
    main()
