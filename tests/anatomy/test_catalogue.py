"""The official list: counts, groups, and facts that must never drift."""

import itertools

from openvista.anatomy.catalogue import (
    CATALOGUE,
    EVERYTHING_IDS,
    GROUPS,
    LAST_OFFICIAL_ID,
    SPECIAL_IDS,
    SUPPORTED_IDS,
    TABLE,
)
from openvista.anatomy.spelling import NameIndex, labels_of


def test_ids_run_from_1_to_132_without_gap_or_repeat() -> None:
    rows = TABLE.read_text(encoding="utf-8").splitlines()[1:]
    assert [int(row.split(",")[0]) for row in rows] == list(range(1, LAST_OFFICIAL_ID + 1))
    assert list(CATALOGUE) == list(range(1, 133))
    assert all(class_id == item.id for class_id, item in CATALOGUE.items())


def test_127_are_supported() -> None:
    assert len(SUPPORTED_IDS) == 127
    assert {i for i, item in CATALOGUE.items() if not item.supported} == {16, 18, 129, 130, 131}


def test_everything_is_117() -> None:
    left_out = {2, 16, 18, 20, 21, 23, 24, 25, 26, 27, 128, 129, 130, 131, 132}
    assert sorted(EVERYTHING_IDS) == sorted(set(range(1, 133)) - left_out)
    assert len(EVERYTHING_IDS) == 117


def test_groups() -> None:
    assert {CATALOGUE[i].name for i in GROUPS} == {"kidney", "lung", "bone"}
    assert {CATALOGUE[i].name for i in GROUPS[2]} == {"left kidney", "right kidney"}
    assert [CATALOGUE[i].name for i in GROUPS[20]] == [
        "left lung upper lobe",
        "left lung lower lobe",
        "right lung upper lobe",
        "right lung middle lobe",
        "right lung lower lobe",
    ]
    bone_like = ("vertebrae", "rib", "humerus", "scapula", "clavicula", "femur", "hip", "sacrum")
    bone_like += ("costal", "skull", "sternum")
    expected = {i for i in SUPPORTED_IDS if any(word in CATALOGUE[i].name.split() for word in bone_like)}
    assert set(GROUPS[21]) == expected - {127}, "S1 belongs to the sacrum and is not in the official group"
    assert len(GROUPS[21]) == len(set(GROUPS[21])) == 24 + 35 + 3


def test_special_classes_are_the_lesions_hepatic_vessel_and_trachea() -> None:
    assert SPECIAL_IDS == (23, 24, 25, 26, 27, 57, 128)
    assert [CATALOGUE[i].name for i in SPECIAL_IDS] == [
        "lung tumor",
        "pancreatic tumor",
        "hepatic vessel",
        "hepatic tumor",
        "colon cancer primaries",
        "trachea",
        "bone lesion",
    ]
    assert {i for i, item in CATALOGUE.items() if item.special} == set(SPECIAL_IDS)


def test_spot_checks_of_ids_that_are_often_confused() -> None:
    expected = {
        117: "right kidney cyst",
        118: "prostate",
        127: "vertebrae S1",
        132: "airway",
        33: "vertebrae L5",
        56: "vertebrae C1",
        63: "left rib 1",
        86: "right rib 12",
        5: "right kidney",
        14: "left kidney",
        8: "right adrenal gland",
        9: "left adrenal gland",
    }
    assert {i: CATALOGUE[i].name for i in expected} == expected


def test_names_are_unique_and_no_alias_means_two_classes() -> None:
    assert len({item.name for item in CATALOGUE.values()}) == 132
    index = NameIndex(CATALOGUE.values())  # raises on a clash
    for item in CATALOGUE.values():
        for label in labels_of(item):
            assert index.find(label) == item.id, label
            assert index.find("".join(label.split())) == item.id, f"{label} written as one word"


def test_aliases_are_clean() -> None:
    for item in CATALOGUE.values():
        for alias in item.aliases:
            assert alias == alias.strip() != ""
            assert "," not in alias, "a comma separates classes on the command line"


def test_every_left_has_its_right_with_the_same_alias_count_and_code() -> None:
    by_name = {item.name: item for item in CATALOGUE.values()}
    one_sided = {"left atrial appendage", "left lung lower lobe", "left lung upper lobe"}
    lefts = [item for item in by_name.values() if "left" in item.name.split() and item.name not in one_sided]
    assert len(lefts) == 30
    for left in lefts:
        right = by_name[left.name.replace("left", "right")]
        assert right.aliases == tuple(alias.replace("left", "right") for alias in left.aliases)
        assert right.snomed == left.snomed
        assert right.group == left.group


# Verhoeff's check digit, which ends every SNOMED CT identifier.
_TIMES = [
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
    [1, 2, 3, 4, 0, 6, 7, 8, 9, 5],
    [2, 3, 4, 0, 1, 7, 8, 9, 5, 6],
    [3, 4, 0, 1, 2, 8, 9, 5, 6, 7],
    [4, 0, 1, 2, 3, 9, 5, 6, 7, 8],
    [5, 9, 8, 7, 6, 0, 4, 3, 2, 1],
    [6, 5, 9, 8, 7, 1, 0, 4, 3, 2],
    [7, 6, 5, 9, 8, 2, 1, 0, 4, 3],
    [8, 7, 6, 5, 9, 3, 2, 1, 0, 4],
    [9, 8, 7, 6, 5, 4, 3, 2, 1, 0],
]
_SHUFFLE = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4]


def _verhoeff_remainder(code: str) -> int:
    remainder = 0
    for position, character in enumerate(reversed(code)):
        digit = int(character)
        for _ in range(position % 8):
            digit = _SHUFFLE[digit]
        remainder = _TIMES[remainder][digit]
    return remainder


def test_snomed_codes_are_well_formed() -> None:
    coded = [item for item in CATALOGUE.values() if item.snomed is not None]
    assert len(coded) > 100
    for item in coded:
        assert item.snomed is not None
        assert item.snomed.isdecimal()
        assert _verhoeff_remainder(item.snomed) == 0, f"{item.name}: {item.snomed} holds a wrong digit"


def test_one_snomed_code_means_one_structure_apart_from_its_side() -> None:
    def sideless(name: str) -> tuple[str, ...]:
        return tuple(word for word in name.split() if word not in ("left", "right"))

    coded = [item for item in CATALOGUE.values() if item.snomed is not None]
    for one, other in itertools.combinations(coded, 2):
        assert (one.snomed == other.snomed) == (sideless(one.name) == sideless(other.name)), (one.name, other.name)
