"""Where DICOM files come from."""

import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from pydicom.data import get_testdata_file

from openvista.errors import ScanError
from openvista.io import read_scan
from openvista.io.dicom.file_set import unpacked
from openvista.io.dicom.series import find_series
from small_dicom import AXIAL, VOLUME, write_series


def test_what_else_lies_in_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "ct"
    files = write_series(folder / "DICOM" / "SE0", VOLUME, AXIAL)
    (folder / ".hidden").write_bytes(files[0].read_bytes())
    (folder / "__MACOSX").mkdir()
    (folder / "__MACOSX" / "IM0001.dcm").write_bytes(b"AppleDouble")
    (folder / "report.pdf").write_bytes(b"%PDF")
    (folder / "empty.dcm").write_bytes(b"")
    (folder / "DICOMDIR").write_bytes(Path(directory_file("DICOMDIR")).read_bytes())
    assert np.array_equal(read_scan(folder).voxels, VOLUME)


def directory_file(name: str) -> str:
    """Of pydicom's DICOMDIR and what it names; they come with it."""
    return str(get_testdata_file("DICOMDIR", download=False)).replace("DICOMDIR", name)


def test_a_dicomdir(tmp_path: Path) -> None:
    found = find_series(Path(directory_file("DICOMDIR")))
    assert {one.modality for one in found} == {"CR", "CT", "MR"}
    shutil.copy(directory_file("DICOMDIR"), tmp_path)
    with pytest.raises(ScanError, match="none of the 31 files that it names is there"):
        find_series(tmp_path / "DICOMDIR")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "DICOMDIR").write_bytes(b"\0" * 128 + b"DICM" + b"\x01" * 50)
    with pytest.raises(ScanError, match="a damaged DICOMDIR"):
        find_series(tmp_path / "bad" / "DICOMDIR")


def test_a_zip_is_unpacked_and_cleared_away(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "case.zip", "w") as archive:
        for file in write_series(tmp_path / "ct", VOLUME, AXIAL):
            archive.write(file, f"../{file.name}")
    with unpacked(tmp_path / "case.zip", 10_000_000) as folder:
        assert len(find_series(folder)) == 1
    assert not folder.exists()
    scan = read_scan(tmp_path / "case.zip")
    assert (scan.name, scan.source) == ("case", tmp_path / "case.zip")
    assert np.array_equal(scan.voxels, VOLUME)
