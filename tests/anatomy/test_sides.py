"""Left and right by name."""

from openvista.anatomy import official_vocabulary
from openvista.anatomy.catalogue import EVERYTHING_IDS
from openvista.anatomy.sides import mirrored_pairs, sided, totalsegmentator_name


def test_twins_are_found_whatever_the_order_of_words():
    assert mirrored_pairs({5: "right kidney", 14: "kidney, left", 3: "spleen"}) == ((5, 14),)
    assert mirrored_pairs({3: "spleen", 5: "right kidney"}) == ()


def test_what_names_both_sides_or_none_has_no_side():
    assert sided({1: "left kidney", 2: "spleen", 3: "left and right kidney", 4: "rib, right 3"}) == {1, 4}


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
