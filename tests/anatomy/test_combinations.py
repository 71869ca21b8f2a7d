"""Structures that become one."""

import pytest

from openvista.anatomy import official_vocabulary
from openvista.anatomy.combinations import COMBINATIONS, Combination, combinations
from openvista.errors import AnatomyError

VOCABULARY = official_vocabulary()
EVERYTHING = VOCABULARY.expand("all")


def test_known_ones_in_any_spelling():
    found = combinations(["Lung", "vertebrae", "rib"], VOCABULARY, EVERYTHING)
    assert found[0] == Combination(20, "lung", (28, 29, 30, 31, 32))
    assert (found[1].id, found[1].name, len(found[1].parts)) == (33, "vertebrae", 25)
    assert (found[2].id, found[2].name, len(found[2].parts)) == (63, "ribs", 24)
    assert combinations(["lung_left"], VOCABULARY, EVERYTHING) == [Combination(28, "left lung", (28, 29))]


def test_parts_have_the_side_and_kind_that_the_name_says():
    for name, parts in COMBINATIONS.items():
        names = [VOCABULARY.name(part) for part in parts]
        for side in {"left", "right"} & set(name.split()):
            assert all(side in part.split() for part in names), name
        if name in ("vertebrae", "ribs"):
            assert all(name.rstrip("s") in part for part in names)
    assert {VOCABULARY.name(part) for part in COMBINATIONS["pelvis"]} == {"left hip", "right hip", "sacrum"}


def test_own_ones():
    found = combinations(["upper body=liver+left kidney"], VOCABULARY, [1, 14, 3])
    assert found == [Combination(1, "upper body", (1, 14))]
    assert combinations(["x=liver+spleen"], VOCABULARY, [3]) == [Combination(3, "x", (3,))]


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (["torso"], "no combination 'torso': there is kidney, lung"),
        (["x=lever"], "liver"),
        (["lung"], "none of its parts is among the classes asked for"),
        (["kidney", "x=left kidney+liver"], "kidney and x share left kidney"),
    ],
)
def test_refused(texts, words):
    with pytest.raises(AnatomyError, match=words):
        combinations(texts, VOCABULARY, [1, 5, 14])
