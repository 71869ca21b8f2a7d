"""One named class: windows near what was found, against all windows; how many, how long, and whether labels agree.

Both take turns on every scan and class. Seconds are the processor's, which others on the machine change little. Dice is
that of the two label maps, 1 where both are empty; ``differing`` counts voxels.

    OMP_NUM_THREADS=1 python benchmarks/search_speed.py examples/data/dataset.json OPENKBP/dataset.json
    ... --cases pt_201 pt_208 --classes mandible larynx
"""

import argparse
import logging
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import openvista as ov
from openvista.datalist import read_datalist
from openvista.inference.profiles import BEST
from openvista.inference.progress import Progress
from openvista.metrics.masks import dice

ARMS = {"near": BEST, "everywhere": BEST.override(everywhere=True)}


@dataclass
class Row:
    """One scan and class: by arm, windows and seconds; how well both agree."""

    windows: dict[str, int]
    seconds: dict[str, float]
    voxels: int
    differing: int
    dice: float


def measured(model: ov.Model, scan: ov.Scan, structure: str) -> Row:
    """Both arms on one scan and class."""
    windows: dict[str, int] = {}
    seconds, masks = {}, {}
    for arm, profile in ARMS.items():

        def count(step: Progress, arm: str = arm) -> None:
            if step.stage == "encode":
                windows[arm] = step.done

        began = time.process_time()
        result = model.segment(scan, structure, profile=profile, progress=count)
        seconds[arm] = time.process_time() - began
        masks[arm] = result.labels > 0
    near, everywhere = masks.values()
    differing = int((near != everywhere).sum())
    return Row(windows, seconds, int(everywhere.sum()), differing, dice(near, everywhere) if everywhere.any() else 1.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("datalists", type=Path, nargs="+")
    parser.add_argument("--cases", nargs="*", help="names of images without ending; default: all for testing")
    parser.add_argument("--classes", nargs="*", help="default: all that the model knows")
    parser.add_argument("--model", default="starter")
    given = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    model = ov.load_model(given.model)
    classes = given.classes or [model.vocabulary.name(one) for one in model.vocabulary.expand(None)]
    listed = [read_datalist(path) for path in given.datalists]
    cases = [
        case
        for one in listed
        for case in (one.every_case if given.cases else one.testing or one.every_case)
        if not given.cases or case.name in given.cases
    ]
    rows: dict[str, list[Row]] = defaultdict(list)
    for number, case in enumerate(cases):
        scan = ov.read_scan(case.image)
        if number == 0:
            measured(model, scan, classes[0])  # warm
        for structure in classes:
            rows[structure].append(row := measured(model, scan, structure))
            if row.dice < 1:
                print(
                    f"{case.name}, {structure}: Dice {row.dice:.4f}, {row.differing} of {row.voxels} voxels differ",
                    flush=True,
                )
    print(f"{len(cases)} scans")
    print("| class | scans with it | windows, of all | processor seconds, ratio | scans that differ | lowest Dice |")
    print("|---|---|---|---|---|---|")
    for structure, of_class in rows.items():
        near, everywhere = (sum(row.windows[arm] for row in of_class) for arm in ARMS)
        ratio = sum(row.seconds["near"] for row in of_class) / sum(row.seconds["everywhere"] for row in of_class)
        differ = sum(row.dice < 1 for row in of_class)
        print(
            f"| {structure} | {sum(row.voxels > 0 for row in of_class)} | {near} of {everywhere} | {ratio:.2f} "
            f"| {differ} | {min(row.dice for row in of_class):.4f} |"
        )


if __name__ == "__main__":
    main()
