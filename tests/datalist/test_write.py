"""What is written and read again is the same list."""

import json
from dataclasses import replace

import pytest

from openvista.datalist import Case, read_datalist, write_datalist
from openvista.errors import OutputError

CONTENT = {
    "name": "made up",
    "licence": "MIT",
    "numTraining": 3,
    "label_dict": {"1": "liver", "2": "spleen"},
    "label_mapping": [[1, 1], [2, "spleen"]],
    "training": [
        {"image": "a/ct.nii.gz", "label": "a/seg.nii.gz", "fold": 1, "annotated": [2], "label_slices": {"2": [3, 9]}},
        {"image": "b/ct.nii.gz", "label": "b/seg.nii.gz", "label_sv": "b/sv.nii.gz", "source": "clinic 3"},
        {"image": "c/ct.nii.gz", "pseudo_label": "c/auto.nii.gz", "pseudo_label_reliability": 0},
    ],
    "testing": [{"image": "d/ct.nii.gz", "label": "d/seg.nii.gz"}, {"image": "e/ct.nii.gz"}],
}


@pytest.fixture
def listed(tmp_path):
    path = tmp_path / "lists" / "first.json"
    path.parent.mkdir()
    path.write_text(json.dumps(CONTENT))
    return read_datalist(path, must_exist=False)


def same(one, other):
    return replace(one, path=other.path, root=other.root) == other


def test_reading_what_was_written_gives_the_same_list(listed):
    written = write_datalist(listed, listed.path.with_name("second.json"))
    assert same(listed, read_datalist(written, must_exist=False))


def test_unknown_fields_stay_and_counts_follow(listed):
    content = json.loads(write_datalist(replace(listed, unlabelled=())).read_text())
    assert (content["licence"], content["numTraining"]) == ("MIT", 2)
    assert content["training"][1]["source"] == "clinic 3"
    assert "annotated" not in content["training"][1]


def test_supervoxels_added_to_a_list_are_found_again(listed):
    file = listed.path.parent / "sv" / "a.nii.gz"
    training = tuple(replace(case, supervoxels=file) for case in listed.training)
    written = write_datalist(replace(listed, training=training))
    assert json.loads(written.read_text())["training"][0]["label_sv"] == "sv/a.nii.gz"
    assert read_datalist(written, must_exist=False).training[0].supervoxels == file


def test_a_list_written_elsewhere_still_finds_its_files(listed, tmp_path):
    (tmp_path / "other").mkdir()
    written = write_datalist(listed, tmp_path / "other" / "moved.json")
    assert read_datalist(written, must_exist=False).training[0].image == listed.training[0].image


def test_files_outside_the_folder_are_written_in_full(listed, tmp_path):
    case = Case(tmp_path / "far.nii.gz", tmp_path / "far_seg.nii.gz", None, frozenset({1}), {})
    written = write_datalist(replace(listed, training=(case,)))
    assert json.loads(written.read_text())["training"][0]["image"] == (tmp_path / "far.nii.gz").as_posix()


def test_a_refused_write_leaves_the_old_list(listed, tmp_path):
    before = listed.path.read_text()
    with pytest.raises(OutputError, match="cannot be written"):
        write_datalist(listed, tmp_path / "no folder" / "list.json")
    assert listed.path.read_text() == before
    assert [path.name for path in listed.path.parent.iterdir()] == ["first.json"]
