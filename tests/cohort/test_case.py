"""A scan in, its files out: the same whoever asks, and never an exception."""

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from serving import ct_file, make_model

import openvista
from openvista.anatomy.combinations import Combination
from openvista.anatomy.ctmr import card_classes
from openvista.cohort.case import Attempt, CaseResult, CohortCase, Segmenter, case_work
from openvista.inference.profiles import BEST, BUNDLE
from openvista.io import DicomOptions, read_scan, read_segmentation
from openvista.model import Model
from openvista.network import build
from openvista.pipeline import UNSHARED, Room
from openvista.prepare import PreparedScan
from openvista.weights import ModelCard
from openvista.weights.store import save_model
from small_dicom import write_series
from small_inference import DENSER_THAN_ANYTHING, FLOAT32, TINY_CTMR


def run_case(model: Model, plan: Segmenter, attempt: Attempt) -> CaseResult:
    """What comes of one try, its steps one after another."""
    results: list[CaseResult] = []
    case_work(model, replace(plan, overlaps=False)).run([attempt], results.append)
    return results[0]


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory) -> Path:
    return make_model(tmp_path_factory.mktemp("models"), "small", ("automatic",))


@pytest.fixture(scope="module")
def model(model_folder):
    return openvista.load_model(model_folder, "cpu", "float32")


@pytest.fixture
def plan(model_folder, tmp_path) -> Segmenter:
    return Segmenter(
        output=str(tmp_path / "out"),
        model=str(model_folder),
        device="cpu",
        precision="float32",
        profile=BEST,
        classes=(1, 5),
        table=True,
    )


def attempt_at(path: Path, case_id: str = "site/one") -> Attempt:
    return Attempt(CohortCase(case_id, str(path), "1"))


def test_the_files_are_what_segment_writes(model, plan, tmp_path):
    path = ct_file(tmp_path / "ct.nii.gz")
    leftover = tmp_path / "out" / "site" / ".0123abcd-one_seg.nii.gz"
    leftover.parent.mkdir(parents=True)
    leftover.touch()
    result = run_case(model, plan, attempt_at(path))
    assert result.failure is None
    assert [output.path for output in result.outputs] == [
        "site/one_seg.nii.gz", "site/one_seg.json", "site/one_seg.csv"
    ]  # fmt: skip
    assert {file.name for file in leftover.parent.iterdir()} == {"one_seg.nii.gz", "one_seg.json", "one_seg.csv"}
    expected = model.segment(read_scan(path), (1, 5))
    written = read_segmentation(tmp_path / "out" / "site" / "one_seg.nii.gz")
    assert np.array_equal(written.labels, expected.labels)
    rows = {row.id: row for row in expected.table() if row.voxels}
    assert result.volumes_ml == {key: round(row.volume_ml, 3) for key, row in rows.items()}
    assert set(result.at_border) == {key for key, row in rows.items() if row.touches_border}
    again = run_case(model, replace(plan, output=str(tmp_path / "again")), attempt_at(path))
    assert again.outputs == result.outputs


def test_what_is_unlikely_is_noted_and_left_out_where_that_is_asked_for(model, plan, tmp_path):
    attempt = attempt_at(ct_file(tmp_path / "ct.nii.gz"))
    before = run_case(model, plan, attempt)
    judging = Model(model.network.network, replace(model.card, ranges={1: DENSER_THAN_ANYTHING}), FLOAT32)
    noted = run_case(judging, replace(plan, output=str(tmp_path / "noted")), attempt)
    assert noted.unlikely == {1: ("HU",)}
    assert noted.volumes_ml == before.volumes_ml
    dropping = replace(plan, output=str(tmp_path / "dropped"), drop_unlikely=True)
    dropped = run_case(judging, dropping, attempt)
    assert dropped.unlikely == {1: ("HU",)}
    assert dropped.volumes_ml == {5: before.volumes_ml[5]}
    assert set(np.unique(read_segmentation(tmp_path / "dropped/site/one_seg.nii.gz").labels)) == {0, 5}
    assert dropping.sha256() != plan.sha256()


def test_a_series_of_a_study(model, plan, tmp_path):
    scan = read_scan(ct_file(tmp_path / "ct.nii.gz"))
    for number in (1, 2):
        write_series(tmp_path / "study" / f"series{number}", scan.voxels, scan.grid.affine, SeriesNumber=number)
    result = run_case(model, plan, attempt_at(tmp_path / "study"))
    assert result.failure is not None
    assert result.failure.kind == "input"
    assert "2 CT series" in result.failure.message
    chosen = Attempt(CohortCase("one", str(tmp_path / "study"), series="2"))
    assert run_case(model, plan, chosen).failure is None


@pytest.mark.parametrize("what", ["missing", "broken", "odd"])
def test_a_bad_input_is_a_failure_of_that_kind(model, plan, tmp_path, what):
    path = tmp_path / "ct.nii.gz"
    if what == "broken":
        path.write_bytes(b"no image")
    if what == "odd":
        ct_file(path, affine=np.diag([90.0, 90.0, 90.0, 1.0]))
    failure = run_case(model, replace(plan, strict=True), attempt_at(path)).failure
    assert failure is not None
    assert failure.kind == "input"
    assert not (tmp_path / "out").exists()


def test_an_odd_scan_is_done_with_a_warning(model, plan, tmp_path):
    result = run_case(model, plan, attempt_at(ct_file(tmp_path / "ct.nii.gz", affine=np.diag([30.0, 2.0, 2.0, 1.0]))))
    assert result.failure is None
    assert "voxel size" in result.warnings[0]


def test_an_output_that_cannot_be_written_is_the_storage_s_fault(model, plan, tmp_path):
    (tmp_path / "out").write_text("a file")
    failure = run_case(model, plan, attempt_at(ct_file(tmp_path / "ct.nii.gz"))).failure
    assert failure is not None
    assert failure.kind == "storage"


def test_a_spacing(model, plan, tmp_path):
    scan = read_scan(ct_file(tmp_path / "ct.nii.gz"))
    coarse = replace(plan, spacing=(9.0, 8.0, 7.0))
    assert run_case(model, coarse, attempt_at(tmp_path / "ct.nii.gz")).failure is None
    written = read_segmentation(next(Path(plan.output).rglob("*_seg.nii.gz")))
    assert written.grid.matches(scan.grid.with_spacing((9.0, 8.0, 7.0)))


def test_formats(model, plan, tmp_path):
    scan = read_scan(ct_file(tmp_path / "ct.nii.gz"))
    write_series(tmp_path / "series", scan.voxels, scan.grid.affine)
    formats = ("dicom-sr", "seg.nrrd", "nii.gz", "dicom-seg")
    result = run_case(model, replace(plan, formats=formats, table=False), attempt_at(tmp_path / "series"))
    assert result.failure is None
    endings = ("_seg.seg.nrrd", "_seg.json", "_seg.nii.gz", "_seg.dcm", "_sr.dcm")
    assert [output.path for output in result.outputs] == [f"site/one{ending}" for ending in endings]
    nifti = run_case(model, replace(plan, formats=("dicom-seg",)), attempt_at(tmp_path / "ct.nii.gz"))
    assert nifti.failure is not None
    assert nifti.failure.kind == "input"


def test_a_file_per_structure_and_structures_as_one(model, plan, tmp_path):
    path = ct_file(tmp_path / "ct.nii.gz")
    whole = Combination(1, "both", (1, 5))
    chosen = replace(plan, per_class=True, wholes=(whole,), table=False)
    result = run_case(model, chosen, attempt_at(path))
    assert result.failure is None
    assert [output.path for output in result.outputs] == ["site/one_seg/both.nii.gz", "site/one_seg.json"]
    expected = model.segment(read_scan(path), (1, 5)).labels > 0
    assert np.array_equal(read_segmentation(tmp_path / "out" / "site" / "one_seg" / "both.nii.gz").labels, expected)
    assert set(result.volumes_ml) <= {1}


def test_a_scan_that_is_prepared_ahead_gives_the_same_files(model, plan, tmp_path):
    class Ahead(Room):
        def allows(self, needed: int) -> bool:
            return True

    attempt = attempt_at(ct_file(tmp_path / "ct.nii.gz"))
    work = case_work(model, replace(plan, output=str(tmp_path / "ahead")))
    read = work.read(attempt, Ahead())
    assert isinstance(read.scan, PreparedScan)
    assert work.write(work.compute(read)).outputs == run_case(model, plan, attempt).outputs


def test_what_cannot_be_stored_is_refused_before_it_is_computed(model, plan, tmp_path):
    path = ct_file(tmp_path / "ct.nii.gz")
    for chosen in (replace(plan, store="http://127.0.0.1:9"), replace(plan, formats=("dicom-seg",))):
        read = case_work(model, chosen).read(attempt_at(path), UNSHARED)
        assert read.result.failure is not None
        assert "dicom-seg needs a scan that was read from DICOM" in read.result.failure.message


def test_settings_that_change_the_result_have_another_sha256(plan):
    elsewhere = {"output": "b", "threads": 3, "device": "cuda", "model": "elsewhere", "overlaps": False}
    assert plan.sha256() == replace(plan, **elsewhere, compress=True).sha256()
    changed = {"precision": "bfloat16", "profile": BUNDLE, "classes": (1,), "formats": ("nii",), "table": False}
    changed |= {"per_class": True, "wholes": (Combination(1, "both", (1, 5)),), "store": "https://pacs"}
    changed |= {"dicom": DicomOptions(keyhole=True), "spacing": (3.0, 3.0, 3.0)}
    assert changed.keys() <= asdict(plan).keys()
    sums = {replace(plan, **{key: value}).sha256() for key, value in changed.items()}
    assert len({plan.sha256(), *sums}) == 11
    assert replace(plan, profile=replace(BEST, everywhere=True)).sha256() not in {plan.sha256(), *sums}


def test_a_modality_is_for_the_model_and_for_what_looks_odd(plan, tmp_path):
    """It is no part of what decides about the files: the classes are."""
    network = build(TINY_CTMR, seed=3)
    card = ModelCard.from_preset(TINY_CTMR, **card_classes(TINY_CTMR.class_rows))
    folder = save_model(network, card, tmp_path / "tiny-ctmr").path
    mr = replace(plan, model=str(folder), modality="MRI_BODY")
    assert mr.sha256() == replace(mr, modality=None).sha256()
    model = openvista.load_model(folder, "cpu", "float32", mr.modality)
    found = run_case(model, mr, attempt_at(ct_file(tmp_path / "ct.nii.gz")))
    assert found.failure is None
    assert ["look like HU of a CT" in warning for warning in found.warnings] == [True]
