"""Every command in the tables of docs/moving-over.md runs.

A section of that page has its place here: a function that makes a folder and goes there. To add a section, write its
table (what, theirs, here; a command in backticks, or "the same") and its place.
"""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from typer.main import get_command
from typer.testing import CliRunner

from openvista.bundle.command import check_arguments
from openvista.bundle.export import export_bundle
from openvista.cli.main import app
from openvista.weights import find_model
from openvista.weights.store import load_network
from small_bundle import write_cases
from small_challenge import write_capped_objects
from small_dicom import write_series

PAGE = Path(__file__).parents[1] / "docs" / "moving-over.md"
EXAMPLE = Path(__file__).parents[1] / "examples" / "data" / "head_neck_ct.nii.gz"
SLOW = "OPENVISTA_SLOW" in os.environ
_ROW = re.compile(r"\|\s*(?P<what>[^|]+?)\s*\|\s*`(?P<theirs>[^`|]+)`[^|]*\|\s*(?P<here>[^|]+?)\s*\|")


@dataclass(frozen=True)
class Line:
    """A row of a table.

    Attributes:
        section: heading above it.
        what: first column.
        command: what to run.
    """

    section: str
    what: str
    command: str


def lines_of(page: Path) -> Iterator[Line]:
    """The rows that have a command to run."""
    section = ""
    for text in page.read_text().splitlines():
        if text.startswith("## "):
            section = text[3:]
        elif row := _ROW.fullmatch(text.strip()):
            here = row["theirs"] if row["here"] == "the same" else row["here"].strip("`")
            if row["here"] == "the same" or row["here"].startswith("`"):
                yield Line(section, row["what"], here)


def in_bundle(folder: Path) -> None:
    """A bundle of the starter with a scan, cases and their list where the configurations look for them."""
    export_bundle("starter", folder / "bundle")
    os.chdir(folder / "bundle")
    Path("data").mkdir()
    write_cases(Path("data"))
    os.rename("data/dataset.json", "dataset.json")
    Path("ct.nii.gz").write_bytes(Path("data/ct0.nii.gz").read_bytes())


def with_configs(folder: Path) -> None:
    """Configs with the original's keys, a list whose files lie elsewhere, and a checkpoint."""
    os.chdir(folder)
    Path("data").mkdir()
    write_cases(Path("data"))
    os.rename("data/dataset.json", "dataset.json")
    torch.save(load_network(find_model("starter")).state_dict(), "model.pt")
    start = {"activate": True, "pretrained_ckpt_name": "model.pt"}
    lists = {"json_dir": "jsons", "train_datasets": ["Task06"]}
    configs = {
        "stage3": {"num_epochs": 2, "drop_point_prob": 1, "finetune": start, **lists},
        "infer": {"bundle_root": ".", "infer": {"ckpt_name": "$@bundle_root + '/model.pt'", "output_path": "out"}},
        "evaluation": {"list_key": "testing", "ckpt": "model.pt", "data_list_file_path": "dataset.json"},
    }
    for name, content in configs.items():
        Path(f"{name}.yaml").write_text(json.dumps(content))  # JSON is YAML


def in_challenge(folder: Path) -> None:
    """A list of two small cases of the challenge, and one of them as a run is given it."""
    os.chdir(folder)
    for name in ("cases", "inputs"):
        Path(name).mkdir()
    for number in range(2):
        write_capped_objects(Path(f"cases/{number}.npz"), number)
    write_capped_objects(Path("inputs/new.npz"), 2)
    Path("allset.json").write_text('["0.npz", "1.npz"]')


def with_scans(folder: Path) -> None:
    """A piece of the example with what the starter knows, as a file, in folders, and as a DICOM series."""
    os.chdir(folder)
    image = nib.load(EXAMPLE).slicer[45:75, 25:55, 75:100]
    for name in ("ct.nii.gz", "patients/a/ct.nii.gz", "patients/b/ct.nii.gz"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        nib.save(image, name)
    write_series(Path("series"), np.asarray(image.dataobj).astype(np.int16), image.affine)


PLACES: dict[str, Callable[[Path], None]] = {
    "MONAI bundle": in_bundle,
    "Configs and lists": with_configs,
    "Challenge": in_challenge,
    "TotalSegmentator": with_scans,
}
LINES = list(lines_of(PAGE))
_SMALL = ["--patch_size", "[32,32,32]"]


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    """The folders of sections, made when first needed: rows of a section find what earlier ones wrote."""
    before, threads = Path.cwd(), torch.get_num_threads()
    torch.set_num_threads(1)
    os.environ["OPENVISTA_HOME"] = str(tmp_path_factory.mktemp("home"))
    yield {}
    del os.environ["OPENVISTA_HOME"]
    os.chdir(before)
    torch.set_num_threads(threads)


def run_monai(arguments: list[str]) -> None:
    """``python -m monai.bundle`` in this process; small windows."""
    fire = pytest.importorskip("fire")
    pytest.importorskip("ignite")
    pytest.importorskip("jsonschema")
    scripts = pytest.importorskip("monai.bundle.scripts")
    if arguments[0] == "run":
        arguments = [*arguments, *_SMALL]
        check_arguments(arguments)
        arguments += ["--logging_file", "False"]
    fire.Fire(vars(scripts)[arguments[0]], command=arguments[1:])


def run_torchrun(arguments: list[str]) -> None:
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "torch.distributed.run",
        "--master-port",
        "29733",
        *arguments,
        *(_SMALL if "monai.bundle" in arguments else ()),
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=300, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    assert done.returncode == 0, done.stderr[-2000:]


def run_openvista(arguments: list[str]) -> None:
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.what.replace(" ", "-"))
def test_a_line_of_the_page_runs(line: Line, places: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> None:
    program, *arguments = shlex.split(line.command)
    if program == "torchrun" and not SLOW:
        pytest.skip("starts two processes; set OPENVISTA_SLOW=1")
    if line.section == "TotalSegmentator" and arguments[0] == "segment" and not SLOW:
        pytest.skip("twenty scans; set OPENVISTA_SLOW=1")
    if line.section not in places:
        places[line.section] = tmp_path_factory.mktemp("place")
        PLACES[line.section](places[line.section])
    if program == "openvista":
        run_openvista(arguments)
    elif program == "torchrun":
        run_torchrun(arguments)
    else:
        assert (program, *arguments[:2]) == ("python", "-m", "monai.bundle"), line.command
        run_monai(arguments[2:])


def test_options_of_segment_on_the_page_exist() -> None:
    """Those of lines that only ``make test-slow`` runs, too."""
    known = {option for one in get_command(app).commands["segment"].load().params for option in one.opts}
    for line in LINES:
        if line.command.startswith("openvista segment"):
            assert {word for word in shlex.split(line.command) if word.startswith("-")} <= known, line.command


def test_the_page_has_lines_and_each_section_a_place() -> None:
    assert len(LINES) >= 16
    assert {line.section for line in LINES} == set(PLACES)
