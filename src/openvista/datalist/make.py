"""A data list from the files of a folder: pairs, names, a testing part, folds."""

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from openvista.datalist.case import Case, DataList, UnlabelledCase, some_of
from openvista.datalist.dicom_pairs import label_grid, number_alike
from openvista.datalist.pairs import FoundPairs, find_pairs
from openvista.datalist.parallel import in_parallel
from openvista.datalist.read import read_label_names
from openvista.errors import DataListError, OpenVistaError
from openvista.io import read_segmentation
from openvista.io.paths import image_suffix
from openvista.structures import present_ids

_DATASET_FILE = "dataset.json"


@dataclass(frozen=True)
class MadeList:
    """A new data list, not written yet, and what its maker should know.

    Attributes:
        listed: the list.
        notes: one line each: label maps left out and why, images without one, values without a name, few cases.
    """

    listed: DataList
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Split:
    """How labelled scans are divided; an equal one divides an equal folder in the same way.

    Attributes:
        folds: cross-validation folds of the training part.
        test_share: share of labelled scans for testing, 0 to below 1.
        seed: of the draw.

    Raises:
        DataListError: an impossible share, or no fold.
    """

    folds: int = 5
    test_share: float = 0.2
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.test_share < 1 or self.folds < 1:
            raise DataListError(
                f"a test share of {self.test_share} and {self.folds} folds make no split; use 0 to 0.9, and 1 or more"
            )


@dataclass(frozen=True)
class _Labelled:
    """An image, its label map, and what the map says about itself."""

    image: Path
    label: Path
    values: tuple[int, ...]
    names: Mapping[int, str]


def make_datalist(
    folder: Path,
    target: Path,
    *,
    names: Mapping[int, str] | None = None,
    partial: bool = False,
    split: Split = Split(),
    label_folder: Path | None = None,
    workers: int | None = None,
    begin: Callable[[int], Callable[[], None]] = lambda count: lambda: None,
) -> MadeList:
    """List the images and label maps below a folder.

    The default split is that of the paper: a fifth of the labelled scans for testing (unless the folder has a labelled
    ``imagesTs``), the others in five folds.

    Names of label values come from ``names``; else from a ``dataset.json`` in the folder; else from the label maps.

    Args:
        folder: see :func:`openvista.datalist.find_pairs` for its layouts.
        target: where the list will be written; paths are relative to ``folder`` when that is elsewhere.
        names: label value to name.
        partial: write ``annotated`` into each case: the values that occur in its label map. All others are then
            *unknown* there: neither trained nor scored as absent. Right where each scan has only some structures
            marked; wrong where a structure may truly be missing (a removed organ, no tumour), since that absence is
            then never learnt. Without it every named structure counts as marked in every scan.
        split: which part is for testing, and folds of the rest.
        label_folder: write label maps there in which a structure has one number in all cases, and list those: in DICOM
            every object numbers its structures for itself.
        workers: threads that read label maps.
        begin: called with the number of label maps; returns what to call after each.

    Raises:
        DataListError: no pairs, no readable label map, no foreground, or label maps
            whose names disagree.
    """
    found = find_pairs(folder)
    read = _read_all(found, folder, label_folder, workers, begin)
    labelled = {item.image: item for item in read if isinstance(item, _Labelled)}
    if not labelled:
        raise DataListError(f"{folder}: none of its {len(read)} label maps can be read; the first: {read[0]}")
    if not any(item.values for item in labelled.values()):
        raise DataListError(
            f"{folder}: no foreground at all: {len(labelled)} label maps, 0 everywhere; are these they?"
        )
    chosen = _names(folder, names, list(labelled.values()))
    given_testing = [labelled[image] for image, _ in found.testing if image in labelled]
    others = [labelled[image] for image, _ in found.training if image in labelled]
    training, testing, notes = _split(others, given_testing, split)
    listed = DataList(
        path=target,
        label_names=chosen,
        training=tuple(_case(item, fold, chosen, partial) for item, fold in training),
        testing=tuple(_case(item, None, chosen, partial) for item in testing),
        unlabelled=tuple(UnlabelledCase(image) for image, label in found.training if label is None),
        testing_unlabelled=tuple(UnlabelledCase(image) for image, label in found.testing if label is None),
        root=folder,
        extra={"name": folder.resolve().name},
    )
    left = [f"{label}: left out, there is no image of that name" for label in found.labels_left]
    unreadable = [f"left out: {item}" for item in read if isinstance(item, str)]
    return MadeList(listed, (*left, *unreadable, *_remarks(listed, list(labelled.values()), names, partial), *notes))


def _read_all(
    found: FoundPairs,
    folder: Path,
    label_folder: Path | None,
    workers: int | None,
    begin: Callable[[int], Callable[[], None]],
) -> list[_Labelled | str]:
    """What :func:`_read` says of every label map, or of those that are written for them."""
    pairs = [(image, label) for image, label in (*found.training, *found.testing) if label is not None]
    if label_folder is not None:
        label_map_of = number_alike(pairs, folder, label_folder)
        pairs = [(image, label_map_of[label]) for image, label in pairs]
    return in_parallel(_read, pairs, workers, begin(len(pairs)))


def _read(pair: tuple[Path, Path]) -> _Labelled | str:
    """Values and names of a label map, or why it cannot be read."""
    image, label = pair
    try:
        segmentation = read_segmentation(label, scan_grid=label_grid(image, label), apart=True)
    except (OpenVistaError, OSError, MemoryError) as error:
        return str(error) or f"{label}: {type(error).__name__}"
    values = present_ids(segmentation.labels)
    own = {value: name for value, name in segmentation.names.items() if value and name != f"label {value}"}
    return _Labelled(image, label, tuple(values), own)


def _names(folder: Path, given: Mapping[int, str] | None, labelled: Sequence[_Labelled]) -> dict[int, str]:
    """Every value that occurs gets a name, at worst "label 3"."""
    names = dict(given or {})
    beside = folder / _DATASET_FILE
    if not names and beside.is_file():
        names = read_label_names(beside)
    if not names:
        first: dict[int, _Labelled] = {}
        for item in labelled:
            for value, name in item.names.items():
                other = first.setdefault(value, item)
                if other.names[value] != name:
                    remedy = f"say what it is, as in --names '{value}={name}'"
                    if not image_suffix(item.label):
                        remedy = "have them numbered alike with --write-labels FOLDER"
                    both = f"'{other.names[value]}' in {other.label} but '{name}' in {item.label}"
                    raise DataListError(f"label {value} is {both}; {remedy}")
        names = {value: item.names[value] for value, item in first.items()}
    unnamed = {value for item in labelled for value in item.values} - names.keys()
    return dict(sorted((names | {value: f"label {value}" for value in unnamed}).items()))


def _split(
    others: Sequence[_Labelled], testing: Sequence[_Labelled], split: Split
) -> tuple[list[tuple[_Labelled, int | None]], list[_Labelled], list[str]]:
    """Testing part and folds, each in order of name, and remarks."""
    folds, test_share = split.folds, split.test_share
    shuffled = sorted(others, key=lambda item: item.image)
    random.Random(split.seed).shuffle(shuffled)
    count = 0 if testing else max(0, min(round(test_share * len(shuffled)), len(shuffled) - 1))
    chosen, training = shuffled[:count], shuffled[count:]
    usable = min(folds, len(training))
    notes = []
    if len(training) == 1:
        notes.append("only one case to train on: it has no fold, so nothing can be held out for validation")
    elif usable < folds and training:
        notes.append(f"{len(training)} training cases make {usable} folds, not {folds}")
    if not testing and not count and test_share and len(training) > 1:
        notes.append(f"{len(training)} labelled cases are too few to keep {test_share:.0%} of them for testing")
    with_fold = [(item, index % usable if usable > 1 else None) for index, item in enumerate(training)]
    by_name = sorted(with_fold, key=lambda pair: pair[0].image)
    return by_name, [*testing, *sorted(chosen, key=lambda item: item.image)], notes


def _case(item: _Labelled, fold: int | None, names: Mapping[int, str], partial: bool) -> Case:
    annotated = frozenset(item.values) if partial else frozenset(names)
    return Case(item.image, item.label, fold, annotated, {}, annotated_listed=partial)


def _remarks(
    listed: DataList, labelled: Sequence[_Labelled], given: Mapping[int, str] | None, partial: bool
) -> list[str]:
    notes = []
    occurring = Counter(value for item in labelled for value in item.values)
    unnamed = [value for value in sorted(occurring) if listed.label_names[value] == f"label {value}"]
    if unnamed:
        shown = some_of(unnamed)
        notes.append(f"values without a name: {shown}; they are called 'label N' now, name them with --names")
    absent = [f"{value} '{name}'" for value, name in (given or {}).items() if value not in occurring]
    if absent:
        notes.append(f"named, but in no label map: {some_of(absent)}")
    rare = [value for value, count in occurring.items() if count < len(labelled)]
    if rare and not partial:
        shown = some_of([f"{listed.label_names[value]} (in {occurring[value]})" for value in sorted(rare)])
        notes.append(
            f"not in all of {len(labelled)} label maps: {shown}; where missing they count as absent from the body; "
            "if nobody looked for them there, use --partial"
        )
    bare = len(listed.unlabelled) + len(listed.testing_unlabelled)
    if bare:
        first = (*listed.unlabelled, *listed.testing_unlabelled)[0].image
        notes.append(f"{bare} images have no label map ({first.name}, ...): listed without one")
    return notes
