"""What a data list says: its cases, and the names of their label values."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from openvista.errors import DataListError
from openvista.io.paths import scan_name

SliceRange = tuple[int, int]


@dataclass(frozen=True)
class Case:
    """One labelled scan of a data list.

    Attributes:
        image: the CT file.
        label: the label map on the same grid.
        fold: cross-validation fold, ``None`` where the list has none.
        annotated: label values somebody marked here; any other value is unknown, not absent.
        label_slices: label value to its first and last slice (inclusive) of the file's third axis.
        pseudo_label: a model's label map on the same grid, ``None`` where there is none. Its values are class ids
            of the catalogue, not label values of this list.
        supervoxels: a supervoxel map on the same grid (``label_sv`` in the file), ``None`` where there is none.
        pseudo_label_reliable: ``pseudo_label_reliability`` of the file is not 0.
        annotated_listed: the file itself has ``annotated`` here; otherwise everything named counts as marked.
        extra: fields of the entry that we do not know; kept when the list is written.
    """

    image: Path
    label: Path
    fold: int | None
    annotated: frozenset[int]
    label_slices: dict[int, SliceRange]
    pseudo_label: Path | None = None
    supervoxels: Path | None = None
    pseudo_label_reliable: bool = True
    annotated_listed: bool = True
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        """The image's file name without its image suffix."""
        return scan_name(self.image)

    def marked_classes(self, classes: Mapping[int, int]) -> dict[int, tuple[int, ...]]:
        """Id, rising, and label values of the classes that are known here: those all of whose values somebody marked.

        Args:
            classes: label value to class id.
        """
        by_class: dict[int, list[int]] = {}
        for value, class_id in sorted(classes.items()):
            by_class.setdefault(class_id, []).append(value)
        return {key: tuple(values) for key, values in sorted(by_class.items()) if self.annotated.issuperset(values)}

    def common_slices(self, values: Iterable[int]) -> SliceRange | None:
        """The slices in which each of these label values is known; ``None`` where none of them has a range."""
        ranges = [self.label_slices[value] for value in values if value in self.label_slices]
        if not ranges:
            return None
        return max(first for first, _ in ranges), min(last for _, last in ranges)


@dataclass(frozen=True)
class UnlabelledCase:
    """A scan that nobody labelled, for supervoxels, pseudo-labels or inference. Attributes as in :class:`Case`."""

    image: Path
    fold: int | None = None
    pseudo_label: Path | None = None
    supervoxels: Path | None = None
    pseudo_label_reliable: bool = True
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        """The image's file name without its image suffix."""
        return scan_name(self.image)


AnyCase = Case | UnlabelledCase


@dataclass(frozen=True)
class DataList:
    """A data list, whatever its style (see :func:`openvista.datalist.read_datalist`).

    Attributes:
        path: the JSON file.
        label_names: label value to name, without background.
        training: labelled cases to learn from, by folds.
        testing: labelled cases to score once.
        unlabelled: training entries without a label.
        testing_unlabelled: testing entries without a label.
        label_mapping: label value to class (id or name) where the list itself says so, else empty.
        root: the folder that relative paths start from; ``None`` is the list's own.
        extra: fields of the list that we do not know; kept when it is written.
    """

    path: Path
    label_names: dict[int, str]
    training: tuple[Case, ...]
    testing: tuple[Case, ...]
    unlabelled: tuple[UnlabelledCase, ...] = ()
    testing_unlabelled: tuple[UnlabelledCase, ...] = ()
    label_mapping: Mapping[int, int | str] = field(default_factory=dict)
    root: Path | None = None
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def folder(self) -> Path:
        """Where relative paths of the file start."""
        return self.root or self.path.parent

    @property
    def every_case(self) -> tuple[AnyCase, ...]:
        """Training and testing cases, labelled or not."""
        return (*self.training, *self.unlabelled, *self.testing, *self.testing_unlabelled)

    def split(self, fold: int | None) -> tuple[tuple[Case, ...], tuple[Case, ...]]:
        """Training cases outside ``fold``, and those inside it for validation; ``None`` holds nothing out.

        Raises:
            DataListError: no case has this fold.
        """
        inside = tuple(case for case in self.training if fold is not None and case.fold == fold)
        if fold is not None and not inside:
            folds = sorted({case.fold for case in self.training if case.fold is not None})
            raise DataListError(f"{self.path}: no case has fold {fold}; the list has folds {folds}")
        return tuple(case for case in self.training if fold is None or case.fold != fold), inside

    def changed(self, change: Callable[[AnyCase], AnyCase | None]) -> "DataList":
        """The same list with what ``change`` makes of each case; where that is ``None`` the case is left out."""
        learnt: list[AnyCase] = [*self.training, *self.unlabelled]
        scored: list[AnyCase] = [*self.testing, *self.testing_unlabelled]
        training, unlabelled = by_label(map(change, learnt))
        testing, testing_unlabelled = by_label(map(change, scored))
        return replace(
            self, training=training, testing=testing, unlabelled=unlabelled, testing_unlabelled=testing_unlabelled
        )

    def naming(self, names: Mapping[int, str]) -> "DataList":
        """The same list with names for values it does not name itself, as in lists of image and label alone.

        Cases without ``annotated`` of their own count as marked for these values too.
        """
        complete = dict(names) | self.label_names

        def named(case: AnyCase) -> AnyCase:
            if isinstance(case, Case) and not case.annotated_listed:
                return replace(case, annotated=frozenset(complete))
            return case

        return replace(self.changed(named), label_names=complete)


def by_label(cases: Iterable[AnyCase | None]) -> tuple[tuple[Case, ...], tuple[UnlabelledCase, ...]]:
    """Those with a label map and those without, each in the order given; ``None`` is left out."""
    every = list(cases)
    labelled = tuple(case for case in every if isinstance(case, Case))
    return labelled, tuple(case for case in every if isinstance(case, UnlabelledCase))


def some_of(items: Iterable[object], most: int = 8) -> str:
    """The first few, separated by commas, and how many more there are: for messages of one line."""
    texts = [str(item) for item in items]
    return ", ".join(texts[:most]) + (f" and {len(texts) - most} more" if len(texts) > most else "")
