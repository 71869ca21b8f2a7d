"""DICOM series as scans: the right HU at the right place in the patient, or one line that says why not."""

import logging
import shutil
from pathlib import Path

import numpy as np
import pytest

from openvista.errors import ScanError
from openvista.io import read_scan
from openvista.io.dicom.read import read_dicom
from small_dicom import (
    ACQUISITIONS,
    AXIAL,
    IDENTIFIERS,
    SHAPE,
    SPACING,
    VOLUME,
    affine_of,
    orientations,
    phantom,
    write_series,
)


@pytest.mark.parametrize(("name", "enhanced"), [("axial", False), ("oblique", True)])
def test_every_orientation_keeps_the_mark_where_it_is_in_the_patient(name: str, enhanced: bool, tmp_path: Path) -> None:
    """The 48 ways of the array's axes: coronal and sagittal, rotated patients, flipped series."""
    mark = np.array([12.0, -7.0, 31.0])
    shape, spacing = (9, 8, 4), (2.0, 2.2, 2.7)
    for number, directions in enumerate(orientations()):
        affine = affine_of(ACQUISITIONS[name] @ directions, spacing)
        affine[:3, 3] = mark - affine[:3, :3] @ (6, 4, 3)
        folder = tmp_path / str(number)
        write_series(folder, phantom(affine, shape, mark), affine, enhanced=enhanced)
        scan = read_scan(folder)
        expected = phantom(scan.grid.affine, scan.grid.shape, mark)
        assert np.abs(scan.voxels - expected).max() <= 1, "but for rounding"
        assert scan.voxels[tuple(np.rint(scan.grid.to_voxel(mark[None])[0]).astype(int))] == 1500


def test_axes_are_column_row_and_slice_along_the_normal(tmp_path: Path) -> None:
    backwards = AXIAL.copy()
    backwards[:3, 2] *= -1
    scan = read_dicom(write_series(tmp_path / "ct", VOLUME, backwards)[0].parent)
    assert scan.grid.axis_codes == "LPS"
    assert scan.grid.spacing == pytest.approx(SPACING)
    assert np.array_equal(scan.voxels, VOLUME[:, :, ::-1])


def test_a_scan_remembers_its_slices(tmp_path: Path) -> None:
    files = write_series(tmp_path / "ct", VOLUME, AXIAL)
    for file, name in zip(files, "xbgkadzqm", strict=True):
        file.rename(file.with_name(name))
    scan = read_scan(tmp_path / "ct")
    assert scan.name == "ct"
    slices = scan.dicom
    assert slices is not None
    assert (slices.columns, slices.rows) == SHAPE[:2]
    assert slices.orientation == (1, 0, 0, 0, 1, 0)
    assert len(slices.slices) == SHAPE[2]
    for index, one in enumerate(slices.slices):
        header = slices.headers[one.instance]
        assert header.InstanceNumber == index + 1
        assert "PixelData" not in header
        assert one.position == tuple(header.ImagePositionPatient)
        ras = np.array([-1, -1, 1]) * one.position
        assert np.allclose(scan.grid.to_voxel(ras[None])[0], (0, 0, index))


def test_frames_of_a_multi_frame_file(tmp_path: Path) -> None:
    write_series(tmp_path / "ct", VOLUME[:, :, ::-1], affine_of(ACQUISITIONS["axial"] * (1, 1, -1)), enhanced=True)
    scan = read_scan(tmp_path / "ct" / "multiframe.dcm")
    assert np.array_equal(scan.voxels, VOLUME)
    assert len(scan.dicom.headers) == 1
    assert [one.frame for one in scan.dicom.slices] == list(range(SHAPE[2]))[::-1]


def test_a_single_slice_is_as_thick_as_its_header_says(tmp_path: Path) -> None:
    files = write_series(tmp_path / "ct", VOLUME, AXIAL)
    scan = read_scan(shutil.copy(files[4], tmp_path))
    assert scan.grid.spacing == pytest.approx(SPACING)
    assert np.array_equal(scan.voxels, VOLUME[:, :, 4:5])


def test_one_file_means_its_series(tmp_path: Path) -> None:
    files = write_series(tmp_path / "ct", VOLUME, AXIAL)
    write_series(tmp_path / "ct" / "below", VOLUME, AXIAL)
    (tmp_path / "beside").mkdir()
    other = write_series(tmp_path / "other", VOLUME, AXIAL)
    shutil.copy(other[0], tmp_path / "ct" / "other.dcm")
    scan = read_scan(files[5])
    assert (scan.name, scan.source) == ("IM0006", files[5])
    assert np.array_equal(scan.voxels, VOLUME)


def test_a_scan_beyond_the_limit_is_refused_before_its_pixels(tmp_path: Path) -> None:
    files = write_series(tmp_path / "ct", VOLUME, AXIAL)
    files[0].write_bytes(files[0].read_bytes()[:-300])
    with pytest.raises(ScanError, match="at most 1000 are taken"):
        read_scan(tmp_path / "ct", max_voxels=1000)


def test_no_message_tells_who_the_patient_is(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="openvista.io")
    files = write_series(tmp_path / "a" / "ct", VOLUME, AXIAL, SeriesDescription="Name^Made^Up")
    write_series(tmp_path / "a" / "scout", VOLUME[:, :, :1], AXIAL, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    shutil.copy(files[1], tmp_path / "a" / "again.dcm")
    read_scan(tmp_path / "a")
    for file in files[2:5]:
        file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(ScanError) as damaged:
        read_scan(tmp_path / "a")
    for file in files[2:5]:
        file.unlink()
    with pytest.raises(ScanError) as gaps:
        read_scan(tmp_path / "a")
    told = f"{caplog.text} {damaged.value} {gaps.value}"
    assert "localizer" in told
    assert not [value for value in IDENTIFIERS.values() if value in told]
    assert "Made" not in repr(read_scan(tmp_path / "a", fill_gaps=True))
