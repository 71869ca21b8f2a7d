"""``openvista segment`` over several scans: steps that overlap change nothing about what is written."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from serving import ct_file, make_model
from typer.testing import CliRunner

from openvista.cli.main import app
from openvista.errors import InputError
from openvista.io import read_segmentation


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return make_model(tmp_path_factory.mktemp("models"), "small", ("automatic",))


def segment(*words: object):
    return CliRunner().invoke(app, ["segment", *map(str, words)])


def test_in_a_pipeline_or_not_the_files_are_the_same(model, tmp_path):
    scans = [ct_file(tmp_path / f"{seed}.nii.gz", seed) for seed in range(4)]
    scans[1].write_text("no image")
    for name, option in (("with", "--pipeline"), ("without", "--no-pipeline")):
        ended = segment(*scans, "-m", model, "-o", tmp_path / name, option, "--table", "--probabilities", "-q")
        assert isinstance(ended.exception, InputError)
        assert "1 of 4 scans could not be segmented; the others are done" in str(ended.exception)
    files = sorted(path.relative_to(tmp_path / "with") for path in (tmp_path / "with").rglob("*.*") if path.is_file())
    assert {f"{seed}_seg.{ending}" for seed in (0, 2, 3) for ending in ("nii.gz", "json", "csv")} <= set(
        map(str, files)
    )
    for file in files:
        assert (tmp_path / "with" / file).read_bytes() == (tmp_path / "without" / file).read_bytes()


def test_ctrl_c_leaves_whole_files_only(model, tmp_path):
    scans = [ct_file(tmp_path / f"{seed}.nii.gz", seed) for seed in range(60)]
    words = ["segment", *scans, "-m", model, "-o", tmp_path / "out", "-q"]
    running = subprocess.Popen([sys.executable, "-m", "openvista", *map(str, words)], stderr=subprocess.PIPE, text=True)
    while len(list((tmp_path / "out").glob("*_seg.nii.gz"))) < 2:
        assert running.poll() is None
        time.sleep(0.01)
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=60)
    assert running.returncode == 130
    assert said == "openvista: stopped; nothing half-written was left behind\n"
    written = list((tmp_path / "out").iterdir())
    assert len(written) < 120
    assert [file for file in written if file.name.startswith(".")] == []
    for file in (tmp_path / "out").glob("*.nii.gz"):
        assert read_segmentation(file).names
