"""``openvista datalist``: files, exit codes, one line on standard error."""

import json
import shutil
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from openvista.cli.main import app
from openvista.datalist import read_datalist
from openvista.errors import DataListError, OutputError


@pytest.fixture
def folder(tmp_path, example_ct, example_labels):
    for case in "abc":
        shutil.copy(example_ct, tmp_path / f"{case}_ct.nii.gz")
        shutil.copy(example_labels, tmp_path / f"{case}_seg.nii.gz")
    return tmp_path


def run(*arguments):
    return CliRunner().invoke(app, ["datalist", *map(str, arguments)], env={"COLUMNS": "200"})


def test_make_then_check(folder):
    (folder / "names.json").write_text(json.dumps({"labels": {"0": "background", "5": "esophagus", "7": "mandible"}}))
    made = run("make", folder, "--seed", 1, "--names", folder / "names.json")
    assert made.exit_code == 0, made.output
    assert "cases: 2 for training in 2 folds, 1 for testing" in made.output
    listed = read_datalist(folder / "dataset.json")
    assert listed.label_names[7] == "mandible"
    checked = run("check", folder / "dataset.json", "-v")
    assert checked.exit_code == 0, checked.output
    assert "3 cases: 3 can be used; 0 cannot" in checked.output
    assert "esophagus" in checked.output


def test_an_existing_list_is_not_replaced_unasked(folder):
    (folder / "dataset.json").write_text("mine")
    assert isinstance(run("make", folder).exception, OutputError)
    assert (folder / "dataset.json").read_text() == "mine"
    for names in (["--names", "1=brainstem,2=cord"], ["--names", "1=brainstem", "--names", "2=cord"]):
        assert run("make", folder, "--overwrite", *names, "-q").output == ""
        assert read_datalist(folder / "dataset.json").label_names[2] == "cord"


@pytest.mark.parametrize("names", ["liver", "9" * 5000 + "=a", "0=air", "1=a,1=b", "1=", "x=liver"])
def test_names_that_are_unclear_are_refused(folder, names):
    error = run("make", folder, "--names", names).exception
    assert isinstance(error, DataListError)
    assert "--names" in str(error)
    assert not (folder / "dataset.json").exists()


def test_a_bad_case_is_reported_left_out_on_request_and_ends_with_2(folder, tmp_path):
    run("make", folder)
    (folder / "b_seg.nii.gz").write_bytes(b"broken")
    report, usable = tmp_path / "report.json", tmp_path / "usable.json"
    command = ["datalist", "check", folder / "dataset.json", "--json", report, "--write-usable", usable]
    done = subprocess.run(
        [sys.executable, "-m", "openvista", *map(str, command)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "1 of 3 cases cannot be used: b_ct.nii.gz" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert "b_seg.nii.gz" in "".join(done.stdout.split())
    assert json.loads(report.read_text())["cases_unusable"] == 1
    kept = read_datalist(usable)
    assert {case.name for case in (*kept.training, *kept.testing)} == {"a_ct", "c_ct"}


def test_outputs_without_a_folder_are_refused_before_the_work(folder):
    run("make", folder)
    error = run("check", folder / "dataset.json", "--json", folder / "none" / "report.json").exception
    assert isinstance(error, OutputError)
    assert "create it first" in str(error)


def test_a_list_below_another_folder(folder, tmp_path):
    lists = tmp_path / "lists"
    lists.mkdir()
    names = {str(value): f"organ {value}" for value in range(1, 8)}
    content = {"label_dict": names, "training": [{"image": "a_ct.nii.gz", "label": "a_seg.nii.gz"}]}
    (lists / "research.json").write_text(json.dumps(content))
    assert run("check", lists / "research.json", "--root", folder).exit_code == 0
    error = run("check", lists / "research.json").exception
    assert "1 of 1 cases cannot be used" in str(error)


def test_a_case_that_lacks_only_its_supervoxels_is_kept_without_them(folder):
    run("make", folder)
    content = json.loads((folder / "dataset.json").read_text())
    for entry in [*content["training"], *content["testing"]]:
        entry["label_sv"] = "none.nii.gz"
    (folder / "dataset.json").write_text(json.dumps(content))
    run("check", folder / "dataset.json", "--write-usable", folder / "usable.json")
    kept = read_datalist(folder / "usable.json")
    assert len(kept.every_case) == 3
    assert all(case.supervoxels is None for case in kept.every_case)
