"""Several label values that are one class become one value, in label maps of the run's own."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from openvista.datalist import Case, DataList, SliceRange
from openvista.io import read_labels, write_segmentation
from openvista.scan import Segmentation


def one_value_each(classes: Mapping[int, int]) -> dict[int, int]:
    """Label value to class id, with the lowest value of each class alone."""
    lowest: dict[int, int] = {}
    for value in sorted(classes):
        lowest.setdefault(classes[value], value)
    return {value: class_id for class_id, value in lowest.items()}


def merge_labels(listed: DataList, classes: Mapping[int, int], folder: Path) -> DataList:
    """A list in which each class has one value, the lowest of its values.

    A class counts as annotated in a case where all its values are, and as known where all of them are.

    Args:
        listed: its label maps are left as they are; the changed ones go to ``<folder>/labels``.
        classes: label value to class id.
        folder: of the run.

    Raises:
        ScanError: a label map cannot be read.
        OutputError: one cannot be written.
    """
    kept = one_value_each(classes)
    if len(kept) == len(classes):
        return listed
    groups = {value: [one for one in classes if classes[one] == class_id] for value, class_id in kept.items()}
    (folder / "labels").mkdir(parents=True, exist_ok=True)
    names = {value: listed.label_names[value] for value in groups if value in listed.label_names}
    training = tuple(
        _merged(case, groups, names, folder / "labels" / f"{number:04d}.nii.gz")
        for number, case in enumerate(listed.training)
    )
    return replace(listed, training=training, label_names=names)


def _merged(case: Case, groups: Mapping[int, list[int]], names: Mapping[int, str], target: Path) -> Case:
    labels, grid = read_labels(case.label)
    merged = np.zeros(labels.shape, np.uint16)
    for kept, values in groups.items():
        merged[np.isin(labels, values)] = kept
    write_segmentation(Segmentation(merged, grid, dict(names)), target)
    slices = {kept: common for kept, values in groups.items() if (common := _common_slices(case, values)) is not None}
    annotated = frozenset(kept for kept, values in groups.items() if case.annotated.issuperset(values))
    return replace(case, label=target, annotated=annotated, label_slices=slices, annotated_listed=True)


def _common_slices(case: Case, values: list[int]) -> SliceRange | None:
    """The slices in which every value is known; ``None`` where no value has a range."""
    ranges = [case.label_slices[value] for value in values if value in case.label_slices]
    if not ranges:
        return None
    return max(first for first, _ in ranges), min(last for _, last in ranges)
