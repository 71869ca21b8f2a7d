"""What is kept of a series: enough to refer to it, nothing that tells of the patient."""

import dataclasses
from pathlib import Path

import pytest

from openvista.dicom_slices import DicomSlices
from openvista.errors import ScanError
from openvista.io import read_scan
from openvista.io.dicom.kept import read_slices, write_slices
from small_dicom import AXIAL, IDENTIFIERS, VOLUME, tilted, write_series


@pytest.mark.parametrize("enhanced", [False, True])
def test_slices_come_back(enhanced: bool, tmp_path: Path) -> None:
    files = write_series(tmp_path / "ct", VOLUME, tilted(AXIAL, 12), enhanced=enhanced)
    if not enhanced:
        files[4].unlink()
    slices = read_scan(tmp_path / "ct", fill_gaps=True).dicom
    assert isinstance(slices, DicomSlices)
    write_slices(tmp_path / "slices.json", slices)
    again = read_slices(tmp_path / "slices.json")
    for field in dataclasses.fields(slices):
        if field.name != "headers":
            assert getattr(again, field.name) == getattr(slices, field.name)
    for kept, header in zip(again.headers, slices.headers, strict=True):
        for level in ("SOPClass", "SOPInstance", "SeriesInstance", "StudyInstance", "FrameOfReference"):
            assert kept[f"{level}UID"] == header[f"{level}UID"]
        if enhanced:
            assert len(kept.PerFrameFunctionalGroupsSequence) == VOLUME.shape[2]
            first = kept.PerFrameFunctionalGroupsSequence[0]
            assert first.PlanePositionSequence == header.PerFrameFunctionalGroupsSequence[0].PlanePositionSequence
    text = (tmp_path / "slices.json").read_text()
    assert not [value for value in IDENTIFIERS.values() if value in text]
    assert "made up" not in text, "a description may hold anything"


def test_a_damaged_file(tmp_path: Path) -> None:
    for content in ("", "[]", '{"layout": 1}', '{"layout": 2}'):
        (tmp_path / "slices.json").write_text(content)
        with pytest.raises(ScanError, match="the slices of a kept scan are unreadable"):
            read_slices(tmp_path / "slices.json")
