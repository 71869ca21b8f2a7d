"""``openvista cvpr predict`` and ``openvista cvpr evaluate`` as a container and a user meet them."""

import csv
import os
import subprocess
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

from openvista.cli.main import app
from openvista.cvpr.image import Reading
from openvista.errors import DataListError, InputError, ModelError, OutputError, PromptError, RecipeError, ScanError
from openvista.io import read_labels, read_scan
from openvista.network import PRESETS
from small_challenge import TINY, box_of, two_balls, write_capped_objects, write_case
from small_evaluation import save_tiny

HU = Reading._hu


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("models") / "tiny", seed=8)


@pytest.fixture
def inputs(tmp_path):
    (tmp_path / "inputs").mkdir()
    return tmp_path / "inputs"


def cvpr(command, inputs, outputs, model, *options):
    arguments = ["cvpr", command, "-i", inputs, "-o", outputs, "-m", model, "--precision", "float32", "-p", "bundle"]
    return CliRunner().invoke(app, [str(argument) for argument in (*arguments, *options)])


def test_a_container_run_by_run(inputs, tmp_path, model):
    """As the official script does it: the same file again and again, with more clicks and the previous answer."""
    labels, outputs = two_balls(), tmp_path / "outputs"
    write_case(inputs / "MR_case.npz", labels)
    assert cvpr("predict", inputs, outputs, model, "-q", "--orientation", "auto").exit_code == 0
    with np.load(outputs / "MR_case.npz") as stored:
        segs = stored["segs"]
    assert (segs.dtype, segs.shape) == (np.uint8, labels.shape)
    assert set(np.unique(segs)) <= {0, 1, 2}
    clicks = [{"fg": [[9, 8, 8]], "bg": []}, {"fg": [], "bg": [[0, 0, 0]]}]
    write_case(inputs / "MR_case.npz", labels, clicks=clicks, clicks_order=[["fg"], ["bg"]], prev_pred=segs)
    done = cvpr("predict", inputs, outputs, model)
    assert done.exit_code == 0, done.output
    assert [path.name for path in outputs.iterdir()] == ["MR_case.npz"]
    with np.load(outputs / "MR_case.npz") as stored:
        assert stored["segs"][9, 8, 8] == 1
        assert stored["segs"][0, 0, 0] != 2


def test_the_official_table_is_the_same_every_time(inputs, tmp_path, model):
    truth = tmp_path / "truth"
    truth.mkdir()
    small = two_balls()[4:16, 2:14, 2:14]
    for name, boxes in (("a", True), ("b", False)):
        write_case(inputs / f"{name}.npz", small, boxes=boxes)
        np.savez_compressed(truth / f"{name}.npz", gts=small)
    tables = []
    for run in ("one", "two"):
        done = cvpr("evaluate", inputs, tmp_path / run, model, "--truth", truth)
        assert done.exit_code == 0, done.output
        assert "DSC_AUC" in done.output
        with (tmp_path / run / "tiny_metrics.csv").open() as stream:
            tables.append([{k: v for k, v in row.items() if "Time" not in k} for row in csv.DictReader(stream)])
    assert tables[0] == tables[1]
    assert [row["CaseName"] for row in tables[0]] == ["a.npz", "b.npz"]
    assert tables[0][1]["DSC_1"] == "0.0"
    with np.load(tmp_path / "one" / "a.npz") as stored:
        assert stored["all_segs"].shape == (6, *small.shape)
        assert np.array_equal(stored["all_segs"][-1], stored["segs"])


def test_a_real_ct_goes_all_the_way(inputs, tmp_path, model, example_ct, example_labels):
    scan, (labels, _) = read_scan(example_ct), read_labels(example_labels)
    part = (slice(40, 85), slice(15, 60), slice(80, 105))
    image = ((scan.voxels[part].astype(float).clip(-160, 240) + 160) / 400 * 255).astype(np.uint8).transpose(2, 1, 0)
    truth = np.isin(labels[part], (1, 7)).astype(np.uint8) * labels[part].astype(np.uint8)
    truth = truth.transpose(2, 1, 0)  # brainstem and mandible: not numbered one after the other
    boxes = [box_of(truth == value) for value in (1, 7)]
    x, y, z = scan.grid.spacing
    np.savez_compressed(inputs / "CT.npz", imgs=image, gts=truth, spacing=np.array([z, y, x]), boxes=boxes)
    done = cvpr("evaluate", inputs, tmp_path / "outputs", model, "--window=-160,240", "-q")
    assert (done.exit_code, done.output) == (0, "")
    with np.load(tmp_path / "outputs" / "CT.npz") as stored:
        assert set(np.unique(stored["segs"])) <= {0, 1, 7}
        assert stored["segs"].shape == image.shape


@pytest.mark.parametrize("command", ["predict", "evaluate"])
def test_one_bad_case_does_not_stop_the_others(inputs, tmp_path, model, command):
    write_case(inputs / "a.npz", two_balls(), gts=two_balls())
    (inputs / "b.npz").write_bytes(b"nothing")
    done = cvpr(command, inputs, tmp_path / "outputs", model, "-q")
    assert isinstance(done.exception, InputError)
    assert "1 of 2" in str(done.exception)
    assert "b.npz" in done.output
    assert "b.npz" not in {path.name for path in (tmp_path / "outputs").iterdir()}
    assert (tmp_path / "outputs" / "a.npz").is_file()


def without_prompts(folder):
    write_case(folder / "a.npz", two_balls(), boxes=False)


def click_outside(folder):
    write_case(folder / "a.npz", two_balls(), boxes=False, clicks=[{"fg": [[99, 1, 1]], "bg": []}])


def no_case(folder):
    (folder / "readme.txt").write_text("nothing here")


def good(folder):
    write_case(folder / "a.npz", two_balls())


@pytest.mark.parametrize(
    ("command", "fill", "options", "error", "word"),
    [
        ("predict", without_prompts, [], PromptError, "neither boxes nor clicks"),
        ("predict", click_outside, [], PromptError, "outside"),
        ("predict", no_case, [], InputError, "no .npz file"),
        ("predict", good, ["--resample", "maybe"], InputError, "maybe"),
        ("predict", good, ["--window", "low"], InputError, "--window"),
        ("predict", good, ["--orientation", "LPR"], InputError, "orientation 'LPR'"),
        ("predict", good, ["-p", "fastest"], InputError, "fastest"),
        ("predict", good, ["-m", "nothing"], ModelError, "nothing"),
        ("evaluate", good, [], ScanError, "--truth"),
        ("evaluate", good, ["--truth", "nowhere"], ScanError, "nowhere"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(inputs, tmp_path, model, command, fill, options, error, word):
    fill(inputs)
    done = cvpr(command, inputs, tmp_path / "outputs", model, *options)
    assert isinstance(done.exception, error), done.output
    assert word in str(done.exception)
    assert "\n" not in str(done.exception)
    assert not (tmp_path / "outputs").exists() or list((tmp_path / "outputs").iterdir()) == []


def test_cases_are_not_overwritten(inputs, model):
    good(inputs)
    before = (inputs / "a.npz").read_bytes()
    done = cvpr("predict", inputs, inputs, model)
    assert isinstance(done.exception, OutputError)
    assert (inputs / "a.npz").read_bytes() == before


def test_the_exit_code_is_two(inputs, tmp_path, model):
    click_outside(inputs)
    command = [sys.executable, "-m", "openvista", "cvpr", "predict", "-i", inputs, "-o", tmp_path / "o", "-m", model]
    done = subprocess.run(
        list(map(str, command)), env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stderr.startswith("openvista: error: ")
    assert len(done.stderr.splitlines()) == 1


def test_train_makes_a_model_that_predict_takes_by_itself(tmp_path, inputs, monkeypatch):
    monkeypatch.setitem(PRESETS, "tiny", TINY)
    write_capped_objects(inputs / "CT.npz", 0)
    (tmp_path / "list.json").write_text('["CT.npz"]')
    small = ["preset=tiny", "start_from=null", "epochs=null", "steps=2", "precision=float32", "user_rounds=1"]
    settings = [word for setting in small for word in ("--set", setting)]
    command = ["cvpr", "train", tmp_path / "list.json", "--root", inputs, "-o", tmp_path / "run", *settings]
    done = CliRunner().invoke(app, list(map(str, command)))
    assert done.exit_code == 0, done.output
    assert done.output.splitlines()[-2:] == [
        str(tmp_path / "run" / "model"),
        str(tmp_path / "run" / "model_epoch0.pth"),
    ]
    asked = []
    monkeypatch.setattr(
        "openvista.cvpr.image.Reading._hu", lambda reading, *rest: asked.append(reading) or HU(reading, *rest)
    )
    assert cvpr("predict", inputs, tmp_path / "outputs", tmp_path / "run" / "model", "-q").exit_code == 0
    assert [(reading.percentiles, reading.resample) for reading in asked] == [((1.0, 99.0), "never")]
    again = CliRunner().invoke(app, list(map(str, command)))
    assert isinstance(again.exception, RecipeError)
    assert "--resume" in str(again.exception)


@pytest.mark.parametrize(
    ("options", "error", "word"),
    [
        (["--root", "nowhere"], DataListError, "no such folder"),
        (["--root", ".", "--set", "fold=1"], RecipeError, "no folds"),
        (["--root", ".", "--set", "colour=1"], RecipeError, "colour"),
        (["--root", ".", "-m", "nothing"], ModelError, "nothing"),
        (["--root", ".", "--set", "start_from=null", "--set", "preset=starter"], DataListError, "cannot be read"),
    ],
)
def test_what_cannot_be_trained_on_leaves_no_run(tmp_path, options, error, word):
    run = tmp_path / "run"
    done = CliRunner().invoke(app, ["cvpr", "train", str(tmp_path / "list.json"), "-o", str(run), *options])
    assert isinstance(done.exception, error), done.output
    assert word in str(done.exception)
    assert "\n" not in str(done.exception)
    assert not run.exists()


def test_help_teaches():
    text = CliRunner().invoke(app, ["cvpr", "predict", "--help"], env={"COLUMNS": "160"}).output
    assert "prev_pred" in text
    assert "openvista cvpr predict -i inputs" in text
    assert "DSC_AUC" in CliRunner().invoke(app, ["cvpr", "evaluate", "--help"], env={"COLUMNS": "160"}).output
