"""Which cases are learnt from: by the seed, never what is held out or testing; what cannot be used is named."""

import json

import nibabel as nib
import numpy as np
import pytest

from openvista.datalist import read_datalist
from openvista.errors import DataListError
from openvista.train.finetune.cases import choose_shots

ONE, TWO = {1: 3}, {1: 3, 2: 138}


def write_case(folder, name, values=(1,)):
    """A small CT with a block for each label value."""
    rng = np.random.default_rng(len(name))
    labels = np.zeros((10, 10, 10), np.uint8)
    for value in values:
        labels[3 * value - 2 : 3 * value, 2:8, 2:8] = value
    hu = rng.integers(-100, 100, labels.shape, dtype=np.int16)
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    nib.save(nib.Nifti1Image(hu, affine), folder / f"{name}.nii.gz")
    nib.save(nib.Nifti1Image(labels, affine), folder / f"{name}_seg.nii.gz")


def write_list(folder, training, testing=()):
    """``training``: name, fold (or None), values of the label map; a case without values is not written."""
    entries = []
    for name, fold, values in training:
        if values is not None:
            write_case(folder, name, values)
        entry = {"image": f"{name}.nii.gz", "label": f"{name}_seg.nii.gz"}
        entries.append(entry | ({} if fold is None else {"fold": fold}))
    content = {
        "labels": {"1": "spleen", "2": "cyst"},
        "training": entries,
        "testing": [{"image": f"{name}.nii.gz", "label": f"{name}_seg.nii.gz"} for name in testing],
    }
    path = folder / "dataset.json"
    path.write_text(json.dumps(content))
    return read_datalist(path, must_exist=False)


def names(cases):
    return [case.name for case in cases]


@pytest.fixture(scope="module")
def folds(tmp_path_factory):
    """Five folds of two; case i of fold i // 2."""
    return write_list(tmp_path_factory.mktemp("folds"), [(f"c{i}", i // 2, (1,)) for i in range(10)])


def test_fewer_shots_are_among_more_and_none_is_held_out(folds):
    chosen = [names(choose_shots(folds, ONE, count=count, seed=3).training) for count in (1, 3, 8)]
    assert set(chosen[0]) < set(chosen[1]) < set(chosen[2])
    assert not {"c0", "c1"} & set(chosen[2])
    assert names(choose_shots(folds, ONE, count=3, seed=3).held_out) == ["c0", "c1"]


def test_the_seed_decides(folds):
    picks = {tuple(names(choose_shots(folds, ONE, count=2, seed=seed).training)) for seed in range(6)}
    assert len(picks) > 1
    assert names(choose_shots(folds, ONE, count=2, seed=5).training) in [list(pick) for pick in picks]


def test_another_fold_or_none(folds):
    assert names(choose_shots(folds, ONE, fold="4").held_out) == ["c8", "c9"]
    everything = choose_shots(folds, ONE, fold="none")
    assert (len(everything.training), everything.held_out) == (10, ())


@pytest.mark.parametrize(("fold", "words"), [("7", "the list has folds"), ("last", "'auto' or 'none'")])
def test_a_fold_that_is_none_is_refused(folds, fold, words):
    with pytest.raises(DataListError, match=words):
        choose_shots(folds, ONE, fold=fold)


@pytest.mark.parametrize("count", [0, 9])
def test_more_shots_than_there_are(folds, count):
    with pytest.raises(DataListError, match="give 1 to 8"):
        choose_shots(folds, ONE, count=count)


def test_without_folds_a_fifth_is_held_out_by_the_seed(tmp_path):
    listed = write_list(tmp_path, [(f"c{i}", None, (1,)) for i in range(5)])
    shots = choose_shots(listed, ONE, seed=1)
    assert (len(shots.training), len(shots.held_out)) == (4, 1)
    assert not set(names(shots.training)) & set(names(shots.held_out))


def test_one_shot_shows_every_structure_where_a_case_does(tmp_path):
    cases = [(f"c{i}", 1, (1,)) for i in range(6)] + [("both", 1, (1, 2)), ("val", 0, (1, 2))]
    listed = write_list(tmp_path, cases)
    for seed in range(5):
        assert names(choose_shots(listed, TWO, count=1, seed=seed).training) == ["both"]


def test_cases_that_cannot_be_used_are_skipped_and_named(tmp_path):
    cases = [
        ("a", 1, (1,)),
        ("gone", 1, None),
        ("b", 1, (1,)),
        ("torn", 1, (1,)),
        ("short", 1, (1,)),
        ("v", 0, (1,)),
        ("t", 1, (1,)),
    ]
    listed = write_list(tmp_path, cases, testing=["t"])
    (tmp_path / "torn_seg.nii.gz").write_bytes(b"no image")
    other_grid = nib.Nifti1Image(np.ones((10, 10, 9), np.uint8), np.diag([2.0, 2.0, 2.0, 1.0]))
    nib.save(other_grid, tmp_path / "short_seg.nii.gz")
    shots = choose_shots(listed, ONE)
    assert names(shots.training) == ["a", "b"]
    reasons = {case.name: case.reason for case in shots.skipped}
    assert set(reasons) == {"t.nii.gz", "gone.nii.gz", "torn.nii.gz", "short.nii.gz"}
    assert "does not exist" in reasons["gone.nii.gz"]
    assert "testing" in reasons["t.nii.gz"]
    assert "not on the image's grid" in reasons["short.nii.gz"]


def test_nothing_to_learn_from_is_said(tmp_path):
    listed = write_list(tmp_path, [("a", 1, ()), ("b", 1, (2,)), ("v", 0, (1,))])
    with pytest.raises(DataListError, match=r"no foreground to learn from: label 1 'spleen'"):
        choose_shots(listed, ONE)
    with pytest.raises(DataListError, match=r"none of 1 training cases can be used; first: .*does not exist"):
        choose_shots(write_list(tmp_path, [("gone", 1, None)]), ONE)


def test_one_case_only(tmp_path):
    listed = write_list(tmp_path, [("a", None, (1,))])
    with pytest.raises(DataListError, match=r"only one usable training case.*--fold none"):
        choose_shots(listed, ONE)
    assert len(choose_shots(listed, ONE, fold="none").training) == 1


def test_all_cases_in_the_fold_that_is_held_out(tmp_path):
    listed = write_list(tmp_path, [("a", 0, (1,)), ("b", 0, (1,))])
    with pytest.raises(DataListError, match="nothing is left to learn from"):
        choose_shots(listed, ONE)
