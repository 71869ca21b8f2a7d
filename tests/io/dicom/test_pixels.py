"""Stored pixels to HU: every transfer syntax, scaling, padding, damage."""

from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file

from openvista.errors import ScanError
from openvista.io import read_scan
from small_dicom import AXIAL, SHAPE, SYNTAXES, VOLUME, write_series


@pytest.mark.parametrize("enhanced", [False, True])
@pytest.mark.parametrize("syntax", SYNTAXES)
def test_every_transfer_syntax(syntax: str, enhanced: bool, tmp_path: Path) -> None:
    write_series(tmp_path / "ct", VOLUME, AXIAL, syntax=syntax, enhanced=enhanced)
    scan = read_scan(tmp_path / "ct")
    assert scan.voxels.dtype == np.int16
    assert np.array_equal(scan.voxels, VOLUME)


def test_slope_and_intercept_of_each_slice(tmp_path: Path) -> None:
    write_series(tmp_path / "whole", VOLUME, AXIAL, slopes=(1, 2, 4))
    scan = read_scan(tmp_path / "whole")
    assert scan.voxels.dtype == np.int16
    assert np.abs(scan.voxels - VOLUME).max() <= 2
    write_series(tmp_path / "parts", VOLUME, AXIAL, slopes=(0.25, 0.5), intercept=-1000.5)
    scan = read_scan(tmp_path / "parts")
    assert scan.voxels.dtype == np.float32
    assert np.abs(scan.voxels - VOLUME).max() <= 0.25


@pytest.mark.parametrize("stored_as", [-2000, 63536])
def test_padding_is_air(stored_as: int, tmp_path: Path) -> None:
    """Also where a writer gives the value in the other sign."""
    outside = np.zeros(SHAPE, bool)
    outside[:5] = True
    for file in write_series(tmp_path / "ct", VOLUME, AXIAL, padding=outside):
        whole = dcmread(file)
        del whole.PixelPaddingValue
        whole.add_new("PixelPaddingValue", "SS" if stored_as < 0 else "US", stored_as)
        whole.save_as(file)
    assert np.array_equal(read_scan(tmp_path / "ct").voxels, np.where(outside, -1024, VOLUME))


def test_padding_that_tissue_has_as_well_stays(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for file in write_series(tmp_path / "ct", VOLUME, AXIAL):
        whole = dcmread(file)
        whole.add_new("PixelPaddingValue", "SS", 1024)
        whole.save_as(file)
    assert np.array_equal(read_scan(tmp_path / "ct").voxels, VOLUME)
    assert "padding value is 0 HU" in caplog.text


def test_in_mr_padding_is_a_value_like_others(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """There is no air of -1024 in it; values have no unit."""
    outside = np.zeros(SHAPE, bool)
    outside[:5] = True
    write_series(tmp_path / "mr", VOLUME, AXIAL, padding=outside, intercept=0, Modality="MR", RescaleType="normalized")
    found = read_scan(tmp_path / "mr", modality="MRI_BODY")
    assert np.array_equal(found.voxels, np.where(outside, -2000, VOLUME))
    assert np.array_equal(read_scan(tmp_path / "mr", modality=None).voxels, found.voxels)
    assert caplog.text == ""


def test_unused_bits_are_no_part_of_a_value(tmp_path: Path) -> None:
    """Old files keep overlays in the bits above Bits Stored."""
    for file in write_series(tmp_path / "ct", VOLUME, AXIAL):
        whole = dcmread(file)
        stored = np.frombuffer(whole.PixelData, np.uint16)
        whole.BitsStored, whole.HighBit, whole.PixelRepresentation = 12, 11, 0
        whole.PixelData = (stored | (0b1010 << 12)).astype(np.uint16).tobytes()
        whole.save_as(file)
    assert np.array_equal(read_scan(tmp_path / "ct").voxels, VOLUME)


@pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
@pytest.mark.parametrize(
    "name", ["CT_small.dcm", "ExplVR_LitEndNoMeta.dcm", "no_meta.dcm", "no_meta_group_length.dcm", "693_J2KI.dcm"]
)
def test_pydicoms_own_files(name: str) -> None:
    """With and without the part of a header that names the transfer syntax."""
    file = Path(get_testdata_file(name, download=False))
    whole = dcmread(file, force=True)
    if whole.get("Modality") != "CT":
        with pytest.raises(ScanError):
            read_scan(file)
        return
    scan = read_scan(file)
    assert scan.grid.shape == (whole.Columns, whole.Rows, 1)


@pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
@pytest.mark.parametrize("syntax", ["explicit", "deflated", "RLE", "JPEG lossless", "JPEG-LS", "JPEG 2000"])
def test_pixels_that_are_cut_short(syntax: str, tmp_path: Path) -> None:
    files = write_series(tmp_path / "ct", VOLUME, AXIAL, syntax=syntax)
    content = files[3].read_bytes()
    for cut in (12, 100, 600):
        files[3].write_bytes(content[:-cut])
        with pytest.raises(ScanError, match=r"IM0004|slice is missing"):
            read_scan(tmp_path / "ct")
