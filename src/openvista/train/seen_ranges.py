"""What training saw of each class: measured on cases that a run reads anyway, or on a data list for a model that is
there already."""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from openvista.datalist import Case, map_labels, read_datalist
from openvista.errors import DataListError, GridError, ScanError
from openvista.geometry.grid import Grid, triple
from openvista.network import Preset
from openvista.plausibility import ClassRanges, Gathered, Shape, shapes
from openvista.train.cases import LabelUse, TrainingCase, load_case
from openvista.weights import ModelCard

logger = logging.getLogger(__name__)

MOST_MEASURED = 200
"""Cases that are measured, evenly spread over a longer list; ranges hardly change with more."""
_BORDER = 1
"""Voxels of the model grid: what comes so near to its end may touch the end of the scan, which lies between two."""


def seen_ranges(cases: Sequence[TrainingCase], hu_window: tuple[float, float]) -> dict[int, ClassRanges]:
    """Ranges by class id, of what people marked in training cases.

    Args:
        cases: on the model grid.
        hu_window: the preset's.
    """
    if len(cases) > MOST_MEASURED:
        cases = [cases[number * len(cases) // MOST_MEASURED] for number in range(MOST_MEASURED)]
    return _gathered(cases, hu_window)


def listed_ranges(
    card: ModelCard,
    datalist: Path,
    mapping: Sequence[str] = (),
    only_in_slices: str = "",
    roots: Mapping[str, Path] | None = None,
) -> dict[int, ClassRanges]:
    """Ranges by class id, of the training cases of a data list; its testing cases are not read.

    Args:
        card: of the model whose classes, spacing and HU window count.
        datalist: the list.
        mapping: "LABEL=CLASS", as :func:`openvista.datalist.map_labels` takes them.
        only_in_slices: names of classes that were marked along a part of their length only, separated by commas.
        roots: folders that the list's paths start from, as arguments of :func:`openvista.datalist.read_datalist`.

    Raises:
        AnatomyError, DataListError: a class that the model does not know; or no case can be used.
    """
    listed = read_datalist(datalist, must_exist=False, **(roots or {}))
    vocabulary = card.vocabulary()
    known = map_labels(listed, mapping, vocabulary)
    limited = frozenset(vocabulary.expand(only_in_slices)) if only_in_slices else frozenset()
    use = LabelUse({value: key for value, key in known.classes.items() if key in card.class_ids}, limited)
    ranges = _gathered(_readable(listed.training, card.preset(), use), card.hu_window)
    if not ranges:
        raise DataListError(f"{datalist}: no training case shows a class of model {card.name!r}")
    return ranges


def _readable(cases: Iterable[Case], preset: Preset, use: LabelUse) -> Iterator[TrainingCase]:
    for case in cases:
        try:
            yield load_case(case, preset, use)
        except (ScanError, GridError, DataListError) as error:
            logger.warning("skipped %s: %s", case.name, error)


def _gathered(cases: Iterable[TrainingCase], hu_window: tuple[float, float]) -> dict[int, ClassRanges]:
    gathered = Gathered()
    for case in cases:
        gathered.cases.append(_shapes_of(case, hu_window))
        gathered.open_ended |= case.known.keys()
    return gathered.ranges()


def _shapes_of(case: TrainingCase, hu_window: tuple[float, float]) -> dict[int, Shape]:
    """Of what people marked; a pseudo-label is another network's result."""
    low, high = hu_window
    grid = Grid(triple(case.labels_XYZ.shape), np.diag([*case.spacing, 1.0]))
    hu_XYZ = low + (high - low) * case.image_XYZ.float().numpy()
    return shapes(case.labels_XYZ.numpy(), grid, hu_XYZ, set(case.annotated) - case.pseudo, hu_window, _BORDER)
