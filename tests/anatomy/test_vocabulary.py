"""Names to ids, as users spell them, for what one model knows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openvista.anatomy.catalogue import CATALOGUE, EVERYTHING_IDS, GROUPS, SUPPORTED_IDS
from openvista.anatomy.colours import colour_for, right_of
from openvista.anatomy.vocabulary import Vocabulary, known_classes, official_vocabulary
from openvista.errors import AnatomyError

OFFICIAL = official_vocabulary()
HEAD_AND_NECK = Vocabulary(
    [121, 11],
    {133: "brainstem", 134: "right parotid", 135: "left parotid", 136: "larynx", 137: "mandible"},
    {134: ["right parotid gland"], 137: ["lower jaw"]},
    model_name="starter",
)


def _spelling(words: list[str], capitals: list[bool], separators: list[str]) -> str:
    text = words[0]
    for word, separator in zip(words[1:], separators, strict=False):
        text += separator + word
    return "".join(c.upper() if up else c for c, up in zip(text, capitals * len(text), strict=False))


@given(
    class_id=st.sampled_from(SUPPORTED_IDS),
    capitals=st.lists(st.booleans(), min_size=1, max_size=40),
    separators=st.lists(st.sampled_from([" ", "_", "-", "  ", "__", " - "]), min_size=8, max_size=8),
    order=st.randoms(use_true_random=False),
)
def test_case_separators_and_order_do_not_matter(class_id: int, capitals, separators, order) -> None:
    words = CATALOGUE[class_id].name.split()
    order.shuffle(words)
    assert OFFICIAL.resolve(_spelling(words, capitals, separators)) == class_id


@given(st.sampled_from(SUPPORTED_IDS))
def test_plurals(class_id: int) -> None:
    name = CATALOGUE[class_id].name
    if name[-1].isalpha() and not name.endswith(("cartilages", "primaries")):
        plural = name + "es" if name.endswith("s") else name[:-1] + "ies" if name.endswith("y") else name + "s"
        assert OFFICIAL.resolve(plural) == class_id


@pytest.mark.parametrize("class_id", SUPPORTED_IDS)
def test_ids_in_every_guise(class_id: int) -> None:
    for guise in (class_id, str(class_id), f" {class_id} ", np.uint8(class_id), np.int64(class_id)):
        assert OFFICIAL.resolve(guise) == class_id
    assert OFFICIAL.name(class_id) == CATALOGUE[class_id].name
    assert OFFICIAL.colour(class_id) == CATALOGUE[class_id].colour


@given(st.text() | st.integers() | st.floats() | st.booleans())
def test_anything_else_is_one_clear_line(item) -> None:
    try:
        class_id = OFFICIAL.resolve(item)
    except AnatomyError as error:
        message = str(error)
    else:
        message = ""
        assert class_id in SUPPORTED_IDS
    assert "\n" not in message
    assert len(message) < 500


@pytest.mark.parametrize(
    ("typed", "class_id"),
    [
        ("oesophagus", 11),
        ("hepatic tumours", 26),
        ("liver lesion", 26),
        ("lung tumour", 23),
        ("IVC", 7),
        ("svc", 125),
        ("RUL", 30),
        ("L5", 33),
        ("atlas", 56),
        ("small_intestine", 19),
        ("left clavicle", 91),
        ("thyroid", 126),
        ("SpinalCord", 121),
        ("spinalcord", 121),
        ("Kidneys", 2),
        ("lungs", 20),
        ("bones", 21),
        ("l kidney", 14),
    ],
)
def test_common_ways_to_say_it(typed: str, class_id: int) -> None:
    assert OFFICIAL.resolve(typed) == class_id


def test_unknown_name_gives_the_three_nearest() -> None:
    with pytest.raises(AnatomyError, match=r"'livr'; nearest: 'liver', '[^']+', '[^']+'; ") as caught:
        OFFICIAL.resolve("livr")
    assert caught.value.exit_code == 2
    assert "openvista classes" in str(caught.value)


@pytest.mark.parametrize(
    ("typed", "related"),
    [
        (16, "prostate"),
        ("rectum", "colon"),
        ("129", "left kidney cyst"),
        ("liver tumour", "hepatic tumor"),
        ("L6", "L5"),
    ],
)
def test_official_but_unsupported(typed: str | int, related: str) -> None:
    with pytest.raises(AnatomyError, match=f"but no official model supports it; related: .*{related}"):
        OFFICIAL.resolve(typed)


def test_supported_elsewhere_but_not_by_this_model() -> None:
    for typed in ("spleen", 3, "3", "SPLEENS"):
        with pytest.raises(AnatomyError, match="not know class 3 'spleen'; nearest it knows: ") as caught:
            HEAD_AND_NECK.resolve(typed)
        assert "'openvista classes --model starter'" in str(caught.value)
        assert str(caught.value).count("'") == 2 + 3 * 2 + 2, "three nearest names, quoted"


def test_a_group_of_which_nothing_is_known() -> None:
    with pytest.raises(AnatomyError, match="does not know class 21 'bone'"):
        HEAD_AND_NECK.expand("bone")


@pytest.mark.parametrize("class_id", [-1, 138, 255, 10**9, "999", "-3"])
def test_id_out_of_range(class_id: int | str) -> None:
    with pytest.raises(AnatomyError, match=f"no class has id {class_id}: ids are 1 to 132, 133 to 137;"):
        HEAD_AND_NECK.resolve(class_id)


def test_background_is_no_class() -> None:
    with pytest.raises(AnatomyError, match="0 is the background"):
        OFFICIAL.resolve(0)
    with pytest.raises(AnatomyError, match="0 is the background"):
        OFFICIAL.name(0)


@pytest.mark.parametrize("item", [True, 2.0, None, ("liver",)])
def test_neither_name_nor_id(item) -> None:
    with pytest.raises(AnatomyError, match="neither a class name nor an id"):
        OFFICIAL.resolve(item)


def test_own_classes_and_their_aliases() -> None:
    assert HEAD_AND_NECK.ids == (11, 121, 133, 134, 135, 136, 137)
    assert HEAD_AND_NECK.resolve("RightParotid") == HEAD_AND_NECK.resolve("parotid_R") == 134
    assert HEAD_AND_NECK.resolve("right parotid glands") == HEAD_AND_NECK.resolve(134) == 134
    assert HEAD_AND_NECK.resolve("Lower_Jaw") == HEAD_AND_NECK.resolve("137") == 137
    assert HEAD_AND_NECK.name(136) == "larynx"
    assert HEAD_AND_NECK.name(1) == "liver", "official names are facts, known to the model or not"
    with pytest.raises(AnatomyError, match="no class has id 140"):
        HEAD_AND_NECK.name(140)


def test_what_the_model_knows_hides_the_official_list() -> None:
    own = Vocabulary([1], {133: "rectum", 134: "spleen"})
    assert own.resolve("rectum") == 133
    assert own.resolve("spleen") == 134
    assert Vocabulary([18]).resolve("rectum") == 18, "a model trained on an unsupported class does know it"


def test_own_class_named_like_one_the_model_knows_is_refused() -> None:
    with pytest.raises(AnatomyError, match="'Liver' names both class 1"):
        Vocabulary([1], {133: "Liver"})


def test_expand_everything() -> None:
    for request in (None, "all", "ALL", ["everything"]):
        assert OFFICIAL.expand(request) == list(EVERYTHING_IDS)
    assert HEAD_AND_NECK.expand() == [11, 121, 133, 134, 135, 136, 137]


def test_expand_everything_of_a_model_for_lesions_only() -> None:
    assert Vocabulary([26, 23]).expand() == [23, 26]
    assert Vocabulary([1, 26]).expand() == [1], "with an organ, overlapping lesions stay out, as officially"


@pytest.mark.parametrize("group", GROUPS)
def test_expand_groups(group: int) -> None:
    assert OFFICIAL.expand(CATALOGUE[group].name) == OFFICIAL.expand([group]) == list(GROUPS[group])


def test_expand_a_group_into_the_parts_that_are_known() -> None:
    some_lobes = Vocabulary([30, 28, 1])
    assert some_lobes.resolve("lungs") == 20
    assert some_lobes.expand("lungs, liver") == [28, 30, 1]
    assert Vocabulary([2]).expand("kidney") == [2], "a model that learnt the group itself has no parts to ask"


def test_expand_keeps_order_and_drops_repeats() -> None:
    assert OFFICIAL.expand("spleen, liver,3, kidney_left ,kidney") == [3, 1, 14, 5]
    assert OFFICIAL.expand(["spleen,liver", 6, np.int64(1)]) == [3, 1, 6]
    assert OFFICIAL.expand(6) == [6]
    assert OFFICIAL.expand(np.array([3, 1], np.uint8)) == [3, 1]


@pytest.mark.parametrize("nothing", ["", " , ", [], [""]])
def test_expand_nothing(nothing) -> None:
    with pytest.raises(AnatomyError, match="no class is named"):
        OFFICIAL.expand(nothing)


def test_expand_names_the_one_that_is_wrong() -> None:
    with pytest.raises(AnatomyError, match="no class is called 'lier'"):
        OFFICIAL.expand("spleen,lier,aorta")


def _names(vocabulary: Vocabulary, query: str) -> list[str]:
    return [item.name for item in vocabulary.search(query)]


def test_search_ranks_exact_before_beginnings_before_middles() -> None:
    assert _names(OFFICIAL, "lung")[:2] == ["lung", "lung tumor"]
    assert _names(OFFICIAL, "liv") == ["liver", "hepatic vessel", "hepatic tumor"], "the last two by alias"
    assert _names(OFFICIAL, "rib 1")[0] == "left rib 1"
    assert len(_names(OFFICIAL, "rib 1")) == 8
    assert _names(OFFICIAL, "12")[0] == "stomach", "an id"
    assert _names(OFFICIAL, "thorax") == [item.name for item in OFFICIAL.search("thorax")]
    assert _names(OFFICIAL, "hagus") == ["esophagus"]
    assert "lung tumor" in _names(OFFICIAL, "tumour")


def test_search_without_hit_gives_the_three_nearest() -> None:
    assert _names(OFFICIAL, "livr")[0] == "liver"
    assert len(_names(OFFICIAL, "livr")) == 3


def test_search_shows_what_the_model_knows() -> None:
    assert len(OFFICIAL.search("")) == len(OFFICIAL.classes()) == 127
    assert _names(HEAD_AND_NECK, "parotid") == ["right parotid", "left parotid"]
    assert "spleen" not in _names(HEAD_AND_NECK, "spleen")


# TotalSegmentator v2, task "total": all 117 class names and the VISTA3D ids they must mean, written out by hand.
_SINGLE = {
    "spleen": 3, "gallbladder": 10, "liver": 1, "stomach": 12, "pancreas": 4, "esophagus": 11, "trachea": 57,
    "thyroid_gland": 126, "small_bowel": 19, "duodenum": 13, "colon": 62, "urinary_bladder": 15, "prostate": 118,
    "sacrum": 97, "vertebrae_S1": 127, "heart": 115, "aorta": 6, "pulmonary_vein": 119, "brachiocephalic_trunk": 109,
    "atrial_appendage_left": 108, "superior_vena_cava": 125, "inferior_vena_cava": 7,
    "portal_vein_and_splenic_vein": 17, "spinal_cord": 121, "brain": 22, "skull": 120, "sternum": 122,
    "costal_cartilages": 114, "lung_upper_lobe_left": 28, "lung_lower_lobe_left": 29, "lung_upper_lobe_right": 30,
    "lung_middle_lobe_right": 31, "lung_lower_lobe_right": 32,
}  # fmt: skip
_LEFT_AND_RIGHT = {
    "kidney": (14, 5), "adrenal_gland": (9, 8), "kidney_cyst": (116, 117), "subclavian_artery": (123, 124),
    "common_carotid_artery": (112, 113), "brachiocephalic_vein": (110, 111), "iliac_artery": (58, 59),
    "iliac_vena": (60, 61), "humerus": (87, 88), "scapula": (89, 90), "clavicula": (91, 92), "femur": (93, 94),
    "hip": (95, 96), "gluteus_maximus": (98, 99), "gluteus_medius": (100, 101), "gluteus_minimus": (102, 103),
    "autochthon": (104, 105), "iliopsoas": (106, 107),
}  # fmt: skip
_VERTEBRAE = {f"vertebrae_L{n}": 38 - n for n in range(1, 6)}
_VERTEBRAE |= {f"vertebrae_T{n}": 50 - n for n in range(1, 13)}
_VERTEBRAE |= {f"vertebrae_C{n}": 57 - n for n in range(1, 8)}
_RIBS = {f"rib_left_{n}": 62 + n for n in range(1, 13)} | {f"rib_right_{n}": 74 + n for n in range(1, 13)}
TOTALSEGMENTATOR = (
    _SINGLE
    | {f"{name}_left": left for name, (left, _) in _LEFT_AND_RIGHT.items()}
    | {f"{name}_right": right for name, (_, right) in _LEFT_AND_RIGHT.items()}
    | _VERTEBRAE
    | _RIBS
)


def test_the_table_of_totalsegmentator_names_is_whole() -> None:
    assert len(TOTALSEGMENTATOR) == 117
    assert len(set(TOTALSEGMENTATOR.values())) == 117


@pytest.mark.parametrize(("name", "class_id"), TOTALSEGMENTATOR.items())
def test_totalsegmentator_names(name: str, class_id: int) -> None:
    assert OFFICIAL.resolve(name) == class_id


def test_catalogue_entries_then_own_classes_by_id() -> None:
    known = known_classes({121, 11}, {140: "tumour bed", 133: "brainstem"}, {})
    assert list(known) == [11, 121, 133, 140]
    assert known[11] is CATALOGUE[11]
    own = known[133]
    assert (own.name, own.supported, own.special, own.group) == ("brainstem", True, False, None)
    assert (own.snomed, known[140].snomed) == ("119238007", None)
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
