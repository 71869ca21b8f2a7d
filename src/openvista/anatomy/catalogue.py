"""The 132 official classes: which are supported, which belong to "everything", which are groups or special.

``classes.csv`` has a row for each. Ids and names are those of the published VISTA3D label dictionary and bundle
metadata, which agree on all 132. Colours are ours, fixed once: no two are alike, the right of a pair is the darker
shade of the left. SNOMED CT codes are in the table of :mod:`openvista.anatomy.codes`. Aliases, separated by "; ", are
names that differ by more than case, separators, plural, word order or spelling, which
:mod:`openvista.anatomy.spelling` sees through.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from openvista.anatomy.codes import structure_code

TABLE = Path(__file__).with_name("classes.csv")

LAST_OFFICIAL_ID = 132
"""Ids above this one are a model's own classes, or unseen ones (paper facts §1)."""

UNSUPPORTED_IDS: tuple[int, ...] = (16, 18, 129, 130, 131)
"""In the official list, but no official model was trained on them (paper facts §1)."""

GROUPS: Mapping[int, tuple[int, ...]] = MappingProxyType(
    {
        2: (14, 5),
        20: (28, 29, 30, 31, 32),
        21: (*range(33, 57), *range(63, 98), 114, 120, 122),
    }
)
"""Kidney, lung and bone: prompts that are replaced by their parts (paper facts §1)."""

SPECIAL_IDS: tuple[int, ...] = (23, 24, 25, 26, 27, 57, 128)
"""Classes whose clicks have an embedding of their own (paper facts §1; MONAI's own transform lists others, wrongly)."""

INCLUDED_IDS: Mapping[int, tuple[int, ...]] = MappingProxyType({1: (25, 26), 4: (24,), 132: (57,), **GROUPS})
"""Classes whose truth includes that of others, in training and for simulated clicks (paper facts §1): the liver its
vessels and tumour, the pancreas its tumour, the airway the trachea, a group its parts."""

ONE_PIECE_IDS: tuple[int, ...] = (1, 3, 5, 8, 9, 10, 11, 14, 15, 22, *range(33, 58), 97, 108, 115, 118, 121, 122, 127)
"""Classes that are one connected thing, also where a scan ends in the middle of them: parenchymal organs, heart,
brain, esophagus, trachea, spinal cord, single vertebrae, sternum. Not here: what bends out of a scan and back (bowel,
stomach, vessels), what may be in two halves (thyroid), long thin bones that a coarse model may break, lesions."""

SUPPORTED_IDS: tuple[int, ...] = tuple(i for i in range(1, LAST_OFFICIAL_ID + 1) if i not in UNSUPPORTED_IDS)
"""The 127 classes an official model answers to."""

_OVERLAPPING_IDS = (*GROUPS, 23, 24, 25, 26, 27, 128, 132)
EVERYTHING_IDS: tuple[int, ...] = tuple(i for i in SUPPORTED_IDS if i not in _OVERLAPPING_IDS)
"""The 117 classes of "segment everything": no group, and no lesion, hepatic vessel or airway, which overlap organs."""


@dataclass(frozen=True)
class AnatomyClass:
    """One thing that can be named.

    Attributes:
        id: 1..132 for the official list, above it for a model's own classes.
        name: official name, or what the model's card says.
        supported: whether an official model (or, above 132, the model that brings the class) was trained on it.
        special: whether its clicks have an embedding of their own.
        group: what to list it under, such as "digestive system"; None for a model's own classes.
        aliases: other names, apart from those that differ in case, separators, plural, order or spelling.
        colour: red, green, blue, 0..255.
        snomed: SNOMED CT code of the structure, side not included; None for lesions and where not certain.
    """

    id: int
    name: str
    supported: bool
    special: bool
    group: str | None
    aliases: tuple[str, ...]
    colour: tuple[int, int, int]
    snomed: str | None


def _class_of(row: Mapping[str, str]) -> AnatomyClass:
    class_id, (red, green, blue) = int(row["id"]), bytes.fromhex(row["colour"].removeprefix("#"))
    return AnatomyClass(
        id=class_id,
        name=row["name"],
        supported=class_id not in UNSUPPORTED_IDS,
        special=class_id in SPECIAL_IDS,
        group=row["group"],
        aliases=tuple(row["aliases"].split("; ")) if row["aliases"] else (),
        colour=(red, green, blue),
        snomed=structure_code(row["name"]),
    )


def _read_table() -> dict[int, AnatomyClass]:
    with TABLE.open(newline="", encoding="utf-8") as file:
        return {item.id: item for item in map(_class_of, csv.DictReader(file))}


CATALOGUE: Mapping[int, AnatomyClass] = MappingProxyType(_read_table())
"""Every official class by id, in order of id."""
