"""A model for CT and MR from its checkpoint to results, as a user meets it; small random weights, official naming."""

import shlex
from importlib.util import find_spec
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from pydicom import dcmread
from serving import ct_file
from typer.testing import CliRunner

from openvista.cli.main import app
from openvista.io import read_segmentation
from openvista.network import Preset, build
from openvista.weights import find_model
from openvista.weights.official import adapt, to_naming
from small_dicom import write_series
from small_inference import TINY_CTMR

NAME = "vista3d-ctmr"
PAGE = Path(__file__).parents[2] / "docs/ctmr.md"
DEMO = Path(__file__).parents[2] / "examples/data/head_neck_labels.nii.gz"
BRAIN = ("segment", "--model", NAME, "--modality", "mri_brain", "--template", DEMO)
PRESET = Preset(name="small", filters=4, blocks_per_level=(1, 1), window=(16, 16, 16), spacing=(2.0, 2.0, 2.0))


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """The user's models, with one that was imported."""
    folder = tmp_path_factory.mktemp("home")
    network = build(PRESET, seed=3)
    with torch.no_grad():
        network.class_head.linear2.weight *= 5
    torch.save(to_naming(adapt(network.state_dict()), "monai-1.4"), folder / "model.pt")
    words = ["models", "import", folder / "model.pt", "--name", NAME, "--family", "ctmr"]
    words += ["--spacing", "2,2,2", "--window", "16,16,16"]
    ended = CliRunner().invoke(app, list(map(str, words)), env={"OPENVISTA_HOME": str(folder)})
    ready = f"{NAME} is ready: openvista segment MR.nii.gz --modality MRI_BODY --model {NAME}\n"
    assert ended.output == ready, ended.exception
    return folder


@pytest.fixture
def here(openvista_here, home, monkeypatch):
    monkeypatch.setenv("OPENVISTA_HOME", str(home))
    return openvista_here


def mr_file(path: Path) -> Path:
    image = nib.load(ct_file(path))
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj) + 900, image.affine), path)
    return path


def test_what_was_imported(home):
    card = find_model(NAME, home).card
    assert (card.family, card.branches, card.class_rows, len(card.class_ids)) == ("ctmr", ("automatic",), 512, 330)
    assert card.preset().scaling == TINY_CTMR.scaling


def test_classes_say_what_they_were_seen_in(here):
    said = here("classes", "vertebra", "--model", NAME).stdout
    assert "seen in MRI" in next(line for line in said.splitlines() if "146" in line)
    assert "seen in CT" in next(line for line in said.splitlines() if "vertebrae L5" in line)
    assert "seen in CT and MRI" in here("classes", "liver", "--model", NAME).stdout


@pytest.mark.parametrize(("modality", "count"), [("MRI_BODY", 50), ("mri-brain", 132), ("CT_BODY", 117)])
def test_all_of_a_modality(here, tmp_path, modality, count):
    image = ct_file(tmp_path / "in.nii.gz") if modality == "CT_BODY" else mr_file(tmp_path / "in.nii.gz")
    ended = here("segment", image, "-o", tmp_path / "out", "--model", NAME, "--modality", modality, "-q")
    assert (ended.returncode, ended.stderr) == (0, "")
    found = read_segmentation(tmp_path / "out" / "in_seg.nii.gz")
    assert len(found.names) == count
    assert len(np.unique(found.labels)) > 5
    assert nib.load(tmp_path / "out" / "in_seg.nii.gz").get_data_dtype() == np.uint16


def test_ids_that_fit_a_byte_are_stored_as_the_others(here, tmp_path):
    image = mr_file(tmp_path / "mr.nii.gz")
    ended = here("segment", image, "-o", tmp_path / "mr_seg.nii.gz", "--model", NAME, "-c", "liver,spleen", "-q")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert nib.load(tmp_path / "mr_seg.nii.gz").get_data_dtype() == np.uint16


def test_a_series_of_mr(here, tmp_path):
    """In DICOM the header says what it is, so that a series of CT cannot be mistaken; results lie on its slices."""
    affine = np.diag([-2.0, -2.0, 2.5, 1.0])
    values = np.random.default_rng(0).integers(0, 900, (16, 15, 13))
    for kind in ("MR", "CT"):
        write_series(tmp_path / kind, values, affine, intercept=0, Modality=kind, RescaleType="normalized")
    words = ("--model", NAME, "--modality", "MRI_BODY", "-q", "--format", "dicom-seg", "--format", "nii.gz")
    ended = here("segment", tmp_path / "MR", "-o", tmp_path / "out", *words)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert len(np.unique(read_segmentation(tmp_path / "out" / "MR_seg.nii.gz").labels)) > 5
    assert len(dcmread(tmp_path / "out" / "MR_seg.dcm").SegmentSequence) > 5
    ended = here("segment", tmp_path / "CT", "-o", tmp_path / "none", *words)
    assert ended.returncode == 2
    assert "holds no MR that can be segmented" in ended.stderr
    assert "CT, not MR" in ended.stderr
    ended = here("segment", tmp_path / "MR", "-o", tmp_path / "none")
    assert "holds no CT that can be segmented" in ended.stderr


@pytest.mark.parametrize(
    ("file", "words", "said"),
    [
        (ct_file, ("--modality", "MRI_BODY"), "look like HU of a CT, but the modality is MRI_BODY; for a CT it is"),
        (mr_file, ("--modality", "CT_BODY"), "look like MR, but the modality is CT_BODY; for MR it is MRI_BODY or"),
        (mr_file, ("--modality", "MRI_BODY", "-c", "rectum"), "no MRI of the training had rectum"),
    ],
)
def test_an_image_that_does_not_fit_is_one_warning(here, tmp_path, file, words, said):
    image = file(tmp_path / "in.nii.gz")
    ended = here("segment", image, "-o", tmp_path / "out", "--model", NAME, *words, "--no-pipeline", "-q")
    warnings = [line for line in ended.stderr.splitlines() if "warning" in line]
    assert ended.returncode == 0
    assert len(warnings) == 1
    assert said in warnings[0]
    if "-c" not in words:
        ended = here("segment", image, "-o", tmp_path / "none", "--model", NAME, *words, "--strict", "-q")
        assert (ended.returncode, len(ended.stderr.splitlines())) == (2, 1)
        assert said in ended.stderr
        assert not list((tmp_path / "none").iterdir())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("segment", "--model", NAME),
            "what 'all' is depends on the image: name the classes, or the modality (CT_BODY",
        ),
        (("segment", "--model", NAME, "--modality", "T1"), "no modality 'T1': there is CT_BODY, MRI_BODY, MRI_BRAIN"),
        (("segment", "--modality", "MRI_BODY"), "model 'starter' knows CT alone: leave the modality 'MRI_BODY' out"),
        (("segment", "--model", NAME, "-c", "fibula"), "no class is called 'fibula'"),
        (("segment", "--model", NAME, "--template", "t.nii"), "--template t.nii: is for --modality MRI_BRAIN"),
        ((*BRAIN, "--spacing", "2"), "results come back to the scan's own voxels: leave --spacing, --like"),
        pytest.param(
            BRAIN,
            "ants is needed to align a brain to a template: pip install 'openvista[brain]'",
            marks=pytest.mark.skipif(find_spec("ants") is not None, reason="it is installed"),
        ),
        (("click", "--model", NAME, "--at", "8,7,6"), "model 'vista3d-ctmr' answers class prompts only, not clicks"),
        (("finetune", "--model", NAME, "--map", "1=liver"), "is of family ctmr, which nothing here trains"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(here, tmp_path, words, said):
    command, *rest = words
    image = mr_file(tmp_path / "mr.nii.gz")
    ended = here(command, image, "-o", tmp_path / "out", *rest)
    assert ended.returncode == 2
    assert said in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert not list((tmp_path / "out").glob("*"))


LINES = [
    line.split("  ")[0]
    for line in PAGE.read_text().splitlines()
    if line.startswith(("openvista segment ", "openvista classes "))
]


@pytest.mark.parametrize("line", [line for line in LINES if "--template" not in line])
def test_the_lines_of_the_page_run(here, tmp_path, monkeypatch, line):
    monkeypatch.chdir(tmp_path)
    for name in ("mr.nii.gz", "t1.nii.gz"):
        mr_file(tmp_path / name)
    for name in ("ct", "mr"):
        values = np.random.default_rng(0).integers(-900, 900, (16, 15, 13)) + (900 if name == "mr" else 0)
        write_series(tmp_path / name, values, np.diag([-2.0, -2.0, 2.5, 1.0]), Modality=name.upper())
    ended = here(*shlex.split(line)[1:])
    assert (ended.returncode, ended.stderr) == (0, "")


def test_the_page_has_lines():
    assert len(LINES) == 6
