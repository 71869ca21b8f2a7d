"""The classes of NV-Segment-CTMR, which answers for CT and MR: which prompts it takes, and what "all" is.

``ctmr.csv`` has a row for each of its 345 indices. Names, deprecated names and the kind of image a class was seen in
are those of its published ``configs/metadata.json`` and ``configs/label_dict.json`` (without the word "(deprecated)" in
names); the first 132 are the official classes. Aliases, separated by "; ", are ours.
"""

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from openvista.anatomy.catalogue import EVERYTHING_IDS, LAST_OFFICIAL_ID
from openvista.errors import InputError

TABLE = Path(__file__).with_name("ctmr.csv")

FAMILY = "ctmr"
"""What cards call models of this kind."""

CT_BODY, MRI_BODY, MRI_BRAIN = MODALITIES = ("CT_BODY", "MRI_BODY", "MRI_BRAIN")
"""Kinds of image, as the original names them."""

REFUSED_IDS: tuple[int, ...] = (16, *range(129, 132), 133, *range(137, 146), 162)
"""Indices that the original's evaluator refuses. 155 is called deprecated, too, but is accepted (ctmr facts §3)."""

EVERYTHING: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {
        CT_BODY: EVERYTHING_IDS,
        MRI_BODY: (
            *(9, 8, 6, 104, 105, 22, 91, 92, 62, 13, 11, 93, 94, 10, 98, 99, 100, 101, 102, 103, 115, 95, 96, 87, 88),
            *(58, 59, 60, 61, 106, 107, 7, 134, 14, 5, 1, 135, 136, 4, 17, 118, 97, 89, 90, 19, 121, 3, 12, 15, 146),
        ),
        MRI_BRAIN: tuple(range(214, 346)),
    }
)
"""What "all" asks for: the 117 classes of the CT model; the classes of TotalSegmentator's MR task; those of LUMIR, in
their order (ctmr facts §3)."""


@dataclass(frozen=True)
class CtmrClass:
    """One index.

    Attributes:
        id: 1..345.
        name: as published.
        deprecated: the published name says so.
        seen_in: "CT", "MRI", both or neither: the images of training that had it.
        aliases: other names of ours; for ids above 132.
    """

    id: int
    name: str
    deprecated: bool
    seen_in: frozenset[str]
    aliases: tuple[str, ...]


def _class_of(row: Mapping[str, str]) -> CtmrClass:
    aliases = tuple(row["aliases"].split("; ")) if row["aliases"] else ()
    return CtmrClass(
        int(row["id"]), row["name"], row["deprecated"] == "yes", frozenset(row["seen_in"].split()), aliases
    )


def _read_table() -> dict[int, CtmrClass]:
    with TABLE.open(newline="", encoding="utf-8") as file:
        return {item.id: item for item in map(_class_of, csv.DictReader(file))}


CTMR: Mapping[int, CtmrClass] = MappingProxyType(_read_table())
"""Every index in order."""

ACCEPTED_IDS: tuple[int, ...] = tuple(id_ for id_ in CTMR if id_ not in REFUSED_IDS)
"""The 330 that can be asked for."""


def card_classes(class_rows: int) -> dict[str, object]:
    """What the card of such a model says of its classes: its fields by name.

    Args:
        class_rows: of its table of embeddings; a class is a row.
    """
    ids = [id_ for id_ in ACCEPTED_IDS if id_ < class_rows]
    own = [CTMR[id_] for id_ in ids if id_ > LAST_OFFICIAL_ID]
    return {
        "classes": tuple(id_ for id_ in ids if id_ <= LAST_OFFICIAL_ID),
        "extra_classes": {item.id: item.name for item in own},
        "extra_aliases": {item.id: item.aliases for item in own if item.aliases},
    }


def known_modality(text: str) -> str:
    """A modality as it is called here; case, "-" and "_" do not matter.

    Raises:
        InputError: there is no such modality.
    """
    found = text.upper().replace("-", "_")
    if found not in MODALITIES:
        raise InputError(f"no modality {text!r}: there is {', '.join(MODALITIES)}")
    return found


def unseen(class_ids: Iterable[int], modality: str) -> list[int]:
    """Those of some classes that no image of this kind had in training."""
    kind = modality.partition("_")[0]
    return [id_ for id_ in class_ids if id_ in CTMR and kind not in CTMR[id_].seen_in]
