"""Suggestions: what somebody most likely meant comes first."""

import pytest

from openvista.anatomy.catalogue import CATALOGUE
from openvista.anatomy.name_index import labels_of
from openvista.anatomy.suggest import nearest

LABELS = {class_id: labels_of(item) for class_id, item in CATALOGUE.items()}


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("livr", "liver"),
        ("pancras", "pancreas"),
        ("speen", "spleen"),
        ("kidny left", "left kidney"),
        ("gal blader", "gallbladder"),
        ("right colar bone", "right clavicula"),
        ("left lung", "left lung upper lobe"),
        ("vertebra t13", "vertebrae T1"),
    ],
)
def test_the_meant_one_is_among_the_three(typed: str, meant: str) -> None:
    found = nearest(typed, LABELS)
    assert len(found) == len(set(found)) == 3
    assert meant in [CATALOGUE[class_id].name for class_id in found]


def test_a_slip_of_one_letter_puts_the_meant_one_first() -> None:
    for class_id, item in CATALOGUE.items():
        middle = len(item.name) // 2
        if item.name[middle].isalpha() and item.name[middle - 1].isalpha():
            assert nearest(item.name[:middle] + item.name[middle + 1 :], LABELS)[0] == class_id, item.name


def test_fewer_labels_than_asked_for() -> None:
    assert nearest("x", {5: ("liver",)}) == [5]
    assert nearest("x", {}) == []


def test_long_input_is_cut() -> None:
    """Compared in full, a million letters would take minutes."""
    typed = "left kidny " * 100_000
    assert nearest(typed, LABELS) == nearest(typed[:80], LABELS)
    assert nearest(typed, LABELS)[0] in (14, 116)
