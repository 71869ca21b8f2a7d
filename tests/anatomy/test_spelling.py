"""Which spellings count as one name, and which must not."""

from dataclasses import replace

import pytest

from openvista.anatomy import official_vocabulary
from openvista.anatomy.catalogue import CATALOGUE, EVERYTHING_IDS
from openvista.anatomy.spelling import NameIndex, labels_of, nearest, reading_keys, totalsegmentator_name, word_key
from openvista.errors import AnatomyError


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


def test_finds_by_name_and_alias() -> None:
    index = NameIndex([CATALOGUE[7], CATALOGUE[10]])
    assert index.find("inferior_vena_cava") == index.find("ivc") == 7
    assert index.find("GallBladder") == index.find("gall bladder") == 10
    assert index.find("liver") is None


def test_two_classes_with_one_name_are_refused() -> None:
    twin = replace(CATALOGUE[3], id=133, name="Livers")
    with pytest.raises(AnatomyError, match=r"'Livers' names both class 1 'liver' and class 133 'Livers'"):
        NameIndex([CATALOGUE[1], twin])


def test_a_name_without_letters_is_refused() -> None:
    with pytest.raises(AnatomyError, match="class 133 cannot be called '--'"):
        NameIndex([replace(CATALOGUE[3], id=133, name="--")])


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


def test_names_that_totalsegmentator_gives():
    """Its 117 classes are what "everything" is, and our vocabulary knows each of its names."""
    vocabulary = official_vocabulary()
    names = {class_id: totalsegmentator_name(vocabulary.name(class_id)) for class_id in EVERYTHING_IDS}
    assert len(set(names.values())) == 117
    assert {class_id: vocabulary.expand(name) for class_id, name in names.items()} == {key: [key] for key in names}
    expected = {
        5: "kidney_right", 14: "kidney_left", 15: "urinary_bladder", 28: "lung_upper_lobe_left", 61: "iliac_vena_right",
        31: "lung_middle_lobe_right", 127: "vertebrae_S1", 33: "vertebrae_L5", 72: "rib_left_10", 75: "rib_right_1",
        108: "atrial_appendage_left", 126: "thyroid_gland", 17: "portal_vein_and_splenic_vein",
        117: "kidney_cyst_right", 112: "common_carotid_artery_left", 98: "gluteus_maximus_left",
        114: "costal_cartilages", 96: "hip_right",
    }  # fmt: skip
    assert expected.items() <= names.items()
    assert totalsegmentator_name("lung tumor") == "lung_tumor"
