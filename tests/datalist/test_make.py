"""Data lists made from folders: names, split, folds, and what is said about it."""

import json

import numpy as np
import pytest

from openvista.datalist import Split, make_datalist
from openvista.errors import DataListError
from openvista.geometry.grid import Grid
from openvista.scan import Segmentation


@pytest.fixture
def folder(tmp_path, save_ct, save_labels):
    """Ten labelled cases; every second one has label 2 too."""
    for number in range(10):
        save_ct(tmp_path / f"images/p{number}.nii.gz")
        save_labels(tmp_path / f"labels/p{number}.nii.gz", *((1, 2) if number % 2 else (1,)))
    return tmp_path


def make(folder, names=None, partial=False, **split):
    return make_datalist(folder, folder / "list.json", names=names, partial=partial, split=Split(**split))


def names_of(cases):
    return [case.name for case in cases]


def test_a_fifth_is_for_testing_and_the_rest_fills_the_folds(folder):
    listed = make(folder).listed
    assert (len(listed.training), len(listed.testing)) == (8, 2)
    assert sorted(case.fold for case in listed.training) == [0, 0, 1, 1, 2, 2, 3, 4]
    assert not set(names_of(listed.training)) & set(names_of(listed.testing))
    assert all(case.fold is None for case in listed.testing)


def test_the_split_follows_the_seed(folder):
    assert make(folder, seed=3).listed == make(folder, seed=3).listed
    assert len({tuple(names_of(make(folder, seed=seed).listed.testing)) for seed in range(6)}) > 1


def test_something_is_left_to_train_on(folder):
    assert len(make(folder, test_share=0.99).listed.training) == 1


def test_shares_and_folds_are_free(folder):
    listed = make(folder, test_share=0, folds=2).listed
    assert (len(listed.training), len(listed.testing)) == (10, 0)
    assert {case.fold for case in listed.training} == {0, 1}


def test_a_labelled_testing_folder_is_the_testing_part(tmp_path, save_ct, save_labels):
    for part, count in (("Tr", 5), ("Ts", 1)):
        for number in range(count):
            save_ct(tmp_path / f"images{part}/{part}{number}_0000.nii.gz")
            save_labels(tmp_path / f"labels{part}/{part}{number}.nii.gz", 1)
    listed = make(tmp_path).listed
    assert (len(listed.training), names_of(listed.testing)) == (5, ["Ts0_0000"])


def test_annotated_is_left_out_unless_partial(folder):
    listed, notes = make(folder).listed, make(folder).notes
    assert not any(case.annotated_listed for case in listed.training)
    assert any("label 2 (in 5)" in note and "--partial" in note for note in notes)


def test_partial_takes_what_occurs_in_each_case(folder):
    listed = make(folder, partial=True).listed
    expected = {f"p{number}": ({1, 2} if number % 2 else {1}) for number in range(10)}
    assert all(case.annotated_listed for case in listed.training)
    assert {case.name: case.annotated for case in (*listed.training, *listed.testing)} == expected


def test_names_of_the_user_come_first(folder):
    (folder / "dataset.json").write_text(json.dumps({"labels": {"0": "background", "1": "liver", "2": "spleen"}}))
    assert make(folder).listed.label_names == {1: "liver", 2: "spleen"}
    made = make(folder, names={1: "lung", 9: "heart"})
    assert made.listed.label_names == {1: "lung", 2: "label 2", 9: "heart"}
    assert any("values without a name: 2" in note for note in made.notes)
    assert any("in no label map: 9 'heart'" in note for note in made.notes)


def write_named(path, names):
    labels = np.zeros((12, 10, 9), np.uint8)
    labels[3, 3, 3] = 1
    path.parent.mkdir(parents=True, exist_ok=True)
    Segmentation(labels, Grid((12, 10, 9), np.diag([3.0, 3, 4, 1])), names).save(path)


def test_names_inside_the_label_maps_are_found(tmp_path, save_ct):
    for case in ("a", "b"):
        save_ct(tmp_path / f"{case}.nii.gz")
        write_named(tmp_path / f"{case}_seg.nii.gz", {1: "liver", 4: "pancreas"} if case == "a" else {1: "liver"})
    made = make(tmp_path)
    assert made.listed.label_names == {1: "liver", 4: "pancreas"}
    assert not any("without a name" in note for note in made.notes)


def test_label_maps_that_disagree_about_names_are_refused(tmp_path, save_ct):
    for case, name in (("a", "liver"), ("b", "spleen")):
        save_ct(tmp_path / f"{case}.nii.gz")
        write_named(tmp_path / f"{case}_seg.nii.gz", {1: name})
    with pytest.raises(DataListError, match=r"label 1 is 'liver' in .* but 'spleen' in"):
        make(tmp_path)
    assert make(tmp_path, names={1: "either"}).listed.label_names == {1: "either"}


def test_one_case_has_no_fold_and_says_so(tmp_path, save_ct, save_labels):
    save_ct(tmp_path / "a_ct.nii.gz")
    save_labels(tmp_path / "a_seg.nii.gz", 1)
    made = make(tmp_path)
    assert [case.fold for case in made.listed.training] == [None]
    assert any("only one case" in note for note in made.notes)


def test_few_cases_make_fewer_folds(tmp_path, save_ct, save_labels):
    for case in "abc":
        save_ct(tmp_path / f"{case}_ct.nii.gz")
        save_labels(tmp_path / f"{case}_seg.nii.gz", 1)
    made = make(tmp_path)
    assert (len(made.listed.training), len(made.listed.testing)) == (2, 1)
    assert any("2 training cases make 2 folds" in note for note in made.notes)


def test_what_is_left_out_is_named(folder, save_ct, save_labels):
    (folder / "labels/p4.nii.gz").write_bytes(b"not an image")
    save_ct(folder / "images/extra.nii.gz")
    save_labels(folder / "labels/orphan.nii.gz", 1)
    made = make(folder)
    assert len(made.listed.training) + len(made.listed.testing) == 9
    assert names_of(made.listed.unlabelled) == ["extra"]
    for words in ("p4.nii.gz", "orphan.nii.gz: left out", "1 images have no label map (extra.nii.gz"):
        assert any(words in note for note in made.notes), words


def test_no_foreground_at_all_is_refused(tmp_path, save_ct, save_labels):
    save_ct(tmp_path / "a_ct.nii.gz")
    save_labels(tmp_path / "a_seg.nii.gz")
    with pytest.raises(DataListError, match="no foreground at all"):
        make(tmp_path)


def test_no_readable_label_map_is_refused(tmp_path, save_ct):
    save_ct(tmp_path / "a_ct.nii.gz")
    (tmp_path / "a_seg.nii.gz").write_bytes(b"")
    with pytest.raises(DataListError, match="none of its 1 label maps can be read"):
        make(tmp_path)
