"""What a model's card may say about its classes."""

import pytest

from openvista.anatomy.catalogue import CATALOGUE
from openvista.anatomy.colours import colour_for, right_of
from openvista.anatomy.model_classes import known_classes
from openvista.errors import AnatomyError


def test_catalogue_entries_then_own_classes_by_id() -> None:
    known = known_classes({121, 11}, {140: "tumour bed", 133: "brainstem"}, {})
    assert list(known) == [11, 121, 133, 140]
    assert known[11] is CATALOGUE[11]
    own = known[133]
    assert (own.name, own.supported, own.special, own.group, own.snomed) == ("brainstem", True, False, None, None)
    assert own.colour == colour_for(133)


def test_own_ids_may_be_listed_twice() -> None:
    assert list(known_classes({11, 133}, {133: "brainstem"}, {})) == [11, 133]


def test_aliases_are_added_to_official_and_own_classes() -> None:
    known = known_classes({11}, {133: "brainstem"}, {11: ["foodpipe", "gullet"], 133: ["truncus"]})
    assert known[11].aliases == ("oesophagus", "gullet", "foodpipe")
    assert known[133].aliases == ("truncus",)


def test_a_right_structure_takes_a_shade_of_its_left_twin_wherever_it_stands() -> None:
    known = known_classes(set(), {134: "right parotid", 135: "left parotid", 136: "right submandibular"}, {})
    assert known[135].colour == colour_for(135)
    assert known[134].colour == right_of(colour_for(135))
    assert known[136].colour == colour_for(136), "no twin"


@pytest.mark.parametrize(
    ("ids", "extra", "aliases", "message"),
    [
        ({133}, {}, {}, "class id 133 has no name"),
        ({0}, {}, {}, "class id 0 has no name"),
        (set(), {132: "airways"}, {}, "own class 'airways' has id 132"),
        (set(), {133: "tumor, necrotic"}, {}, "cannot be called 'tumor, necrotic'"),
        (set(), {133: "7"}, {}, "cannot be called '7'"),
        (set(), {133: "All"}, {}, "cannot be called 'All'"),
        ({1}, {}, {1: ["everything"]}, "cannot be called 'everything'"),
        ({1}, {}, {3: ["milt"]}, "aliases for class id 3, which the model does not know: milt"),
        ({1}, {}, {1: "hepar"}, "must be a list of names, not 'hepar'"),
    ],
)
def test_impossible_cards(ids: set[int], extra: dict[int, str], aliases: dict[int, list[str]], message: str) -> None:
    with pytest.raises(AnatomyError, match=message) as caught:
        known_classes(ids, extra, aliases)
    assert "\n" not in str(caught.value)
