"""How well two label maps of one scan agree, structure by structure; neither of them is the truth."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from openvista.anatomy.catalogue import CATALOGUE
from openvista.anatomy.spelling import NameIndex
from openvista.errors import AnatomyError
from openvista.geometry.box import Box
from openvista.geometry.grid import Grid
from openvista.metrics.masks import measure_masks

Labels = NDArray[np.unsignedinteger]
Names = Mapping[int, str]
_LISTED = 5


@dataclass(frozen=True)
class StructureAgreement:
    """One structure in two label maps. ``None`` is what cannot be said: of a structure that one of them does not name.

    Attributes:
        name: as the first map has it, or else the second.
        first_id, second_id: its values in the two maps.
        first_ml, second_ml: volumes.
        dice: overlap, 0..1; 0 where one of them names it and has no voxel of it.
        hd95_mm: 95th percentile of the distances between the surfaces, the worse direction; ``None`` without voxels.
    """

    name: str
    first_id: int | None
    second_id: int | None
    first_ml: float | None
    second_ml: float | None
    dice: float | None
    hd95_mm: float | None


def compare_label_maps(
    first_XYZ: Labels, first_names: Names, second_XYZ: Labels, second_names: Names, grid: Grid
) -> list[StructureAgreement]:
    """One entry for each structure that either map has voxels of: those of the first in order of id, then the rest.

    Two names are one where their letters agree (any case) or an official class is called by both, such as
    "kidney_left" and "left kidney".

    Args:
        first_XYZ, second_XYZ: ids, on one grid.
        first_names, second_names: what the ids are; others are left out.
        grid: of both.

    Raises:
        AnatomyError: no structure is named in both.
    """
    boxes = _boxes(first_XYZ), _boxes(second_XYZ)
    pairs = [
        (first, second)
        for first, second in _pairs(first_names, second_names)
        if first in boxes[0] or second in boxes[1]
    ]
    if all(None in pair for pair in pairs):
        raise AnatomyError(
            f"no structure is named in both segmentations: one has {_listed(first_names, boxes[0])}, "
            f"the other {_listed(second_names, boxes[1])}"
        )
    return [_compare((first_XYZ, second_XYZ), (first_names, second_names), pair, boxes, grid) for pair in pairs]


def _compare(
    labels: tuple[Labels, Labels],
    names: tuple[Names, Names],
    pair: tuple[int | None, int | None],
    boxes: tuple[dict[int, Box], dict[int, Box]],
    grid: Grid,
) -> StructureAgreement:
    name = next(known[key] for known, key in zip(names, pair, strict=True) if key is not None)
    box = Box.hull(known[key] for known, key in zip(boxes, pair, strict=True) if key in known)
    masks = [
        np.zeros(box.shape, bool) if key is None else labels_XYZ[box.slices()] == key
        for labels_XYZ, key in zip(labels, pair, strict=True)
    ]
    first_ml, second_ml = (
        None if key is None else int(np.count_nonzero(mask)) * grid.voxel_ml
        for key, mask in zip(pair, masks, strict=True)
    )
    # neither is the truth: one with voxels stands for it, as without any nothing could be said
    truth, other = masks if masks[0].any() else masks[::-1]
    found = measure_masks(truth, other, grid)
    return StructureAgreement(
        name,
        first_id=pair[0],
        second_id=pair[1],
        first_ml=first_ml,
        second_ml=second_ml,
        dice=None if None in pair else found.dice,
        hd95_mm=None if math.isnan(found.hd95_mm) else found.hd95_mm,
    )


def _boxes(labels_XYZ: Labels) -> dict[int, Box]:
    """The boxes around all ids that occur."""
    from scipy.ndimage import find_objects  # slow to load, and scan.py leads here

    found = enumerate(find_objects(labels_XYZ), start=1)
    return {key: Box.of_slices(sides) for key, sides in found if sides is not None}


def _pairs(first: Names, second: Names) -> Iterator[tuple[int | None, int | None]]:
    """Ids that mean the same, and those of the two that have no partner; every id once."""
    left = dict(second)
    partners: dict[int, int] = {}
    for meaning in (str.casefold, _class_of):
        known = {meaning(name): key for key, name in reversed(left.items())}
        for key, name in first.items():
            found = known.get(meaning(name)) if key not in partners else None
            if found in left and found is not None:
                partners[key] = found
                del left[found]
    yield from ((key, partners.get(key)) for key in sorted(first))
    yield from ((None, key) for key in sorted(left))


def _class_of(name: str) -> int | str:
    """The official class that is called so; else the name itself."""
    return _official().find(name) or name.casefold()


@cache
def _official() -> NameIndex:
    return NameIndex(CATALOGUE.values())


def _listed(names: Names, present: Mapping[int, Box]) -> str:
    found = [names[key] for key in sorted(names) if key in present]
    more = f" and {len(found) - _LISTED} more" if len(found) > _LISTED else ""
    return ", ".join(found[:_LISTED]) + more if found else "nothing"
