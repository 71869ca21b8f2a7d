"""Options of data lists: roots and label sets, as the original's configs have them, on three commands."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from typer.testing import CliRunner

from openvista.cli.list_options import list_roots, mapping_items, scans_in_folders
from openvista.cli.main import app
from openvista.errors import DataListError
from small_evaluation import save_tiny, write_cases


def test_label_sets_become_mappings():
    assert mapping_items(None, "0,1,2", "[0, 1, 3]") == ["1=1", "2=3"]
    assert mapping_items(["1=liver"], None, None) == ["1=liver"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((["1=liver"], "0,1", "0,1"), "--map and --label-set"),
        ((None, "0,1", None), "go together"),
        ((None, "0,a", "0,1"), "--label-set 0,a: write whole numbers"),
        ((None, "0,1,2", "0,1"), "3 and 2 values"),
    ],
)
def test_label_sets_that_make_no_sense(arguments, words):
    with pytest.raises(DataListError, match=words):
        mapping_items(*arguments)


def test_roots_are_whole_paths():
    assert list_roots(Path("a"), None, Path("/b")) == {"root": Path("a").resolve(), "supervoxel_root": Path("/b")}


def test_folders_stand_for_the_scans_in_them(tmp_path):
    def made(*names):
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(b"")
        return [tmp_path / name for name in names]

    images = made("in/a.nii.gz", "in/b.mha", "in/p1/ct.nii", "in/p2/deep/ct.nrrd")
    made("in/notes.txt", "in/.hidden.nii", "in/.git/x.nii", "in/out/a_seg.nii.gz", "in/p3/1.dcm", "in/p3/2.dcm")
    (tmp_path / "in" / "p1" / "ct_seg.json").write_text('{"labels": {}}')
    made("in/p1/ct_seg.nii.gz", "in/p1/ct_seg/liver.nii.gz", "empty/x.txt")
    folder, out = tmp_path / "in", tmp_path / "in" / "out"
    assert scans_in_folders([folder], False, out) == images[:2]
    found = scans_in_folders([folder, tmp_path / "else.nii", images[1]], True, out)
    assert found == [*images, tmp_path / "in" / "p3", tmp_path / "else.nii"]
    assert scans_in_folders([tmp_path / "empty"], True, None) == [tmp_path / "empty"]
    assert scans_in_folders([tmp_path / "in" / "p3"], False, None) == [tmp_path / "in" / "p3"]


def test_evaluate_a_list_whose_files_lie_elsewhere(tmp_path):
    """It names pseudo-labels that are nowhere: nothing is scored against them."""
    save_tiny(tmp_path / "model")
    write_cases(tmp_path)
    content = json.loads((tmp_path / "list.json").read_text())
    content["testing"] = [entry | {"pseudo_label": "none.nii.gz"} for entry in content["testing"]]
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "list.json").write_text(json.dumps(content))
    options = ["--root", tmp_path, "--label-set", "0,1", "--mapped-label-set", "0,3", "-m", tmp_path / "model", "-q"]
    command = ["evaluate", tmp_path / "lists" / "list.json", *options, "-o", tmp_path / "run"]
    done = CliRunner().invoke(app, [str(argument) for argument in command])
    assert done.exit_code == 0, done.exception
    rows = (tmp_path / "run" / "scores.csv").read_text().splitlines()[1:]
    assert rows
    assert all("spleen" in row for row in rows)


@pytest.mark.parametrize("command", [["finetune"], ["train", "recipe.yaml", "--datalist"], ["evaluate"]])
def test_a_root_that_is_no_folder_is_one_line(tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    nib.save(nib.Nifti1Image(np.zeros((4, 4, 4), np.uint8), np.eye(4)), tmp_path / "a.nii.gz")
    entry = {"image": "a.nii.gz", "label": "a.nii.gz", "fold": 0}
    Path("list.json").write_text(json.dumps({"labels": {"1": "spleen"}, "training": [entry], "testing": [entry]}))
    Path("recipe.yaml").write_text("augmentation: {mirror: false}\nclasses: {1: spleen}\n")
    caught = CliRunner().invoke(app, [*command, "list.json", "--root", "gone", "-o", "run"]).exception
    assert isinstance(caught, DataListError), caught
    assert "gone, which is no folder" in str(caught)
    assert not Path("run").exists()
