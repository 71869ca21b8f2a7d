"""Which cases a fine-tune learns from, which it validates on, which it leaves out and why; and their label maps.

In the data list of a run each class has one label value; where the user maps several to it, label maps are rewritten.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from openvista.datalist import AnyCase, Case, CaseReport, DataList, check_datalist
from openvista.errors import DataListError
from openvista.io import read_labels, write_segmentation
from openvista.scan import Segmentation

LABELS_FOLDER = "labels"
"""In a run folder: label maps whose values were merged."""
HELD_OUT_SHARE = 0.2
"""Of the cases of a list without folds: one fold of five, as in ``openvista datalist make``."""

_LEAK = "its image is a testing case as well"


@dataclass(frozen=True)
class SkippedCase:
    """A case that is neither trained nor validated on.

    Attributes:
        name: the image's path as the list gives it, relative where it can be.
        reason: one line.
    """

    name: str
    reason: str


@dataclass(frozen=True)
class Shots:
    """The cases of a fine-tune.

    Attributes:
        training: to learn from.
        held_out: to choose the checkpoint by; may be empty.
        skipped: those that cannot be used.
        available: how many there were to choose the training cases from.
    """

    training: tuple[Case, ...]
    held_out: tuple[Case, ...]
    skipped: tuple[SkippedCase, ...]
    available: int


def choose_shots(
    listed: DataList,
    classes: Mapping[int, int],
    *,
    count: int | None = None,
    fold: str = "auto",
    seed: int = 0,
    begin: Callable[[int], Callable[[], None]] = lambda _: lambda: None,
) -> Shots:
    """Check the training cases of a list, hold some out, and choose some of the rest.

    Testing cases are never looked at, and an image that is also among them is not trained on.

    Args:
        listed: read with ``must_exist=False``.
        classes: label value to class id.
        count: how many to learn from, chosen by the seed so that fewer are always among more; ``None`` for all.
        fold: number of the fold to hold out; ``"none"``; or ``"auto"``: fold 0, or a fifth by the seed where the list
            has no folds.
        seed: of the choice.
        begin: called with the number of cases that will be read; what it returns is called after each.

    Raises:
        DataListError: nothing can be held out, nothing is left to learn from, or fewer cases than asked for.
    """
    testing = {case.image.resolve() for case in listed.testing}
    testing |= {case.image.resolve() for case in listed.testing_unlabelled}
    leaking = [case for case in listed.training if case.image.resolve() in testing]
    cases = [case for case in listed.training if case.image.resolve() not in testing]
    if not cases:
        raise DataListError(f"{listed.path} has no labelled training case; fine-tuning needs at least one")
    skipped = [SkippedCase(_shown(case, listed), _LEAK) for case in leaking]
    reports = _read(listed, cases, begin)
    skipped += [SkippedCase(_shown(one.case, listed), _reason(one)) for one in reports if not one.usable]
    usable = [one for one in reports if one.usable]
    if not usable:
        raise DataListError(
            f"{listed.path}: none of {len(cases)} training cases can be used; first: {_reason(reports[0])}"
        )
    held_out, rest = _hold_out(listed, usable, fold, seed)
    with_structure = [one for one in rest if _structures(one, classes)]
    if not with_structure:
        raise DataListError(_no_foreground(listed, classes, len(cases), len(skipped), len(held_out)))
    chosen = with_structure if count is None else _choose(with_structure, classes, count, seed, listed)
    return Shots(
        tuple(one.case for one in chosen if isinstance(one.case, Case)),
        tuple(one.case for one in held_out if isinstance(one.case, Case) and _structures(one, classes)),
        tuple(skipped),
        len(with_structure),
    )


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
    (folder / LABELS_FOLDER).mkdir(parents=True, exist_ok=True)
    names = {value: listed.label_names[value] for value in groups if value in listed.label_names}
    training = tuple(
        _merged(case, groups, names, folder / LABELS_FOLDER / f"{number:04d}.nii.gz")
        for number, case in enumerate(listed.training)
    )
    return replace(listed, training=training, label_names=names)


def one_value_each(classes: Mapping[int, int]) -> dict[int, int]:
    """Label value to class id, with the lowest value of each class alone."""
    lowest: dict[int, int] = {}
    for value in sorted(classes):
        lowest.setdefault(classes[value], value)
    return {value: class_id for class_id, value in lowest.items()}


def _read(listed: DataList, cases: Sequence[Case], begin: Callable[[int], Callable[[], None]]) -> list[CaseReport]:
    """Reports on these cases; their pseudo-labels and supervoxels are not needed here."""
    plain = tuple(replace(case, pseudo_label=None, supervoxels=None) for case in cases)
    part = replace(listed, training=plain, unlabelled=(), testing=(), testing_unlabelled=())
    report = check_datalist(part, done=begin(len(plain)))
    leak = next((problem for problem in report.problems if problem.code == "fold-leak"), None)
    if leak is not None:
        raise DataListError(f"{listed.path}: {leak.message}; give each image one fold")
    return list(report.cases)


def _hold_out(
    listed: DataList, reports: Sequence[CaseReport], fold: str, seed: int
) -> tuple[list[CaseReport], list[CaseReport]]:
    """Those to validate on, and the rest."""
    if fold == "none":
        return [], list(reports)
    folds = sorted({case.fold for case in listed.training if case.fold is not None})
    if not folds and fold == "auto":
        return _hold_out_by_seed(listed, reports, seed)
    if fold == "auto":
        fold = "0" if 0 in folds else str(folds[0])
    elif not fold.isdecimal():
        raise DataListError(f"--fold {fold}: give a number from 0, 'auto' or 'none'")
    number = int(fold)
    if number not in folds:
        known = f"the list has folds {folds}" if folds else "the list has no folds; leave --fold out"
        raise DataListError(f"{listed.path}: no training case has fold {number}; {known}")
    held_out = [one for one in reports if one.case.fold == number]
    rest = [one for one in reports if one.case.fold != number]
    if not rest:
        raise DataListError(
            f"{listed.path}: every usable training case is in fold {number}, which is held out: nothing is left to "
            "learn from; add --fold none to learn from all, without validation"
        )
    return held_out, rest


def _hold_out_by_seed(
    listed: DataList, reports: Sequence[CaseReport], seed: int
) -> tuple[list[CaseReport], list[CaseReport]]:
    if len(reports) < 2:
        raise DataListError(
            f"{listed.path} has only one usable training case: nothing can be held out for validation; add cases, or "
            "--fold none to learn without validation"
        )
    order = list(reports)
    random.Random(seed).shuffle(order)
    out = max(1, round(HELD_OUT_SHARE * len(order)))
    return order[:out], order[out:]


def _choose(
    reports: Sequence[CaseReport], classes: Mapping[int, int], count: int, seed: int, listed: DataList
) -> list[CaseReport]:
    """First cases that together show every structure, then by the seed: even one shot should show as much as it can."""
    if not 1 <= count <= len(reports):
        raise DataListError(
            f"--shots {count}: {listed.path} has {len(reports)} usable training cases with these structures outside "
            f"the fold that is held out; give 1 to {len(reports)}"
        )
    left = list(reports)
    random.Random(seed).shuffle(left)
    order: list[CaseReport] = []
    missing = set().union(*(_structures(one, classes) for one in left))
    while missing:
        best = max(left, key=lambda one: len(missing & _structures(one, classes)))
        left.remove(best)
        order.append(best)
        missing -= _structures(best, classes)
    return (order + left)[:count]


def _structures(report: CaseReport, classes: Mapping[int, int]) -> set[int]:
    """Ids of the classes that are annotated in a case and have a voxel there."""
    if not isinstance(report.case, Case):
        return set()
    there = report.case.annotated & (report.volumes_ml or {}).keys()
    return {class_id for value, class_id in classes.items() if value in there}


def _no_foreground(listed: DataList, classes: Mapping[int, int], cases: int, skipped: int, held_out: int) -> str:
    names = ", ".join(f"{value} '{listed.label_names.get(value, '')}'" for value in classes)
    rest = f"{cases} training cases, {skipped} of them cannot be used, {held_out} are held out"
    return (
        f"{listed.path}: no foreground to learn from: label {names} has no voxel in any training case ({rest}); "
        f"'openvista datalist check {listed.path} -v' tells what is there"
    )


def _reason(report: CaseReport) -> str:
    return next(problem.message for problem in report.problems if problem.fatal)


def _shown(case: AnyCase, listed: DataList) -> str:
    image = case.image
    return image.relative_to(listed.folder).as_posix() if image.is_relative_to(listed.folder) else str(image)


def _merged(case: Case, groups: Mapping[int, list[int]], names: Mapping[int, str], target: Path) -> Case:
    labels, grid = read_labels(case.label, apart=True)
    merged = np.zeros(labels.shape, np.uint16)
    for kept, values in groups.items():
        merged[np.isin(labels, values)] = kept
    write_segmentation(Segmentation(merged, grid, dict(names)), target)
    slices = {kept: common for kept, values in groups.items() if (common := case.common_slices(values)) is not None}
    annotated = frozenset(kept for kept, values in groups.items() if case.annotated.issuperset(values))
    return replace(case, label=target, annotated=annotated, label_slices=slices, annotated_listed=True)
