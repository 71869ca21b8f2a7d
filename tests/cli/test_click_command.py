"""``openvista click`` as a user meets it: a tiny model with both branches, in real processes and in this one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from pydicom import dcmread
from typer.testing import CliRunner

from openvista.cli.drawn_text import parse_box, parse_lasso, parse_scribble
from openvista.cli.main import app
from openvista.errors import OpenVistaError, PromptError
from openvista.network import Preset, build
from openvista.weights import ModelCard
from openvista.weights.store import save_model
from small_dicom import write_series

PRESET = Preset(
    name="tiny", filters=8, blocks_per_level=(1, 1), window=(16, 16, 16), spacing=(2.0, 2.0, 2.0), class_rows=140
)
SHAPE = (24, 20, 16)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A scan, a mask on it, and a model."""
    path = tmp_path_factory.mktemp("click")
    random = np.random.default_rng(1)
    voxels = random.integers(-100, 200, SHAPE).astype(np.int16)
    affine = np.diag([-2.0, -2.0, 2.5, 1.0])
    nib.save(nib.Nifti1Image(voxels, affine), path / "ct.nii.gz")
    labels = np.zeros(SHAPE, np.uint8)
    labels[5:12, 5:12, 4:9], labels[14:18, 3:7, 4:9] = 2, 3
    nib.save(nib.Nifti1Image(labels, affine), path / "mask.nii.gz")
    card = ModelCard.from_preset(PRESET, classes=(1, 3), name="tiny")
    save_model(build(PRESET, seed=3), card, path / "tiny")
    return path


class Run:
    """The command in this process; errors as the entry point shows them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, *arguments: object) -> str:
        command = ["click", str(self.folder / "ct.nii.gz"), "-m", str(self.folder / "tiny"), "-d", "cpu"]
        done = CliRunner().invoke(app, [*command, "--precision", "float32", "--no-grow", *map(str, arguments)])
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert done.exit_code == 0, done.output
        return done.output


@pytest.fixture
def run(folder) -> Run:
    return Run(folder)


def read(path: Path) -> np.ndarray:
    return np.asarray(nib.load(path).dataobj)


def test_a_click_in_a_real_process(folder, tmp_path):
    command = [sys.executable, "-m", "openvista", "click", folder / "ct.nii.gz", "--at", "10,9,8", "--new", "lesion"]
    command += ["-m", folder / "tiny", "--no-grow", "-o", tmp_path / "out.nii.gz"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "COLUMNS": "160"}, check=False)
    assert done.returncode == 0, done.stderr
    described = json.loads((tmp_path / "out.json").read_text())
    assert described["labels"] == {"133": "lesion"}
    assert described["prompts"]["objects"][0]["clicks"] == [[10.0, 9.0, 8.0, True]]
    assert read(tmp_path / "out.nii.gz").shape == SHAPE


@pytest.mark.parametrize("command", ["segment", "click"])
def test_a_dicom_series_gives_what_its_nifti_twin_gives(command, folder, tmp_path):
    image = nib.load(folder / "ct.nii.gz")
    for name, number in (("first", 4), ("second", 7)):
        files = write_series(tmp_path / "study" / name, read(folder / "ct.nii.gz"), image.affine, SeriesNumber=number)
    files[6].unlink()

    def do(scan, target, *options):
        asked = ["--class", "1"] if command == "segment" else ["--at", "10,9,8", "--new", "lesion", "--no-grow"]
        words = [command, scan, "-m", folder / "tiny", "-d", "cpu", *asked, "-q", "-o", tmp_path / target, *options]
        return CliRunner().invoke(app, [str(word) for word in words])

    assert do(folder / "ct.nii.gz", "nifti.nii.gz").exit_code == 0
    assert do(tmp_path / "study", "dicom.nii.gz", "--series", "4").exit_code == 0
    ours, twin = nib.load(tmp_path / "dicom.nii.gz"), nib.load(tmp_path / "nifti.nii.gz")
    assert np.array_equal(ours.dataobj, twin.dataobj)
    assert np.allclose(ours.affine, twin.affine)
    assert "holds 2 CT series" in str(do(tmp_path / "study", "x.nii.gz").exception)
    assert "1 slice is missing" in str(do(tmp_path / "study", "x.nii.gz", "--series", "7").exception)
    assert not (tmp_path / "x.nii.gz").exists()
    assert do(tmp_path / "study", "filled.nii.gz", "--series", "7", "--fill-gaps").exit_code == 0
    assert nib.load(tmp_path / "filled.nii.gz").shape == SHAPE


def test_a_click_outside_writes_nothing_and_says_why(run, tmp_path):
    message = r"click \(100, 9, 8\) lies outside the scan of shape \(24, 20, 16\): it changed nothing"
    with pytest.raises(PromptError, match=message):
        run("--at", "100,9,8", "-o", tmp_path / "a.nii.gz")
    assert list(tmp_path.iterdir()) == []
    assert "lies outside the scan" in run("--at", "100,9,8", "--at", "10,9,8", "-o", tmp_path / "a.nii.gz")


def test_a_session_goes_on_and_back(run, tmp_path):
    session, out = tmp_path / "case.ovsession", tmp_path / "a.nii.gz"
    run("--at", "10,9,8", "--session", session, "-o", out)
    first = read(out)
    run("--at", "12,9,8", "--at", "5,9,8,-", "--session", session, "-o", out)
    assert not np.array_equal(read(out), first)
    run("--undo", 1, "--session", session, "-o", out)
    assert np.array_equal(read(out), first)


def test_a_log_replays_to_the_same_masks(run, tmp_path):
    log, session = tmp_path / "log.json", tmp_path / "case.ovsession"
    run(
        "--class",
        "liver",
        "--no-automatic",
        "--at",
        "10,9,8",
        "--at",
        "3,9,8,-",
        "--log",
        log,
        "-o",
        tmp_path / "a.nii",
    )
    run("--box", "4,12,4,12,8,9", "--new", "node", "--replay", log, "--session", session, "-o", tmp_path / "b.nii")
    run("--replay", log, "-o", tmp_path / "c.nii")
    run("--replay", session, "-o", tmp_path / "d.nii")
    assert np.array_equal(read(tmp_path / "a.nii"), read(tmp_path / "c.nii"))
    assert np.array_equal(read(tmp_path / "b.nii"), read(tmp_path / "d.nii"))
    assert {1, 133} >= set(np.unique(read(tmp_path / "b.nii"))) - {0}


def test_a_correction_leaves_the_rest_of_a_segmentation_alone(run, folder, tmp_path):
    run("--start", folder / "mask.nii.gz", "--class", "label 2", "--at", "8,8,6", "-o", tmp_path / "a.nii.gz")
    before, after = read(folder / "mask.nii.gz"), read(tmp_path / "a.nii.gz")
    assert np.array_equal(after == 3, before == 3)
    assert json.loads((tmp_path / "a.json").read_text())["labels"] == {"2": "label 2", "3": "label 3"}


def test_clicks_in_millimetres(run, tmp_path):
    run("--at", "10,9,8", "-o", tmp_path / "a.nii")
    run("--world", "--at", "-20,-18,20", "-o", tmp_path / "b.nii")
    assert np.array_equal(read(tmp_path / "a.nii"), read(tmp_path / "b.nii"))


def test_layers_are_files(run, tmp_path):
    session = tmp_path / "case.ovsession"
    run("--new", "a", "--at", "10,9,8", "--session", session, "-o", tmp_path / "a.nii.gz", "-q")
    run("--new", "b", "--at", "10,9,8", "--session", session, "--overlap", "layers", "-o", tmp_path / "b.nii.gz")
    masks = read(tmp_path / "a.nii.gz") > 0
    if masks.any():
        written = {path.name for path in tmp_path.glob("b*.nii.gz")}
        assert written == {"b.nii.gz", "b_2.nii.gz"}


def test_layers_are_one_dicom_object(folder, tmp_path):
    """Two objects at one place: both are whole in the segmentation, and each label map holds one of them."""
    series = tmp_path / "series"
    write_series(series, np.full((24, 20, 6), 40, np.int16), np.diag([-2.0, -2.0, 2.5, 1.0]))
    command = ["click", str(series), "-m", str(folder / "tiny"), "-d", "cpu", "--no-grow", "-q"]
    start = ["--at", "10,9,3", "--session", str(tmp_path / "case.ovsession"), "-o", str(tmp_path)]
    for more in (["--new", "a"], ["--new", "b", "--overlap", "layers", "--format", "dicom-seg", "--format", "nii.gz"]):
        done = CliRunner().invoke(app, [*command, *start, *more])
        assert done.exit_code == 0, done.output
    assert sorted(path.name for path in tmp_path.glob("series_seg*.dcm")) == ["series_seg.dcm"]
    layers = [read(tmp_path / name) > 0 for name in ("series_seg.nii.gz", "series_seg_2.nii.gz")]
    seg = dcmread(tmp_path / "series_seg.dcm")
    assert [item.SegmentLabel for item in seg.SegmentSequence] == ["a", "b"]
    numbers = [
        frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber for frame in seg.PerFrameFunctionalGroupsSequence
    ]
    for number, layer in enumerate(layers, start=1):
        frames = [pixels for pixels, own in zip(seg.pixel_array, numbers, strict=True) if own == number]
        assert int(np.sum(frames)) == np.count_nonzero(layer) > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "nothing is asked"),
        (["--at", "1,2"], "click '1,2' is not understood"),
        (["--at", "1,2,3", "--class", "liver", "--new", "x"], "two objects"),
        (["--at", "1,2,3", "--class", "livr"], "no object is called 'livr'"),
        (["--box", "1,2,3"], "box '1,2,3' is not understood"),
        (["--at", "1,2,3", "--overlap", "best"], "no overlap policy 'best'"),
        (["--box", "1,2,3,4,5,6", "--world"], "--world is for --at only"),
        (["--replay", "no.json"], "there is no such log"),
    ],
)
def test_wrong_input_is_one_line_and_nothing_is_written(run, tmp_path, arguments, message):
    with pytest.raises(OpenVistaError, match=message) as caught:
        run(*arguments, "-o", tmp_path / "a.nii.gz")
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_drawn_prompts_as_text():
    assert parse_box("1,2,3,4,5,6") == ([(1, 2), (3, 4), (5, 6)], True)
    assert parse_box("1,2,3,4,5,6,-") == ([(1, 2), (3, 4), (5, 6)], False)
    assert parse_scribble("1,2,3; 4,5,6 ;-") == ([(1, 2, 3), (4, 5, 6)], False)
    assert parse_lasso("z = 15;1,2;3,4;5,6") == (([(1, 2), (3, 4), (5, 6)], 2, 15), True)
    for parse, text in (
        (parse_box, "a,b"),
        (parse_scribble, "1,2;3"),
        (parse_lasso, "15;1,2"),
        (parse_lasso, "x=1;1;2"),
    ):
        with pytest.raises(PromptError, match="is not understood"):
            parse(text)


def test_the_help_teaches():
    text = CliRunner().invoke(app, ["click", "--help"], env={"COLUMNS": "160"}).output
    for word in ("--at", "--replay", "--session", "--new lesion", "brainstem"):
        assert word in text
