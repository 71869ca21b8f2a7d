"""Scores of another program's masks, as ``openvista evaluate --protocol auto`` gives them; shared by the peers here."""

import csv
import statistics
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from openvista.datalist import Case, read_datalist
from openvista.evaluate.labelled_scan import LabelledScan, read_case
from openvista.io import replacing
from openvista.metrics.masks import dice
from openvista.train.recipe import Recipe

Row = tuple[str, str, float]
Segment = Callable[[Case, LabelledScan], NDArray[np.integer]]
"""A case to the class id of each of the scan's voxels [X, Y, Z], 0 where nothing was found."""


def score(segment: Segment, recipe: Recipe) -> Iterator[Row]:
    """Case, structure and Dice on the scan's own voxels of the testing list."""
    listed = read_datalist(recipe.datalist)
    limited = [value for value, class_id in recipe.classes.items() if class_id in recipe.only_in_label_slices]
    for case in listed.testing:
        labelled = read_case(case, recipe.classes, limited)
        found_XYZ = segment(case, labelled)
        for structure in labelled.structures:
            truth = labelled.truth(structure)
            if truth.any():
                predicted = (found_XYZ == structure.class_id)[structure.region.slices()]
                name = listed.label_names[next(iter(structure.values))]
                yield labelled.name, name, round(float(dice(predicted, truth)), 4)


def write(rows: Sequence[Row], folder: Path) -> None:
    """``scores.csv`` in the folder, and the means as a table."""
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / "scores.csv") as temporary, temporary.open("w", newline="") as file:
        csv.writer(file).writerows([("case", "name", "dice"), *rows])
    means = []
    for name in dict.fromkeys(row[1] for row in rows):
        found = [row[2] for row in rows if row[1] == name]
        means.append(statistics.mean(found))
        print(f"| {name} | {len(found)} | {means[-1]:.3f} |")
    print(f"| mean over structures | | {statistics.mean(means):.3f} |")
