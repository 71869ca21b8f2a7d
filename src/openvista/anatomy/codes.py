"""SNOMED CT codes of structures, as DICOM objects state them: what kind of thing, what, which side, in which organ.

``codes.csv`` has a row for each structure, without its side, which DICOM states as a modifier; ``side_in_code`` says
that the code itself means one side. A lesion is coded as what it is, and where. Codes are those of DICOM's context
groups as in pydicom's concept dictionary, which a test compares. Those that are not in it, and the category, are as in
the table of TotalSegmentator, which 3D Slicer and dcmqi know; ribs and S1 are in HL7's table for radiotherapy too.
What has no row is coded as tissue, and its name tells the rest.
"""

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

CODES = Path(__file__).with_name("codes.csv")


@dataclass(frozen=True)
class Code:
    """A concept of SNOMED CT: its identifier, and what it means in English."""

    value: str
    meaning: str


STRUCTURE = Code("123037004", "Anatomical Structure")
LESION = Code("49755003", "Morphologically Abnormal Structure")
TISSUE = Code("85756007", "Tissue")
LEFT, RIGHT = Code("7771000", "Left"), Code("24028007", "Right")
"""DICOM PS3.16, context group 244."""

_SIDES = {"left": LEFT, "l": LEFT, "lt": LEFT, "right": RIGHT, "r": RIGHT, "rt": RIGHT}
_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True)
class StructureCodes:
    """How DICOM says what a structure is.

    Attributes:
        category: anatomical structure, lesion or tissue.
        type: what it is.
        side: modifier of the type; None where the structure has no side, or the type says it.
        region: the organ that a lesion or vessel lies in.
        region_side: modifier of the region.
    """

    category: Code
    type: Code
    side: Code | None = None
    region: Code | None = None
    region_side: Code | None = None

    @property
    def is_lesion(self) -> bool:
        return self.category == LESION


UNKNOWN = StructureCodes(TISSUE, TISSUE)


def codes_for(name: str) -> StructureCodes:
    """The codes of a structure by its name: case, separators and the order of words do not matter.

    Returns:
        :data:`UNKNOWN` where the table has no such name.
    """
    words = _WORD.findall(name.casefold())
    sides = {_SIDES[word] for word in words if word in _SIDES}
    row = _table().get(frozenset(word for word in words if word not in _SIDES))
    if row is None or len(sides) > 1:
        return UNKNOWN
    side = sides.pop() if sides else None
    if row["side_in_code"]:
        wanted = _SIDES[row["side_in_code"]]
        return _codes_of(row, None) if side == wanted else UNKNOWN
    return _codes_of(row, side)


def structure_code(name: str) -> str | None:
    """SNOMED CT code of an anatomical structure, its side not included; None for lesions and what has no row."""
    codes = codes_for(name)
    return codes.type.value if codes.category == STRUCTURE else None


def _codes_of(row: Mapping[str, str], side: Code | None) -> StructureCodes:
    concept = Code(row["code"], row["meaning"])
    region = Code(row["region"], row["region_meaning"]) if row["region"] else None
    if row["category"] == "lesion":
        return StructureCodes(LESION, concept, None, region, side)
    return StructureCodes(STRUCTURE, concept, side, region)


@cache
def _table() -> Mapping[frozenset[str], Mapping[str, str]]:
    """Rows by the words of each name."""
    found: dict[frozenset[str], Mapping[str, str]] = {}
    with CODES.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            for name in (row["name"], *filter(None, row["also"].split("; "))):
                found[frozenset(_WORD.findall(name.casefold()))] = row
    return MappingProxyType(found)
