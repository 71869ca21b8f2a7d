"""Profiles against ``best``: seconds of ``model.segment`` as a ratio, Dice with what ``best`` says and with the truth.

Seconds are the processor's, of all threads, which others on the machine change little; the profiles take turns on every
scan. A candidate is a profile by name, or choices that are laid over ``best``.

    OMP_NUM_THREADS=1 python benchmarks/profile_speed.py dataset.json --cases pt_017 pt_024 pt_034 pt_083 pt_100 pt_172
    ... --candidates fast overlap=0.125 overlap=0 overlap=0.25,mode=exact
"""

import argparse
import statistics
import time
from collections import defaultdict
from pathlib import Path

import numpy as np

import openvista as ov
from openvista.datalist import read_datalist
from openvista.inference.profiles import BEST, Profile, find_profile
from openvista.io import read_labels
from openvista.metrics.masks import dice


def candidate(text: str) -> Profile:
    """A profile by name, or choices over ``best`` such as ``overlap=0.25,mode=exact``."""
    if "=" not in text:
        return find_profile(text)
    pairs = dict(part.split("=") for part in text.split(","))
    return BEST.override(**{key: float(value) if key == "overlap" else value for key, value in pairs.items()})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("datalist", type=Path)
    parser.add_argument("--cases", nargs="+", required=True, help="names of images without ending")
    parser.add_argument("--candidates", nargs="+", default=["fast"])
    parser.add_argument("--model", default="starter")
    given = parser.parse_args()
    profiles = {"best": BEST} | {text: candidate(text) for text in given.candidates}
    model, listed = ov.load_model(given.model), read_datalist(given.datalist)
    cases = [case for case in listed.every_case if case.name in given.cases]
    classes = listed.label_names
    seconds: dict[str, list[float]] = defaultdict(list)
    with_best: dict[str, list[float]] = defaultdict(list)
    with_truth: dict[str, list[float]] = defaultdict(list)
    model.segment(ov.read_scan(cases[0].image))  # warm
    for case in cases:
        scan, (truth, _) = ov.read_scan(case.image), read_labels(case.label)
        results = {}
        for name, profile in profiles.items():
            began = time.process_time()
            results[name] = model.segment(scan, profile=profile)
            seconds[name].append(time.process_time() - began)
        for name, result in results.items():
            for value, structure in classes.items():
                mask, best = result.mask(structure), results["best"].mask(structure)
                with_best[name].append(dice(mask, best))
                if value in case.annotated:
                    with_truth[name].append(dice(mask, truth == value))
    print("| | processor seconds, ratio to best (median, least to most) | Dice with best | Dice with the truth |")
    print("|---|---|---|---|")
    for name in profiles:
        ratios = [one / best for one, best in zip(seconds[name], seconds["best"], strict=True)]
        shown = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        print(f"| {name} | {shown} | {np.nanmean(with_best[name]):.4f} | {np.nanmean(with_truth[name]):.4f} |")
    print("processor seconds of best:", ", ".join(f"{one:.1f}" for one in seconds["best"]))


if __name__ == "__main__":
    main()
