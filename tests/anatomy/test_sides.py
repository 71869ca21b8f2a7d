"""Left and right by name."""

from openvista.anatomy.sides import mirrored_pairs, side_of, sided


def test_twins_are_found_whatever_the_order_of_words():
    assert mirrored_pairs({5: "right kidney", 14: "kidney, left", 3: "spleen"}) == ((5, 14),)
    assert mirrored_pairs({3: "spleen", 5: "right kidney"}) == ()


def test_what_names_both_sides_or_none_has_no_side():
    assert sided({1: "left kidney", 2: "spleen", 3: "left and right kidney", 4: "rib, right 3"}) == {1, 4}


def test_the_side_that_a_name_says():
    names = ("kidney_left", "Right Rib 3", "Lt. parotid", "spleen", "left and right kidney")
    assert [side_of(name) for name in names] == ["left", "right", "left", None, None]
