"""Data lists: what is known about each case, and what is wrong with a list."""

import json

import pytest

from openvista.datalist import read_datalist
from openvista.errors import DataListError


@pytest.fixture
def folder(tmp_path):
    for name in ("a.nii.gz", "b.nii.gz", "la.nii.gz", "lb.nii.gz"):
        (tmp_path / name).write_bytes(b"")
    return tmp_path


def write(folder, content):
    path = folder / "list.json"
    path.write_text(json.dumps(content))
    return path


def entry(letter, **more):
    return {"image": f"{letter}.nii.gz", "label": f"l{letter}.nii.gz", **more}


def test_without_annotated_everything_named_counts(folder):
    path = write(folder, {"labels": {"0": "background", "1": "liver", "2": "spleen"}, "training": [entry("a")]})
    assert read_datalist(path).training[0].annotated == {1, 2}


def test_annotated_and_slices_are_read(folder):
    case = entry("a", annotated=[2], label_slices={"2": [3, 9]})
    read = read_datalist(write(folder, {"labels": {"1": "x", "2": "y"}, "training": [case]})).training[0]
    assert (read.annotated, read.label_slices, read.name) == ({2}, {2: (3, 9)}, "a")


def test_a_fold_is_held_out(folder):
    path = write(folder, {"labels": {"1": "x"}, "training": [entry("a", fold=0), entry("b", fold=1)]})
    outside, inside = read_datalist(path).split(1)
    assert [case.name for case in outside] == ["a"]
    assert [case.name for case in inside] == ["b"]


def test_no_fold_holds_nothing_out(folder):
    path = write(folder, {"labels": {"1": "x"}, "training": [entry("a", fold=0), entry("b", fold=1)]})
    outside, inside = read_datalist(path).split(None)
    assert (len(outside), len(inside)) == (2, 0)


def test_testing_cases_without_label_are_left_out(folder):
    path = write(folder, {"labels": {"1": "x"}, "training": [entry("a")], "testing": [{"image": "b.nii.gz"}]})
    assert read_datalist(path).testing == ()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"labels": {"1": "x"}, "training": [entry("c")]}, "does not exist"),
        ({"labels": {"1": "x"}, "training": [{"label": "la.nii.gz"}]}, "no 'image'"),
        ({"labels": {"1": "x"}, "training": []}, "no labelled case"),
        ([1, 2], "JSON object"),
    ],
)
def test_a_broken_list_is_one_clear_line(folder, content, words):
    with pytest.raises(DataListError, match=words) as caught:
        read_datalist(write(folder, content))
    assert "\n" not in str(caught.value)


def test_an_unknown_fold_names_those_there_are(folder):
    path = write(folder, {"labels": {"1": "x"}, "training": [entry("a", fold=0)]})
    with pytest.raises(DataListError, match=r"fold 7.*\[0\]"):
        read_datalist(path).split(7)


def test_missing_and_garbled_files(tmp_path):
    with pytest.raises(DataListError, match="does not exist"):
        read_datalist(tmp_path / "none.json")
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(DataListError, match="not JSON"):
        read_datalist(tmp_path / "bad.json")


def test_pseudo_label_and_supervoxels_are_optional_files(folder):
    content = {
        "labels": {"1": "x"},
        "training": [entry("a", pseudo_label="b.nii.gz", label_sv="lb.nii.gz"), entry("b")],
    }
    with_both, without = read_datalist(write(folder, content)).training
    assert (with_both.pseudo_label, with_both.supervoxels) == (folder / "b.nii.gz", folder / "lb.nii.gz")
    assert (without.pseudo_label, without.supervoxels) == (None, None)
