"""The blocks of our pages run as they stand: commands in bash, Python in Python, one after another in a page's folder.

A page has its place here: a function that makes a folder with what its commands are given; unless one is named, a scan.
Blocks that say what they need, or keep running, are parsed only: tests/test_page_blocks.py, which also names the tests
that run the blocks of other pages.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
import torch
from serving import ct_file

from openvista.anatomy.catalogue import SUPPORTED_IDS
from openvista.network import Preset, build
from openvista.weights import ModelCard
from openvista.weights.store import save_model
from page_blocks import NOT_ON_THE_SITE, PAGES, ROOT, RUN_ELSEWHERE, Block, blocks_of
from small_bundle import write_case
from small_dicom import write_series

BLOCKS = [
    block
    for page in PAGES
    for block in blocks_of(page)
    if (block.is_shell or block.language == "python")
    and not block.needs
    and not block.keeps_running
    and (block.page, block.language) not in RUN_ELSEWHERE
    and block.page not in NOT_ON_THE_SITE
]
SMALLER = {
    "finetune": ["--steps", "2"],
    "batch": ["--workers", "1"],
}
"""What is added to commands that would take long."""
PROGRAM = """#!{python}
import json, os, sys
words = sys.argv[1:]
words += json.loads({smaller!r}).get(words[0], [])
if {model!r} and words[0] in ("segment", "batch") and "--model" not in words:
    words += ["--model", {model!r}]
os.execv(sys.executable, [sys.executable, "-W", "ignore", "-m", "openvista", *words])
"""


def with_examples() -> None:
    """What the repository brings along."""
    for name in ("examples", "recipes"):
        Path(name).symlink_to(ROOT / name)


def with_scans() -> None:
    """A piece of the example with what the starter knows, as a file, in folders, and as a DICOM series."""
    image = nib.load(ROOT / "examples" / "data" / "head_neck_ct.nii.gz").slicer[45:75, 25:55, 75:100]
    for name in ("ct.nii.gz", "patients/a/ct.nii.gz", "patients/b/ct.nii.gz"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        nib.save(image, name)
    for name in ("dicom", "study", "ct_series"):
        write_series(
            Path(name), np.asarray(image.dataobj).astype(np.int16), image.affine, SeriesInstanceUID="1.2.840.1137.1"
        )


def with_an_all_knowing_model() -> None:
    """A small random network that has an answer to every official class, and a scan that is long enough for it."""
    preset = Preset(
        name="small", filters=8, blocks_per_level=(1, 1), window=(16, 16, 16), spacing=(2.0, 2.0, 2.0), class_rows=140
    )
    network = build(preset, seed=3)
    with torch.no_grad():
        network.class_head.linear2.weight *= 5
    save_model(network, ModelCard.from_preset(preset, classes=SUPPORTED_IDS, licence="none"), Path("small"))
    affine = np.diag([-0.5, -1.0, 0.5, 1.0])
    for name in ("ct.nii.gz", "dose.nii.gz", "patients/a/ct.nii.gz", "patients/b/ct.nii.gz", "scans/x/ct.nii.gz"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        ct_file(Path(name), shape=(208, 24, 64), affine=affine)
    inside = np.zeros((208, 24, 64), np.uint8)
    inside[60:90, 5:15, 20:40] = 1
    nib.save(nib.Nifti1Image(inside, affine), "ptv.nii.gz")
    case = {"image": "scans/x/ct.nii.gz", "label": "ptv.nii.gz"}
    Path("dataset.json").write_text(json.dumps({"labels": {"1": "liver"}, "training": [], "testing": [case]}))
    Path("cohort.csv").write_text("image,id\nscans/x/ct.nii.gz,one\nct.nii.gz,two\n")


def with_six_cases() -> None:
    """CTs and label maps side by side in ``scans``; and a scan."""
    write_cases(Path("scans"), 6)
    shutil.copy("scans/case5_ct.nii.gz", "ct.nii.gz")


def write_cases(folder: Path, count: int) -> None:
    folder.mkdir()
    for number in range(count):
        write_case(folder, number)
        os.rename(folder / f"ct{number}.nii.gz", folder / f"case{number}_ct.nii.gz")
        os.rename(folder / f"label{number}.nii.gz", folder / f"case{number}_seg.nii.gz")


def with_two_runs() -> None:
    """The cases, what the repository brings along, and two evaluations to compare."""
    with_examples()
    with_six_cases()
    write_cases(Path("FOLDER"), 9)
    subprocess.run(["openvista", "datalist", "make", "scans", "--names", "1=mandible", "-o", "runs.json"], check=True)
    subprocess.run(["openvista", "evaluate", "runs.json", "-o", "runs/a"], check=True)
    shutil.copytree("runs/a", "runs/b")


def with_label_maps() -> None:
    """Two bodies of boxes as label maps."""
    labels = np.zeros((40, 36, 20), np.uint8)
    labels[4:18, 8:28, 2:18], labels[24:32, 10:20, 4:16] = 1, 3
    affine = np.diag([-6.0, -6.0, 6.0, 1.0])
    for name in ("s0327.nii.gz", "s0328.nii.gz"):
        nib.save(nib.Nifti1Image(labels, affine), name)
    Path("labels.json").write_text(json.dumps({"1": "liver", "3": "spleen"}))
    image = sitk.ReadImage("s0327.nii.gz")
    for number, (value, name) in enumerate([("1", "liver"), ("3", "spleen")]):
        for key, text in (("ID", name), ("Name", name), ("LabelValue", value), ("Layer", "0")):
            image.SetMetaData(f"Segment{number}_{key}", text)
    sitk.WriteImage(image, "case.seg.nrrd")


PLACES: dict[str, Callable[[], None]] = {
    "docs/index.md": with_examples,
    "docs/segment.md": with_scans,
    "docs/clicks.md": with_scans,
    "docs/five-scans.md": with_six_cases,
    "docs/dicom.md": with_scans,
    "docs/formats.md": with_an_all_knowing_model,
    "docs/cohorts.md": with_an_all_knowing_model,
    "docs/training.md": with_two_runs,
    "docs/learning-from-label-maps.md": with_label_maps,
}


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The folders of pages, made when first needed: a block finds what earlier ones wrote."""
    return {}


def make_place(folder: Path, page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = folder / "programs"
    programs.mkdir(exist_ok=True)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("OPENVISTA_HOME", str(folder / "home"))
    monkeypatch.chdir(folder)
    if (programs / "openvista").exists():
        return
    model = str(folder / "small") if PLACES.get(page) is with_an_all_knowing_model else ""
    text = PROGRAM.format(python=sys.executable, smaller=json.dumps(SMALLER), model=model)
    (programs / "openvista").write_text(text)
    (programs / "openvista").chmod(0o755)
    PLACES.get(page, with_scans)()


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_a_block_runs(
    block: Block,
    places: dict[str, Path],
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = places.setdefault(block.page, tmp_path_factory.mktemp("page"))
    make_place(folder, block.page, monkeypatch)
    call = ["bash", "-euo", "pipefail", "-c"] if block.is_shell else [sys.executable, "-W", "ignore", "-c"]
    done = subprocess.run([*call, block.text], capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


def test_the_site_builds() -> None:
    """Strictly: every link and every anchor leads somewhere. Nothing in it is loaded from elsewhere."""
    pytest.importorskip("mkdocs")
    done = subprocess.run([sys.executable, "-m", "mkdocs", "build"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    for page in (ROOT / "build" / "site").glob("**/*.html"):
        for loaded in ('src="http', 'rel="stylesheet" href="http', 'rel="preconnect"'):
            assert loaded not in page.read_text(encoding="utf-8"), page
