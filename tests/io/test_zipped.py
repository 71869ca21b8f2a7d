"""Archives that do not mean well."""

import zipfile
from pathlib import Path

import pytest

from openvista.errors import ScanError, TooLargeError
from openvista.io.zipped import unpack


def pack(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/"), content)
    return path


def test_names_lead_nowhere(tmp_path: Path) -> None:
    folder = tmp_path / "in" / "here"
    folder.mkdir(parents=True)
    members = {
        "..__..__outside": b"1",
        "__tmp__absolute": b"2",
        "CON.dcm": b"3",
        "__MACOSX__._x": b"4",
        "a__.hidden": b"5",
    }
    unpack(pack(tmp_path / "in.zip", **members), folder, 1000)
    assert sorted(file.name for file in tmp_path.rglob("*") if file.is_file()) == [
        "00000.dcm",
        "00001.dcm",
        "00002.dcm",
        "in.zip",
    ]


def test_what_grows_too_large(tmp_path: Path) -> None:
    packed = pack(tmp_path / "bomb.zip", IM1=b"\0" * 2_000_000)
    with pytest.raises(TooLargeError, match="grows beyond"):
        unpack(packed, tmp_path, 1_000_000)
    assert unpack(packed, tmp_path, 2_000_000).name == "00000.dcm"


def test_what_is_no_zip_or_empty(tmp_path: Path) -> None:
    (tmp_path / "no.zip").write_bytes(b"PK no")
    with pytest.raises(ScanError, match="not a readable zip"):
        unpack(tmp_path / "no.zip", tmp_path, 1000)
    with pytest.raises(ScanError, match="holds no file"):
        unpack(pack(tmp_path / "empty.zip"), tmp_path, 1000)
