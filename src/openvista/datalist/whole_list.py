"""What can be wrong with a data list as a whole, though each of its cases is fine."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from openvista.datalist.case import AnyCase, DataList, some_of

Volumes = Mapping[int, float]
"""Label value to millilitres, of the values that occur."""

Finding = tuple[str, str, bool]
"""Stable short name, message of one line, whether training on the list makes no sense."""


def list_problems(
    listed: DataList, training: Sequence[Volumes | None], testing: Sequence[Volumes | None]
) -> Iterator[Finding]:
    """Leaks between the parts, no foreground, folds that cannot work, structures that never occur.

    Args:
        listed: the list.
        training: what the label map of each labelled training case holds; ``None`` where it could not be read.
        testing: the same for testing.
    """
    yield from _leaks(listed)
    yield from _folds(listed)
    readable = [volumes for volumes in training if volumes is not None]
    if readable and not any(readable):
        yield "no-foreground", "no foreground at all: every training label map that can be read is 0 everywhere", True
    every = [*training, *testing]
    seen = {value for volumes in every for value in volumes or ()}
    if not listed.label_names and not listed.label_mapping:
        message = f"the list names no labels (values that occur: {some_of(sorted(seen)) or 'none'})"
        yield "no-names", f"{message}; add 'labels', or map values to classes", False
    never = [f"{value} '{name}'" for value, name in listed.label_names.items() if value not in seen]
    if never and seen and None not in every:
        yield "never-present", f"named, but in no label map: {some_of(never)}", False


def _leaks(listed: DataList) -> Iterator[Finding]:
    """The same image for training and for scoring makes every score too good."""
    learnt_from: list[AnyCase] = [*listed.training, *listed.unlabelled]
    training = Counter(_real(case) for case in learnt_from)
    both = sorted({_real(case) for case in listed.testing} & training.keys())
    if both:
        yield "leak", f"{len(both)} images are for training and for testing as well: {_names(both)}", True
    folds: dict[Path, set[int | None]] = {}
    for case in listed.training:
        folds.setdefault(_real(case), set()).add(case.fold)
    leaking = sorted(image for image, of_image in folds.items() if len(of_image) > 1)
    if leaking:
        yield "fold-leak", f"{len(leaking)} images are in more than one fold: {_names(leaking)}", True
    repeated = sorted(image for image, count in training.items() if count > 1 and len(folds.get(image, ())) < 2)
    if repeated:
        yield "repeated", f"{len(repeated)} images are listed more than once: {_names(repeated)}", False


def _folds(listed: DataList) -> Iterator[Finding]:
    if not listed.training:
        if listed.unlabelled:
            yield "no-labels", "no training case has a label: good for supervoxels and pseudo-labels only", False
        return
    folds = {case.fold for case in listed.training if case.fold is not None}
    if len(listed.training) == 1:
        yield "one-case", "only one training case: nothing can be held out for validation (use fold null)", False
    elif not folds:
        yield "no-folds", "no training case has a fold: nothing can be held out for validation (use fold null)", False
    elif len(folds) == 1 and all(case.fold is not None for case in listed.training):
        yield "one-fold", "every training case is in the same fold: holding it out leaves none to train on", False


def _names(images: Iterable[Path]) -> str:
    return some_of(image.name for image in images)


def _real(case: AnyCase) -> Path:
    return case.image.resolve()
