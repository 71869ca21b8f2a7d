"""``openvista segment ADDRESS --store ADDRESS``, and ``batch``: series out of a PACS, their segmentations into it."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from orthanc import Orthanc
from pydicom import Dataset

from small_dicom import IDENTIFIERS
from small_series import ct_series


def segment(model: Path, folder: Path, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return command("segment", model, folder, *arguments, **environment)


def command(
    name: str, model: Path, folder: Path, *arguments: str, **environment: str
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "openvista", name, "--model", str(model), "--precision", "float32", *arguments],
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1"} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def stored(orthanc: Orthanc) -> list[Dataset]:
    hu_XYZ = np.random.default_rng(2).integers(-900, 900, (24, 22, 18))
    instances = ct_series(hu_XYZ)
    orthanc.store(*instances)
    return instances


def test_a_series_is_segmented_and_stored(orthanc, stored, small_model, tmp_path):
    study, series = stored[0].StudyInstanceUID, stored[0].SeriesInstanceUID
    address = f"{orthanc.dicomweb}/studies/{study}/series/{series}"
    done = segment(small_model, tmp_path, address, "--class", "liver", "--store", orthanc.dicomweb, "-v")
    assert done.returncode == 0, done.stderr
    assert "stored dicom-seg" in done.stdout
    assert list(tmp_path.iterdir()) == [], "without -o nothing is written here"
    (seg,) = orthanc.instances(Modality="SEG")
    assert seg.StudyInstanceUID == study
    assert seg.ReferencedSeriesSequence[0].SeriesInstanceUID == series
    assert [seg.PatientID, seg.AccessionNumber] == [stored[0].PatientID, stored[0].AccessionNumber]
    for value in IDENTIFIERS.values():
        assert value not in done.stdout + done.stderr


def test_a_study_with_one_ct_needs_no_series(orthanc, stored, small_model, tmp_path):
    orthanc.store(*ct_series(np.zeros((9, 8, 1), np.int16), "scout", Modality="OT"))
    address = f"{orthanc.dicomweb}/studies/{stored[0].StudyInstanceUID}"
    done = segment(small_model, tmp_path, address, "--class", "liver", "-o", "out")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / f"{stored[0].SeriesInstanceUID}_seg.nii.gz").is_file()
    assert orthanc.find("Series", Modality="SEG") == []


@pytest.mark.parametrize(
    ("address", "store", "said"),
    [
        ("{web}/studies/1.2.3/series/4.5.6", "{web}", "no series 4.5.6"),
        ("http://127.0.0.1:9/dicom-web/studies/1.2.3/series/4.5.6", "{web}", "cannot be reached"),
        ("{web}/studies/1.2.3/instances/4", "{web}", "give the address of a series"),
        ("http://alice:secret@127.0.0.1/studies/1.2.3", "{web}", "OPENVISTA_DICOMWEB_PASSWORD"),
    ],
)
def test_what_is_wrong_is_one_line(orthanc, small_model, tmp_path, address, store, said):
    web = orthanc.dicomweb
    done = segment(small_model, tmp_path, address.format(web=web), "--store", store.format(web=web))
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert "secret" not in done.stderr


def test_a_cohort_comes_out_of_it_and_is_stored_once(orthanc, stored, small_model, tmp_path):
    other = ct_series(np.random.default_rng(3).integers(-900, 900, (20, 22, 16)), "other")
    orthanc.store(*other)
    series = [
        f"{orthanc.dicomweb}/studies/{one.StudyInstanceUID}/series/{one.SeriesInstanceUID}"
        for one in (stored[0], other[0])
    ]
    lines = ["id,image", f"first,{series[0]}", f"second,{series[1]}", f"gone,{orthanc.dicomweb}/studies/1.2/series/3.4"]
    (tmp_path / "series.csv").write_text("\n".join(lines) + "\n")
    words = ["series.csv", "-o", "out", "--class", "liver", "--store", orthanc.dicomweb, "--previews", "0"]
    first = command("batch", small_model, tmp_path, *words)
    assert first.returncode == 3, first.stderr
    assert {path.name for path in (tmp_path / "out").rglob("*_seg.nii.gz")} == {"first_seg.nii.gz", "second_seg.nii.gz"}
    found = {one.ReferencedSeriesSequence[0].SeriesInstanceUID for one in orthanc.instances(Modality="SEG")}
    assert found == {stored[0].SeriesInstanceUID, other[0].SeriesInstanceUID}
    command("batch", small_model, tmp_path, *words)
    assert len(orthanc.find("Series", Modality="SEG")) == 2, "what is done is not stored again"
    states = (tmp_path / "out" / "manifest.jsonl").read_text()
    assert "no series 3.4" in states
    for value in IDENTIFIERS.values():
        assert value not in first.stdout + first.stderr + states
