"""MetaImage and NRRD headers: what SimpleITK writes passes; what would end it, or become zeros there, is one line."""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from openvista.errors import ScanError
from openvista.io import read_scan
from openvista.io.itk_header import check_itk_header, nrrd_key_values

METAIMAGE = {
    "NDims = 3": [f"NDims = {bad}" for bad in ("-1", "0", "32767", "1e30", "3 3", "", "99999999999999999999")],
    "DimSize = 4 5 6": [
        f"DimSize = {bad}" for bad in ("4 5", "4 5 6 7", "-4 5 6", "4 5 x", "4 5 1e3", "4 5 9999999999")
    ],
    "ElementSpacing = 1 2 3": [
        f"ElementSpacing = {bad}" for bad in ("1 2", "1 x 3", "1 nan 3", "1 2 3 4", "1 2 1e999")
    ],
    "Offset = 0 0 0": ["Offset = 0 0", "Offset = a b c", "Offset = 0 0 inf"],
    "TransformMatrix = 1 0 0 0 1 0 0 0 1": ["TransformMatrix = 1 0 0 0 1 0 0 0", "TransformMatrix = " + "1 " * 900],
    "ElementType = MET_SHORT": ["ElementType = MET_SHORTS", "ElementType = ", "NDims = 3"],
    "ElementDataFile = LOCAL": ["ElementDataFile = %s%s%n 1 9 1", "Nothing = LOCAL"],
    "ObjectType = Image": ["ObjectType = " + "x" * 300, "Comment = \x01", "Image", "Note = " + "x" * 40_000],
}
NRRD = {
    "NRRD0004": ["NRRD9999", "", "nrrd"],
    "dimension: 3": ["dimension: -1", "dimension: 32767", "dimension: 3 3", "dimension: x"],
    "sizes: 4 5 6": ["sizes: 4 5", "sizes: -4 5 6", "sizes: 4 5 1e3"],
    "space origin: (0,0,0)": ["space origin: (0,0,x)", "space origin: 0 0 0", "space origin: (0,0,inf)"],
    "space directions: (1,0,0) (0,2,0) (0,0,3)": [
        "space directions: (1,0,0) (0,2,0)",
        "space directions: (1,0,0) (0,2,0) (0,0,x)",
        "space directions: (1,0,0) (0,2,0) (0,3)",
        "space directions: (1,0,0) (0,2,0) 0,0,3",
    ],
    "kinds: domain domain domain": ["kinds: domain domain domain" + "1 " * 500, "kinds: domain"],
    "encoding: raw": ["encoding: raw\ndata file: %s 1 9 1", "encoding raw", "sizes: 4 5 6"],
}
CASES = [(".mha", *pair) for pair in METAIMAGE.items()] + [(".nrrd", *pair) for pair in NRRD.items()]


def written(path: Path) -> Path:
    image = sitk.GetImageFromArray(np.arange(120, dtype=np.int16).reshape(6, 5, 4))
    image.SetSpacing((1, 2, 3))
    sitk.WriteImage(image, str(path), False)
    return path


@pytest.mark.parametrize(("suffix", "good", "bads"), CASES, ids=lambda part: part if isinstance(part, str) else "")
def test_a_field_that_says_something_impossible_is_named(tmp_path: Path, suffix: str, good: str, bads: list[str]):
    path = written(tmp_path / f"ct{suffix}")
    content = path.read_bytes()
    assert content.count(good.encode()) == 1, "SimpleITK writes this line"
    check_itk_header(path)
    for bad in bads:
        path.write_bytes(content.replace(good.encode(), bad.encode()))
        with pytest.raises(ScanError) as caught:
            read_scan(path)
        assert "ct." in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"\n", b"\0" * 1000, b"NDims = 3\n", b"x" * (2 << 20)])
@pytest.mark.parametrize("suffix", [".mha", ".mhd", ".nrrd", ".nhdr"])
def test_what_is_no_header(tmp_path: Path, suffix: str, content: bytes):
    path = tmp_path / f"ct{suffix}"
    path.write_bytes(content)
    with pytest.raises(ScanError):
        read_scan(path)


def test_what_programs_note_down_does_not_matter(tmp_path: Path):
    """SimpleITK writes what it knows of a NIfTI or DICOM source, under that source's own names."""
    path = written(tmp_path / "ct.mha")
    notes = (
        b"dim[0] = 3\n0008|0005 = ISO_IR 100\n0040|0275 = " + b"x" * 5000 + b"\nnote = a = b\nnote = twice\nempty = \n"
    )
    path.write_bytes(path.read_bytes().replace(b"DimSize", notes + b"DimSize"))
    assert read_scan(path).grid.spacing == (1, 2, 3)


def test_key_values_come_back_as_they_were_written(tmp_path: Path):
    image = sitk.GetImageFromArray(np.zeros((3, 3, 3), np.uint8))
    pairs = {"Segment0_Name": "left kidney", "note": "Größe: 3 := 4", "empty": ""}
    for key, value in pairs.items():
        image.SetMetaData(key, value)
    sitk.WriteImage(image, str(tmp_path / "seg.nrrd"))
    found = nrrd_key_values(tmp_path / "seg.nrrd")
    assert {key: found.get(key, "") for key in pairs} == pairs
