"""Which scans a user means: each once, with an id that says where it lies."""

import os
from pathlib import Path

import numpy as np
import pytest

from openvista.cohort.inputs import find_cases
from openvista.errors import InputError
from small_dicom import write_series

VOXELS, AFFINE = np.zeros((4, 5, 3), np.int16), np.diag([1.0, 1.0, 2.0, 1.0])


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)


def ids(*inputs, output="elsewhere"):
    return [case.id for case in find_cases([str(text) for text in inputs], str(output))]


def test_a_folder_means_all_scans_below_it(tmp_path):
    touch(tmp_path, "b/ct.nii.gz", "a/ct.nrrd", "top.mha", "notes.txt", ".hidden/ct.nii", "a/.x.nii", "z/series.zip")
    assert ids(tmp_path) == ["a/ct", "b/ct", "top", "z/series"]


def test_results_of_ours_are_no_scans(tmp_path):
    ours = ("ct_seg.nii.gz", "ct_seg.json", "ct_seg.dcm", "ct_sr.dcm")
    touch(tmp_path, "ct.nii.gz", *ours, "of_others_seg.nii.gz", "out/x.nii.gz")
    assert ids(tmp_path, output=tmp_path / "out") == ["ct", "of_others_seg"]


def test_folders_of_slices_are_scans(tmp_path):
    write_series(tmp_path / "patient" / "ct", VOXELS, AFFINE)
    touch(tmp_path, "patient/report.txt", "other/ct.nii.gz")
    assert ids(tmp_path) == ["other/ct", "patient/ct"]
    assert ids(tmp_path / "patient" / "ct") == ["ct"]
    for file in (tmp_path / "patient" / "ct").iterdir():
        file.rename(file.with_suffix(""))  # as many archives export them
    assert ids(tmp_path) == ["other/ct", "patient/ct"]


def test_scans_of_one_name_get_ids_of_their_own(tmp_path):
    touch(tmp_path, "ct.nii.gz", "ct.nii", "x/ct.nii.gz", "y/ct.nii.gz")
    assert ids(tmp_path) == ["ct.nii", "ct.nii.gz", "x/ct", "y/ct"]
    assert ids(tmp_path / "x" / "ct.nii.gz", tmp_path / "y" / "ct.nii.gz") == ["x/ct", "y/ct"]
    assert ids(tmp_path / "x", tmp_path / "y") == ["ct.nii.gz", "ct.nii.gz-2"]


def test_a_scan_that_is_named_twice_is_one(tmp_path):
    touch(tmp_path, "x/ct.nii.gz")
    assert ids(tmp_path / "x", f"file://{tmp_path}/x/ct.nii.gz", f"{tmp_path}/*/*.nii.gz") == ["ct"]


def test_patterns_lists_and_tables(tmp_path):
    touch(tmp_path, "in/a.nii.gz", "in/b.nii.gz", "in/deep/c.nii.gz")
    assert ids(f"{tmp_path}/in/**/*.nii.gz") == ["a", "b", "deep/c"]
    assert ids(f"file://{tmp_path}/in/[ab].nii.gz") == ["a", "b"]
    (tmp_path / "list.csv").write_text("Image,id,series\nin/a.nii.gz,site1/A,\nin/b.nii.gz,,1.2.3\n\n")
    found = find_cases([str(tmp_path / "list.csv")], "out", "7")
    assert [(case.id, case.series) for case in found] == [("b", "1.2.3"), ("site1/A", "7")]
    assert [case.uri for case in found] == [str(tmp_path / "in" / name) for name in ("b.nii.gz", "a.nii.gz")]


def test_a_data_list_names_scans(tmp_path):
    touch(tmp_path, "in/a.nii.gz", "in/deep/c.nii.gz", "in/label.nii.gz")
    (tmp_path / "list.json").write_text(
        '{"training": [{"image": "in/a.nii.gz", "label": "in/label.nii.gz"}], "testing": ["in/deep/c.nii.gz"]}'
    )
    assert ids(tmp_path / "list.json") == ["a", "deep/c"]


def test_identity_follows_the_file(tmp_path):
    touch(tmp_path, "ct.nii.gz")
    write_series(tmp_path / "slices", VOXELS, AFFINE)

    def identities():
        return [case.identity for case in find_cases([str(tmp_path)], "out")]

    before = identities()
    assert identities() == before
    assert all(before)
    os.utime(tmp_path / "ct.nii.gz", (1, 1))
    next((tmp_path / "slices").iterdir()).unlink()
    assert set(identities()).isdisjoint(before)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("empty", "no scan is there"),
        ("*.mha", "no scan is there"),
        ("missing.nii.gz", "no such file or folder"),
        ("no_column.csv", "no column image"),
        ("outside.csv", "cannot name a result"),
        ("shared.csv", "belongs to 2 scans"),
        ("nonsense://bucket/ct", "nonsense"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_line(tmp_path, monkeypatch, text, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    touch(tmp_path, "a.nii", "b.nii")
    (tmp_path / "no_column.csv").write_text("scans\na.nii\n")
    (tmp_path / "outside.csv").write_text("image,id\na.nii,../a\n")
    (tmp_path / "shared.csv").write_text("image,id\na.nii,x\nb.nii,x\n")
    with pytest.raises(InputError, match=words) as refused:
        find_cases([text], "out")
    assert "\n" not in str(refused.value)
