"""``openvista batch`` as a user meets it: exit codes, one line for what is wrong, the same again costs nothing."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from serving import ct_file, make_model
from typer.testing import CliRunner

from openvista.cli.main import app
from openvista.cohort.case import Attempt, CaseResult, CohortCase
from openvista.cohort.failures import Failure
from openvista.cohort.manifest import Shard, open_manifest
from openvista.errors import InputError, UnfinishedError
from small_cohort import KEY


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return make_model(tmp_path_factory.mktemp("models"), "small", ("automatic",))


def batch(*words: object):
    """The command inside this process; its workers are processes all the same."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        return CliRunner().invoke(app, ["batch", *map(str, words)])
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_cohort_from_first_to_last(model, tmp_path):
    (tmp_path / "in" / "deep").mkdir(parents=True)
    ct_file(tmp_path / "in" / "a.nii.gz", 1)
    ct_file(tmp_path / "in" / "deep" / "b.nii.gz", 2)
    (tmp_path / "in" / "bad.nii.gz").write_text("no image")
    words = (tmp_path / "in", "-o", tmp_path / "out", "-m", model, "--class", "liver", "-w", "1", "--previews", "0")
    for done, kept in ((2, 0), (0, 2)):
        ended = batch(*words, "--prometheus", tmp_path / "batch.prom")
        assert isinstance(ended.exception, UnfinishedError)
        assert ended.exception.exit_code == 3
        assert "1 of 3 scans failed (1 input)" in str(ended.exception)
        progress = json.loads((tmp_path / "out" / "progress.json").read_text())
        assert (progress["done"], progress["kept"]) == (done, kept)
        assert f'state="done"}} {done}.0' in (tmp_path / "batch.prom").read_text()
    written = {file.relative_to(tmp_path / "out").as_posix() for file in (tmp_path / "out").rglob("*.*")}
    results = {f"{name}_seg.{ending}" for name in ("a", "deep/b") for ending in ("nii.gz", "json")}
    about = {"manifest.jsonl", "manifest.lock", "progress.json", "cases.csv", "volumes.csv", "report.html"}
    assert written == results | about
    (tmp_path / "in" / "bad.nii.gz").unlink()
    ended = batch(*words)
    assert (ended.exit_code, ended.exception) == (0, None)
    assert "of 2 scans 0 done now and 2 earlier" in ended.output


def test_in_a_pipeline_or_not_the_files_are_the_same(model, tmp_path):
    (tmp_path / "in").mkdir()
    for seed in range(4):
        ct_file(tmp_path / "in" / f"{seed}.nii.gz", seed)
    (tmp_path / "in" / "2.nii.gz").write_text("no image")
    words = (tmp_path / "in", "-m", model, "-w", "1", "--previews", "0", "--per-class", "--combine", "kidney")
    for name, option in (("with", "--pipeline"), ("without", "--no-pipeline")):
        assert "1 of 4 scans failed" in str(batch(*words, "-o", tmp_path / name, option).exception)
    files = sorted(file.relative_to(tmp_path / "with") for file in (tmp_path / "with").rglob("*_seg*/*.nii.gz"))
    assert {file.parts[0] for file in files} == {"0_seg", "1_seg", "3_seg"}
    assert {file.name for file in files} >= {"liver.nii.gz", "kidney.nii.gz"}
    for file in files:
        assert (tmp_path / "with" / file).read_bytes() == (tmp_path / "without" / file).read_bytes()
    assert "kidney" in (tmp_path / "with" / "volumes.csv").read_text().splitlines()[0].split(",")


def test_merge_tells_what_is_missing(tmp_path):
    def run(index: int, state: str) -> None:
        with open_manifest(tmp_path, Shard(index, 2), KEY) as manifest:
            manifest.begin(1, {1: "liver"})
            attempt = Attempt(CohortCase(str(index), "ct.nii.gz"))
            manifest.ended(CaseResult(attempt, failure=Failure("input", "ScanError", "no CT")), state)

    run(0, "failed")
    refused = batch("merge", tmp_path).exception
    assert isinstance(refused, InputError)
    assert "shard 1/2" in str(refused)
    run(1, "waiting")
    unfinished = batch("merge", tmp_path).exception
    assert isinstance(unfinished, UnfinishedError)
    assert "1 scans have no result yet" in str(unfinished)
    assert len((tmp_path / "cases.csv").read_text().splitlines()) == 3


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere"], "no such file or folder"),
        (["--engine", "spark", "."], "no engine 'spark'"),
        (["--format", "png", "."], "no format 'png'"),
        (["-c", "mandble", "."], "mandible"),
        (["--shard", "2/2", "."], "INDEX/COUNT"),
        (["--engine-option", "cpus=1", "."], "the local engine has no options"),
        (["--engine", "slurm", "--engine-option", "tasks", "."], "KEY=VALUE"),
        (["--combine", "bone marrow", "."], "no combination 'bone marrow'"),
        (["--seg-type", "labelmap", "."], "--seg-type is for --format dicom-seg"),
        (["--store", "pacs.example", "."], "give an address such as https://"),
        (["--store", "https://pacs.example/dicom-web", "--spacing", "3", "."], "leave out --spacing"),
        (["https://pacs.example/dicom-web/patients/7"], "studies/UID/series/UID"),
        (["."], "no scan is there"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(tmp_path, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    if said != "no scan is there":
        (tmp_path / "ct.nii.gz").write_text("x")
    ended = batch(*words, "-o", tmp_path / "out")
    assert isinstance(ended.exception, InputError)
    assert said in str(ended.exception)
    assert not (tmp_path / "out").exists()


def test_a_scheduler_stops_it_as_a_user_does(model, tmp_path):
    (tmp_path / "in").mkdir()
    for seed in range(40):
        ct_file(tmp_path / "in" / f"{seed}.nii.gz", seed)
    words = [tmp_path / "in", "-o", tmp_path / "out", "-m", model, "-w", "1"]
    command = [sys.executable, "-m", "openvista", "batch", *map(str, words)]
    driver = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    manifest = tmp_path / "out" / "manifest.jsonl"
    while not manifest.exists() or '"done"' not in manifest.read_text():
        assert driver.poll() is None
        time.sleep(0.02)
    driver.send_signal(signal.SIGTERM)
    _, said = driver.communicate(timeout=60)
    assert driver.returncode == 130
    assert said == "openvista: stopped; nothing half-written was left behind\n"
    assert not [file for file in (tmp_path / "out").glob(".*") if file.suffix != ".lock"]
