"""Names of files and results."""

from pathlib import Path

import pytest

from openvista.errors import OutputError
from openvista.io import replacing, result_path, scan_name
from openvista.io.paths import sidecar_path


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("ct.nii.gz", "ct"),
        ("CT.NII", "CT"),
        ("a.b.nrrd", "a.b"),
        ("a.seg.nrrd", "a"),
        ("x.mha", "x"),
        ("folder", "folder"),
        ("IM0001.dcm", "IM0001"),
        ("1.2.840.113704", "1.2.840.113704"),
        ("disc/DICOMDIR", "disc"),
        ("case.zip", "case"),
        (".nii", ".nii"),
    ],
)
def test_scan_name(file: str, name: str) -> None:
    assert scan_name(Path("somewhere") / file) == name


def test_sidecar() -> None:
    assert sidecar_path(Path("a/ct_seg.nii.gz")) == Path("a/ct_seg.json")


def test_result_path(tmp_path: Path) -> None:
    assert result_path(tmp_path, "ct") == tmp_path / "ct_seg.nii.gz"
    assert result_path(tmp_path / "x.nrrd", "ct") == tmp_path / "x.nrrd"
    with pytest.raises(OutputError, match="endings"):
        result_path(tmp_path / "x.txt", "ct")


def test_replacing_swaps_only_on_success(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(ZeroDivisionError), replacing(target) as temporary:
        temporary.write_text(f"half {1 // 0 if temporary.write_text('half') else ''}")
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]
    assert target.read_text() == "old"
    with replacing(target) as temporary:
        assert (temporary.parent, temporary.suffix) == (tmp_path, ".txt")
        temporary.write_text("new")
    assert target.read_text() == "new"
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]
