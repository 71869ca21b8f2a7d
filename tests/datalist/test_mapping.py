"""Label values of a list to classes of a model, as users write it."""

from pathlib import Path

import pytest

from openvista.anatomy import Vocabulary, official_vocabulary
from openvista.datalist import DataList, map_labels, pair_label_sets, parse_mapping
from openvista.errors import AnatomyError, DataListError

NAMES = {1: "liver", 2: "spleen", 3: "left_kidney", 7: "sarcoma"}


def official(*items, names=NAMES):
    return parse_mapping(items, names, official_vocabulary())


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ("spleen=spleen", {2: 3}),
        ("spleen", {2: 3}),
        ("Spleen = SPLEEN", {2: 3}),
        ("1=liver", {1: 1}),
        ("1=1", {1: 1}),
        ("liver=3", {1: 3}),
        ("kidney left=left kidney", {3: 14}),
    ],
)
def test_names_and_ids_on_both_sides(item, expected):
    assert official(item).classes == expected


def test_values_alone_do_where_the_list_names_none():
    assert official("4=pancreas", names={}).classes == {4: 4}


def test_several_values_may_be_one_class():
    assert official("1=liver", "7=liver").classes == {1: 1, 7: 1}


def test_new_structures_get_the_lowest_free_ids_above_132():
    vocabulary = Vocabulary([1, 3], {133: "brainstem", 135: "larynx"})
    mapping = parse_mapping(["spleen=spleen", "sarcoma=new", "1=new:liver rim", "3=new"], NAMES, vocabulary)
    assert mapping.classes == {1: 136, 2: 3, 3: 137, 7: 134}
    assert mapping.new_names == {134: "sarcoma", 136: "liver rim", 137: "left_kidney"}
    Vocabulary([*vocabulary.ids], {133: "brainstem", 135: "larynx"} | mapping.new_names)


def test_two_values_of_one_new_structure_share_its_id():
    mapping = official("1=new:lesion", "2=new:lesion", names={})
    assert (mapping.classes, mapping.new_names) == ({1: 133, 2: 133}, {133: "lesion"})


@pytest.mark.parametrize(
    ("items", "error", "words"),
    [
        (["spleeen=spleen"], DataListError, "no label called 'spleeen'; nearest: 'spleen'"),
        (["spleen=spleeen"], AnatomyError, "nearest: 'spleen'.*write 'spleen=new'"),
        (["9=spleen"], DataListError, "no label 9; it has 1 'liver'"),
        (["0=spleen"], DataListError, "background"),
        (["9" * 5000 + "=spleen"], DataListError, "between 0 and 65535"),
        (["=spleen"], DataListError, "write LABEL=CLASS"),
        (["spleen="], DataListError, "write LABEL=CLASS"),
        (["2=spleen", "spleen=liver"], DataListError, "already class 3"),
        (["3=kidney"], AnatomyError, "is a group of .*'left kidney'"),
        (["7=new:spleen"], AnatomyError, "knows 'spleen' as class 3"),
        (["7=new:a,b"], AnatomyError, "no usable name"),
        (["7=new:12"], AnatomyError, "no usable name"),
        (["7=new:"], DataListError, "name the new structure"),
        ([], DataListError, "no label is mapped"),
    ],
)
def test_errors_are_one_line_and_name_the_nearest(items, error, words):
    with pytest.raises(error, match=words) as caught:
        official(*items)
    assert "\n" not in str(caught.value)


def test_a_new_structure_without_any_name_is_refused():
    with pytest.raises(DataListError, match="1=new:my structure"):
        official("1=new", names={})


def test_a_name_in_a_list_without_names_is_refused():
    with pytest.raises(DataListError, match="write its value"):
        official("spleen=spleen", names={})


def listed(names, mapping=None):
    return DataList(Path("list.json"), names, (), (), label_mapping=mapping or {})


def test_without_a_wish_labels_go_by_their_names():
    assert map_labels(listed({1: "liver", 5: "Spleen"}), [], official_vocabulary()).classes == {1: 1, 5: 3}


def test_without_a_wish_the_lists_own_mapping_counts_first():
    found = map_labels(listed({1: "cancer"}, {1: 23, 2: "liver"}), [], official_vocabulary())
    assert found.classes == {1: 23, 2: 1}


def test_a_wish_counts_before_the_lists_own_mapping():
    assert map_labels(listed({1: "cancer"}, {1: 23}), ["1=liver"], official_vocabulary()).classes == {1: 1}


def test_a_list_without_names_needs_a_wish():
    with pytest.raises(DataListError, match="names no labels"):
        map_labels(listed({}), [], official_vocabulary())


def test_label_sets_side_by_side_leave_the_background_out():
    assert pair_label_sets([0, 1, 2, 3], [0, 1, 3, 0]) == {1: 1, 2: 3}


@pytest.mark.parametrize(
    ("label_set", "mapped", "words"),
    [
        ([0, 1, 2], [0, 1], "have 3 and 2 values"),
        ([0, 1, 1], [0, 1, 3], "label 1 is class 1 and 3"),
        ([0, 1], [3, 1], "label 0 cannot be class 3"),
        ([0], [0], "nothing but the background"),
    ],
)
def test_label_sets_that_contradict_themselves(label_set, mapped, words):
    with pytest.raises(DataListError, match=words):
        pair_label_sets(label_set, mapped)
