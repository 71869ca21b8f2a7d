"""Which spellings count as one name, and which must not."""

import pytest

from openvista.anatomy.words import reading_keys, word_key


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("oesophagus", "esophagus"),
        ("lung tumours", "lung tumor"),
        ("left clavicles", "left clavicula"),
        ("vertebra C1", "vertebrae C1"),
        ("C1 vertebra", "vertebrae C1"),
        ("kidney_right", "right kidney"),
        ("rib_left_1", "left rib 1"),
        ("Parotid-L", "left parotid"),
        ("upper lobe of the left lung", "left lung upper lobe"),
        ("iliac arteries left", "left iliac artery"),
        ("masses", "mass"),
    ],
)
def test_same_name(one: str, other: str) -> None:
    assert word_key(one) == word_key(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("left kidney", "right kidney"),
        ("left rib 1", "left rib 11"),
        ("vertebrae T1", "vertebrae L1"),
        ("portal vein", "portal vein and splenic vein"),
        ("hepatic tumor", "liver tumor"),
        ("gluteus medius", "gluteus minimus"),
        ("iliac artery", "iliac vein"),
    ],
)
def test_different_names(one: str, other: str) -> None:
    assert word_key(one) != word_key(other)


def test_one_typed_word_may_stand_for_several() -> None:
    assert word_key("spinal cord") in reading_keys("SpinalCord")
    assert word_key("right parotid") in reading_keys("RightParotid")
    assert word_key("rib left 1") in reading_keys("RibLeft1")


@pytest.mark.parametrize("text", ["", "  ", "_-_", "?!"])
def test_nothing_to_read_gives_no_key(text: str) -> None:
    assert reading_keys(text) == []
