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
        ({"labels": {"9" * 5000: "x"}, "training": [entry("a")]}, "no pair of one value and one name"),
        ({"labels": {"1": "x"}, "training": [entry("a", annotated=["1" * 5000])]}, "no label value"),
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
    (tmp_path / "long.json").write_text('{"training": [], "fold": ' + "9" * 5000 + "}")
    with pytest.raises(DataListError, match="not JSON"):
        read_datalist(tmp_path / "long.json")
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


def test_decathlon_names_testing_images_only(folder):
    content = {"labels": {"0": "background", "1": "spleen"}, "training": [entry("a")], "test": ["./b.nii.gz"]}
    listed = read_datalist(write(folder, content))
    assert (listed.testing, [case.name for case in listed.testing_unlabelled]) == ((), ["b"])


def test_nnunet_names_map_to_values(folder):
    path = write(folder, {"labels": {"background": 0, "liver": 2}, "training": [entry("a")]})
    assert read_datalist(path).label_names == {2: "liver"}


def test_validation_of_a_monai_list_is_a_fold_of_its_own(folder):
    path = write(folder, {"labels": {"1": "x"}, "training": [entry("a")], "validation": [entry("b")]})
    outside, inside = read_datalist(path).split(0)
    assert ([case.name for case in outside], [case.name for case in inside]) == (["a"], ["b"])


def test_a_list_without_names_takes_those_of_the_user(folder):
    content = {"training": [entry("a"), entry("b", annotated=[])]}
    listed = read_datalist(write(folder, content)).naming({1: "spleen"})
    assert listed.label_names == {1: "spleen"}
    assert [case.annotated for case in listed.training] == [{1}, set()]


@pytest.fixture
def research(tmp_path):
    """A list whose files lie below other folders, as in VISTA3D's repository."""
    for name in ("data/ct.nii.gz", "data/truth.nii.gz", "data/bare.nii.gz", "pseudo/ct.nii.gz", "sv/ct_seg.nii.gz"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "lists").mkdir()
    content = {
        "training": [
            {
                "image": "ct.nii.gz",
                "pseudo_label": "ct.nii.gz",
                "label": "truth.nii.gz",
                "fold": 0,
                "pseudo_label_reliability": 0,
                "label_sv": "ct_seg.nii.gz",
            },
            {"image": "bare.nii.gz"},
        ],
        "training_transform": [{"_target_": "RandZoomd", "prob": "$__import__('os').abort()"}],
        "label_dict": {"1": "lung tumor"},
        "original_label_dict": {"1": "cancer"},
    }
    (tmp_path / "lists" / "Task06_5_folds.json").write_text(json.dumps(content))
    (tmp_path / "lists" / "label_mappings.json").write_text(json.dumps({"Task06": [[1, 23]], "Task07": [[1, 4]]}))
    return tmp_path


def read_research(folder, **more):
    roots = {"root": folder / "data", "pseudo_label_root": folder / "pseudo", "supervoxel_root": folder / "sv"}
    return read_datalist(folder / "lists" / "Task06_5_folds.json", **(roots | more))


def test_research_lists_take_their_folders_from_the_caller(research):
    listed = read_research(research)
    (case,) = listed.training
    assert (case.image, case.label) == (research / "data/ct.nii.gz", research / "data/truth.nii.gz")
    assert (case.pseudo_label, case.supervoxels) == (research / "pseudo/ct.nii.gz", research / "sv/ct_seg.nii.gz")
    assert not case.pseudo_label_reliable
    assert [one.name for one in listed.unlabelled] == ["bare"]


def test_research_lists_have_names_and_a_mapping_beside_them(research):
    listed = read_research(research)
    assert (listed.label_names, listed.label_mapping) == ({1: "lung tumor"}, {1: 23})


def test_a_pseudo_label_that_is_the_image_is_left_out(research, caplog):
    listed = read_research(research, pseudo_label_root=research / "data")
    assert listed.training[0].pseudo_label is None
    assert "image itself" in caplog.text


def test_training_scans_without_labels_are_named(research, caplog):
    read_research(research)
    assert "1 training cases have no label" in caplog.text
    assert "bare.nii.gz" in caplog.text


def test_the_file_itself_may_say_where_its_paths_start(research):
    path = research / "lists" / "own.json"
    path.write_text(json.dumps({"root": "../data", "training": [{"image": "ct.nii.gz", "label": "truth.nii.gz"}]}))
    assert read_datalist(path).training[0].image.resolve() == research / "data" / "ct.nii.gz"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"training": {"image": "a"}}, "must be a list of cases"),
        ({"training": [3]}, "not an object"),
        ({"training": [entry("a", fold="first")]}, "'fold' must be a number"),
        ({"training": [entry("a", fold=-1)]}, "'fold' must be a number"),
        ({"training": [{"image": ["a.nii.gz", "b.nii.gz"], "label": "la.nii.gz"}]}, "one CT per case"),
        ({"training": [{"image": 7, "label": "la.nii.gz"}]}, "must be a file name"),
        ({"training": [entry("a", annotated="all")]}, "must be a list of label values"),
        ({"training": [entry("a", annotated=["liver"])]}, "no label value of the list"),
        ({"training": [entry("a", label_slices={"1": 3})]}, "first, last"),
        ({"training": [entry("a", label_slices={"1": [9, 3]})]}, "first, last"),
        ({"labels": "liver", "training": [entry("a")]}, "'labels' must be"),
        ({"labels": {"organs": [1, 2]}, "training": [entry("a")]}, "no pair of one value and one name"),
        ({"labels": {"-1": "x"}, "training": [entry("a")]}, "no pair of one value and one name"),
        ({"label_mapping": [[1, 2, 3]], "training": [entry("a")]}, "label mapping must be"),
        ({"label_mapping": {"liver": 1}, "training": [entry("a")]}, "write .value, class."),
    ],
)
def test_wrong_types_are_one_clear_line(folder, content, words):
    with pytest.raises(DataListError, match=words) as caught:
        read_datalist(write(folder, content))
    assert "\n" not in str(caught.value)
    assert str(folder) in str(caught.value)


def test_missing_files_can_be_read_for_checking(folder):
    path = write(folder, {"labels": {"1": "x"}, "training": [entry("c")]})
    assert read_datalist(path, must_exist=False).training[0].name == "c"
    with pytest.raises(DataListError, match="datalist check"):
        read_datalist(path)


def test_images_given_as_maps_are_one_line_a_list(folder, caplog):
    """Research lists repeat the image's path; its folder for maps is only known to their code."""
    entries = [entry(name, pseudo_label=f"{name}.nii.gz", label_sv=f"{name}.nii.gz") for name in "ab"]
    listed = read_datalist(write(folder, {"labels": {"1": "x"}, "training": entries}))
    assert [(case.pseudo_label, case.supervoxels) for case in listed.training] == [(None, None)] * 2
    assert [record.args[1:3] for record in caplog.records] == [("pseudo_label", 2), ("label_sv", 2)]
