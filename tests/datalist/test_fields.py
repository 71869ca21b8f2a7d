"""Fields of a data list: every way of writing them means the same."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openvista.datalist.fields import (
    as_file_name,
    as_fold,
    as_label_mapping,
    as_label_names,
    as_label_slices,
    as_values,
)
from openvista.errors import DataListError

LIST = Path("list.json")
names = st.lists(st.text("aeiou", min_size=1, max_size=3), min_size=1, max_size=5, unique=True)


@settings(max_examples=30)
@given(names)
def test_label_names_mean_the_same_in_every_style(organs):
    every = ["background", *organs]
    expected = dict(enumerate(organs, start=1))
    of_nnunet = {name: value for value, name in enumerate(every)}
    for table in (every, {str(value): name for value, name in enumerate(every)}, of_nnunet):
        assert as_label_names({"labels": table}, LIST) == expected
    assert as_label_names({"labels": of_nnunet, "label_dict": {"7": " hilum "}}, LIST) == {7: "hilum"}


@settings(max_examples=30)
@given(names, st.data())
def test_values_may_be_given_by_number_digits_or_name(organs, data):
    known = dict(enumerate(organs, start=1))
    chosen = data.draw(st.sets(st.sampled_from(sorted(known))))
    for listed in (sorted(chosen), [str(value) for value in chosen], [known[value] for value in chosen]):
        assert as_values(listed, known, "here") == chosen


def test_tables_may_be_objects_or_pairs_and_leave_background_out():
    assert as_label_slices({"1": [2, "9"]}, "here") == as_label_slices([[1, [2, 9]]], "here") == {1: (2, 9)}
    by_object = as_label_mapping({"0": 0, "1": "liver", "2": "3"}, LIST)
    assert by_object == as_label_mapping([[0, 0], [1, "liver"], [2, 3]], LIST) == {1: "liver", 2: 3}


def test_the_highest_value_is_what_a_label_map_can_hold():
    assert as_values([0, 65535, "65535"], {}, "here") == {0, 65535}
    for beyond in (65536, "65536", -1, 1.0, True, None, "1.0"):
        with pytest.raises(DataListError, match="no label value"):
            as_values([beyond], {}, "here")
        with pytest.raises(DataListError, match=r"write \[value, class\]"):
            as_label_mapping([[beyond, 1]], LIST)


def test_a_single_channel_is_a_file_and_a_fold_is_a_number_or_nothing():
    assert as_file_name(["ct.nii.gz"], "image", LIST) == "ct.nii.gz"
    assert [as_fold(fold, Path("ct.nii.gz"), LIST) for fold in (None, 0, 4)] == [None, 0, 4]
    for wrong in ("", [], ["a", "b"], "a\0b", None):
        with pytest.raises(DataListError, match=r"list\.json: 'image'"):
            as_file_name(wrong, "image", LIST)
    for wrong in (True, 1.0, "0"):
        with pytest.raises(DataListError, match=r"case ct\.nii\.gz: 'fold'"):
            as_fold(wrong, Path("ct.nii.gz"), LIST)
