"""Codes mean what the table says, by DICOM's own dictionary, and no side is swapped."""

import csv

import pytest
from pydicom.sr._concepts_dict import concepts

from openvista.anatomy import CATALOGUE
from openvista.anatomy.codes import (
    CODES,
    LEFT,
    LESION,
    RIGHT,
    STRUCTURE,
    TISSUE,
    UNKNOWN,
    Code,
    codes_for,
)

MEANINGS: dict[str, set[str]] = {}
for entries in concepts["SCT"].values():
    for code, (meaning, _) in entries.items():
        MEANINGS.setdefault(code, set()).add(meaning.casefold())

NOT_IN_DICOM = {
    "Portal vein and splenic vein",
    "Gluteus maximus muscle",
    "Gluteus medius muscle",
    "Gluteus minimus muscle",
    "Deep muscle of back",
    "Iliopsoas muscle",
    "S1 vertebra",
    *(f"{order} rib" for order in ("First", "Second", "Third", "Fourth", "Fifth", "Sixth")),
    *(f"{order} rib" for order in ("Seventh", "Eighth", "Ninth", "Tenth", "Eleventh", "Twelfth")),
}
"""In the tables of TotalSegmentator (all) and of HL7's CodeX radiotherapy guide (ribs, S1), not in DICOM's."""

ROWS = list(csv.DictReader(CODES.open(newline="", encoding="utf-8")))


def test_every_code_has_the_meaning_that_dicom_gives_it():
    stated = [Code(row["code"], row["meaning"]) for row in ROWS]
    stated += [Code(row["region"], row["region_meaning"]) for row in ROWS if row["region"]]
    for code in [*stated, LEFT, RIGHT, LESION, TISSUE]:
        if code.meaning in NOT_IN_DICOM:
            assert code.value not in MEANINGS
        else:
            assert code.meaning.casefold() in MEANINGS[code.value]


def test_the_category_of_structures_is_the_one_that_slicer_and_totalsegmentator_write():
    assert Code("123037004", "Anatomical Structure") == STRUCTURE
    assert "body structure (body structure)" in MEANINGS[STRUCTURE.value]


def test_left_and_right_are_not_swapped():
    assert CATALOGUE[5].name == "right kidney"
    assert codes_for(CATALOGUE[5].name).side == RIGHT == Code("24028007", "Right")
    assert CATALOGUE[14].name == "left kidney"
    assert codes_for(CATALOGUE[14].name).side == LEFT == Code("7771000", "Left")
    for item in CATALOGUE.values():
        codes = codes_for(item.name)
        sides = {codes.side, codes.region_side} - {None}
        if "left" in codes.type.meaning.casefold() or "right" in codes.type.meaning.casefold():
            assert not sides, item.name
            assert ("left" in item.name) == ("left" in codes.type.meaning.casefold())
        else:
            expected = LEFT if "left" in item.name.split() else RIGHT if "right" in item.name.split() else None
            assert sides == ({expected} if expected else set()), item.name


def test_all_official_classes_but_one_have_a_code():
    assert [item.name for item in CATALOGUE.values() if codes_for(item.name) == UNKNOWN] == ["prostate or uterus"]


def test_lesions_say_what_they_are_and_where():
    cyst = codes_for("right kidney cyst")
    assert (cyst.category, cyst.type.meaning, cyst.side) == (LESION, "Cyst", None)
    assert (cyst.region, cyst.region_side) == (Code("64033007", "Kidney"), RIGHT)
    lesions = {item.name for item in CATALOGUE.values() if codes_for(item.name).is_lesion}
    assert lesions == {item.name for item in CATALOGUE.values() if item.group == "lesions"}


@pytest.mark.parametrize("name", ["kidney_left", "Left Kidney", "KIDNEY L", "kidney-lt"])
def test_spellings_do_not_matter(name):
    assert codes_for(name) == codes_for("left kidney")


@pytest.mark.parametrize("name", ["parotid_left", "larynx", "mandible", "brain stem", "Brainstem", "urinary_bladder"])
def test_a_models_own_names_are_found(name):
    assert codes_for(name).category == STRUCTURE


@pytest.mark.parametrize("name", ["", "thing", "left right kidney", "left lung middle lobe"])
def test_what_nobody_knows_is_tissue(name):
    assert codes_for(name) == UNKNOWN


def test_no_two_rows_share_a_name():
    names = [name for row in ROWS for name in (row["name"], *filter(None, row["also"].split("; ")))]
    assert len({frozenset(name.split()) for name in names}) == len(names)
