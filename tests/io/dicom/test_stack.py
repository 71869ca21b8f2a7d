"""Geometry that deceives: tilt, gaps, duplicates, distances; right, or one line that says why not."""

import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from openvista.errors import ScanError
from openvista.geometry.grid import Grid
from openvista.io import read_scan
from openvista.scan import Scan
from small_dicom import ACQUISITIONS, AXIAL, FAR, SHAPE, VOLUME, affine_of, phantom, tilted, write_series


def truth(scan: Scan) -> np.ndarray:
    """What the phantom without a mark is at each of the scan's voxels."""
    return phantom(scan.grid.affine, scan.grid.shape, FAR)


# --- tilt -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("degrees", "axis"), [(15, 1), (-22, 1), (9, 0)])
@pytest.mark.parametrize("enhanced", [False, True])
@pytest.mark.parametrize("name", ["axial", "oblique"])
def test_a_tilt_is_undone_and_can_be_gone_back(
    name: str, degrees: float, axis: int, enhanced: bool, tmp_path: Path
) -> None:
    affine = tilted(affine_of(ACQUISITIONS[name]), degrees, axis)
    original = phantom(affine, SHAPE, FAR)
    scan = read_scan(write_series(tmp_path / "ct", original, affine, enhanced=enhanced)[0].parent)
    covered = scan.voxels > -1024
    assert np.abs(scan.voxels - truth(scan))[covered].max() <= 2, "half a pixel at the edge, and rounding"
    assert scan.grid.shape[axis] > SHAPE[axis]
    columns, rows = np.meshgrid(np.arange(SHAPE[0]), np.arange(SHAPE[1]), indexing="ij")
    for index, one in enumerate(scan.dicom.slices):
        voxels = np.stack([columns - one.shift[0], rows - one.shift[1], np.full_like(columns, index)], axis=-1)
        assert (voxels >= -1e-6).all()
        assert (voxels <= np.array(scan.grid.shape) - 1 + 1e-6).all(), "nothing of the slice is lost"
        points = scan.grid.to_world(voxels.reshape(-1, 3))
        pixels = np.stack([columns, rows, np.full_like(columns, index)], axis=-1).reshape(-1, 3)
        assert np.allclose(points, Grid(SHAPE, affine).to_world(pixels), atol=1e-4)


def test_half_a_degree_of_rounding_is_no_tilt(tmp_path: Path) -> None:
    files = write_series(tmp_path / "ct", VOLUME, AXIAL)
    for index, file in enumerate(files):
        whole = dcmread(file)
        whole.ImagePositionPatient = [*(value + 0.02 * (-1) ** index for value in whole.ImagePositionPatient[:2]),
                                      whole.ImagePositionPatient[2] + 0.01 * (-1) ** index]  # fmt: skip
        whole.save_as(file)
    scan = read_scan(tmp_path / "ct")
    assert np.array_equal(scan.voxels, VOLUME)


# --- gaps, duplicates, distances ------------------------------------------------------------------------------------


def test_missing_slices_are_named_and_filled_only_when_asked(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    files = write_series(tmp_path / "ct", VOLUME, AXIAL)
    for index in (3, 4):
        files[index].unlink()
    with pytest.raises(ScanError, match=r"2 slices are missing, at z = -32.5 mm, z = -30 mm; .*--fill-gaps"):
        read_scan(tmp_path / "ct")
    with caplog.at_level(logging.WARNING):
        scan = read_scan(tmp_path / "ct", fill_gaps=True)
    assert "2 slices are missing" in caplog.text
    assert [index for index, one in enumerate(scan.dicom.slices) if one is None] == [3, 4]
    assert np.array_equal(np.delete(scan.voxels, (3, 4), 2), np.delete(VOLUME, (3, 4), 2))
    between = VOLUME[:, :, 2] + (VOLUME[:, :, 5].astype(float) - VOLUME[:, :, 2]) / 3
    assert np.abs(scan.voxels[:, :, 3] - between).max() <= 0.51


def test_a_gap_beside_a_gantry_tilt(tmp_path: Path) -> None:
    affine = tilted(AXIAL, 15)
    files = write_series(tmp_path / "ct", phantom(affine, SHAPE, FAR), affine)
    files[4].unlink()
    scan = read_scan(tmp_path / "ct", fill_gaps=True)
    both = np.minimum(scan.voxels[:, :, 3], scan.voxels[:, :, 5]) > -1024
    assert np.abs(scan.voxels - truth(scan))[:, :, 4][both].max() <= 2


def test_the_same_image_twice_is_one_slice(tmp_path: Path) -> None:
    files = write_series(tmp_path / "ct", VOLUME, AXIAL)
    (tmp_path / "ct" / "copies").mkdir()
    for file in files[2:5]:
        shutil.copy(file, tmp_path / "ct" / "copies")
    scan = read_scan(tmp_path / "ct")
    assert np.array_equal(scan.voxels, VOLUME)
    assert len(scan.dicom.headers) == SHAPE[2]


def test_different_images_of_one_place_are_refused(tmp_path: Path) -> None:
    write_series(tmp_path / "ct", VOLUME, AXIAL)
    write_series(tmp_path / "other" / "ct", VOLUME + 1, AXIAL)
    (tmp_path / "other" / "ct" / "IM0004.dcm").rename(tmp_path / "ct" / "again.dcm")
    with pytest.raises(ScanError, match="another image of its series lies at the same place"):
        read_scan(tmp_path / "ct")


def test_distances_that_vary_are_refused(tmp_path: Path) -> None:
    files = write_series(tmp_path / "ct", VOLUME, AXIAL)
    for index, file in enumerate(files):
        whole = dcmread(file)
        whole.ImagePositionPatient[2] += 0.07 * index**2
        whole.save_as(file)
    with pytest.raises(ScanError, match=r"distance between slices varies from 2.57 to 3.5\d mm"):
        read_scan(tmp_path / "ct", fill_gaps=True)


def test_orientation_that_is_none(tmp_path: Path) -> None:
    write_series(tmp_path / "ct", VOLUME, AXIAL, ImageOrientationPatient=[1, 0, 0, 0.5, 1, 0])
    with pytest.raises(ScanError, match="no pair of perpendicular directions"):
        read_scan(tmp_path / "ct")
