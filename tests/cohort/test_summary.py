"""What a cohort has come to: every case in a table, what is strange on one page."""

import csv
from dataclasses import replace

import numpy as np
import pytest

from openvista.cohort.case import Attempt, CaseResult, CohortCase, OutputFile
from openvista.cohort.failures import Failure
from openvista.cohort.manifest import open_manifest
from openvista.cohort.summary import CASES, REPORT, VOLUMES, write_summary
from openvista.geometry.grid import Grid
from openvista.io import write_scan
from openvista.scan import Scan, Segmentation
from small_cohort import KEY

NAMES = {1: "liver", 5: "right <kidney>"}
AFFINE = np.diag([2.0, 2.0, 2.0, 1.0])


def result(case_id: str, volumes: dict[int, float], at_border: tuple[int, ...] = ()) -> CaseResult:
    case = CohortCase(case_id, f"/in/{case_id}.nii.gz", "1")
    outputs = (OutputFile(f"{case_id}_seg.nii.gz", "f", 1),)
    return CaseResult(Attempt(case), outputs, volumes, at_border, started=1.0, ended=3.5, host="a", device="cpu")


@pytest.fixture
def state(tmp_path):
    """Livers of about 1500 ml; one is a tenth, another is cut off."""
    generator = np.random.default_rng(1)
    with open_manifest(tmp_path, None, KEY) as manifest:
        manifest.begin(23, NAMES)
        for number in range(20):
            manifest.ended(result(f"c{number:02}", {1: 1500 + 100 * generator.standard_normal(), 5: 150.0}), "done")
        manifest.ended(replace(result("c00", {1: 1500.0, 5: 150.0}), unlikely={5: ("volume", "HU")}), "done")
        manifest.ended(result("tiny", {1: 150.0}), "done")
        manifest.ended(result("cut", {1: 200.0}, at_border=(1,)), "done")
        failure = Failure("input", "ScanError", "not <a> CT")
        manifest.ended(replace(result("bad", {}), outputs=(), failure=failure), "failed")
    return tmp_path


def test_tables_hold_every_case(state):
    write_summary(state, str(state), NAMES)
    with (state / CASES).open(newline="") as stream:
        cases = {row["case"]: row for row in csv.DictReader(stream)}
    with (state / VOLUMES).open(newline="") as stream:
        volumes = {row["case"]: row for row in csv.DictReader(stream)}
    assert len(cases) == 23
    assert (cases["bad"]["state"], cases["bad"]["kind"], cases["bad"]["message"]) == ("failed", "input", "not <a> CT")
    assert (cases["c00"]["seconds"], cases["c00"]["attempts"]) == ("2.5", "1")
    assert volumes.keys() == cases.keys() - {"bad"}
    assert (cases["c00"]["unlikely"], cases["c01"]["unlikely"]) == ("right <kidney>: volume, HU", "")
    assert (volumes["tiny"]["liver"], volumes["tiny"]["right <kidney>"]) == ("150.0", "0")


def test_the_page_names_what_is_strange_and_what_failed(state):
    page = write_summary(state, str(state), NAMES).read_text()
    outliers = page.partition("<h2>Outliers</h2>")[2].partition("<h2>")[0]
    assert "tiny" in outliers
    assert "cut" not in outliers
    assert outliers.count("<tr>") == 2  # with its heading
    assert "not &lt;a&gt; CT" in page
    unlikely = page.partition("<h2>Unlikely structures</h2>")[2].partition("<h2>")[0]
    assert "<td>right &lt;kidney&gt;</td><td>volume, HU</td>" in unlikely
    assert "<kidney>" not in page
    assert "22</b><span>done" in page


def test_only_the_cases_that_were_asked_for(state):
    write_summary(state, str(state), NAMES, ["c00", "bad"])
    assert len((state / CASES).read_text().splitlines()) == 3


def test_pictures_of_the_strangest(state):
    labels = np.zeros((20, 20, 20), np.uint8)
    labels[5:9, 5:9, 5:9] = 1
    scan = Scan(np.where(labels, 60, -900).astype(np.int16), Grid(labels.shape, AFFINE))
    write_scan(scan, state / "scan.nii.gz")
    Segmentation(labels, scan.grid, NAMES).save(state / "tiny_seg.nii.gz")
    with open_manifest(state, None, KEY) as manifest:
        tiny = result("tiny", {1: 0.5})
        case = replace(tiny.attempt.case, uri=str(state / "scan.nii.gz"))
        manifest.ended(replace(tiny, attempt=replace(tiny.attempt, case=case)), "done")
    page = write_summary(state, str(state), NAMES, previews=2)
    assert page.read_text().count("data:image/png") == 1
    assert {file.suffix for file in state.iterdir()} <= {".gz", ".json", ".jsonl", ".html", ".csv", ".lock"}
    assert (state / REPORT) == page
