"""Colours must tell classes apart and never change between runs."""

import colorsys
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openvista.anatomy.catalogue import CATALOGUE
from openvista.anatomy.colours import colour_for, from_hex, right_of, to_hex


def _distance(one: tuple[int, int, int], other: tuple[int, int, int]) -> int:
    return max(abs(a - b) for a, b in zip(one, other, strict=True))


def test_official_colours_are_told_apart() -> None:
    for one, other in itertools.combinations(CATALOGUE, 2):
        assert _distance(colour_for(one), colour_for(other)) >= 10, (one, other)


def test_neighbouring_vertebrae_and_ribs_differ_clearly() -> None:
    for first, last in ((33, 56), (63, 74), (75, 86)):
        for class_id in range(first, last):
            assert _distance(colour_for(class_id), colour_for(class_id + 1)) >= 15, class_id


def test_the_right_of_a_pair_has_the_hue_of_the_left_and_is_darker() -> None:
    by_name = {item.name: item.colour for item in CATALOGUE.values()}
    pairs = [(name, name.replace("left", "right")) for name in by_name if "left" in name.split()]
    pairs = [(left, right) for left, right in pairs if right in by_name]
    assert len(pairs) == 32
    for left, right in pairs:
        hue, _, value = colorsys.rgb_to_hsv(*by_name[left])
        right_hue, _, right_value = colorsys.rgb_to_hsv(*by_name[right])
        apart = abs(hue - right_hue)
        assert min(apart, 1 - apart) < 0.02, left
        assert right_value < value, left


def test_own_ids_are_told_apart_among_themselves_and_from_the_catalogue() -> None:
    own = range(133, 165)
    for one, other in itertools.combinations(own, 2):
        assert _distance(colour_for(one), colour_for(other)) >= 10, (one, other)
    for one, other in itertools.product(own, CATALOGUE):
        assert colour_for(one) != colour_for(other)


@given(st.integers(min_value=-5, max_value=10**6))
def test_any_id_has_a_visible_colour(class_id: int) -> None:
    colour = colour_for(class_id)
    assert all(0 <= part <= 255 for part in colour)
    assert max(colour) >= 80, "too dark to tell from the background"


def test_computed_colours_are_fixed() -> None:
    """Written out: a change here would recolour everybody's saved files."""
    assert [colour_for(class_id) for class_id in range(133, 138)] == FIXED
    assert right_of((200, 100, 0)) == (148, 74, 0)


FIXED = [(255, 176, 128), (33, 18, 184), (131, 204, 112), (255, 38, 145), (128, 228, 255)]


@given(st.tuples(*[st.integers(0, 255)] * 3))
def test_a_colour_in_hex_and_back(colour: tuple[int, int, int]) -> None:
    assert from_hex(to_hex(colour)) == colour == from_hex(to_hex(colour)[1:].upper())


@pytest.mark.parametrize("text", ["#12345", "#1234567", "red", "#12345678", ""])
def test_what_is_no_colour_in_hex(text: str) -> None:
    with pytest.raises(ValueError):
        from_hex(text)
