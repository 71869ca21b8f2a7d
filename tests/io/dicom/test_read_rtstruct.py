"""RT structure sets as label maps: ours, and those of others."""

import numpy as np
import pytest
from pydicom import dcmread

from openvista.errors import GridError, ScanError
from openvista.geometry.grid import Grid
from openvista.io import read_scan
from openvista.io.dicom.read_rtstruct import read_rtstruct
from openvista.io.dicom.rtstruct import write_rtstruct
from small_dicom import phantom, tilted, write_series
from small_dicom_results import MARK, SHAPE, STRUCTURES, affine_of, dice, labelled, small_scan


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    return labelled(small_scan(tmp_path_factory.mktemp("read") / "ct"))


@pytest.mark.parametrize("keyhole", [False, True])
def test_what_we_write_comes_back(result, tmp_path, keyhole):
    write_rtstruct(tmp_path / "rtstruct.dcm", result, keyhole=keyhole)
    read = read_rtstruct(tmp_path / "rtstruct.dcm", result.grid)
    assert np.array_equal(read.labels, result.labels)
    assert read.names == STRUCTURES
    assert read.colours == result.colours


def test_on_the_grid_of_a_tilted_scan(tmp_path):
    affine = tilted(affine_of(np.diag([-1.0, -1.0, 1.0])), 14)
    write_series(tmp_path / "ct", phantom(affine, SHAPE, MARK), affine)
    result = labelled(read_scan(tmp_path / "ct"))
    write_rtstruct(tmp_path / "rtstruct.dcm", result)
    read = read_rtstruct(tmp_path / "rtstruct.dcm", result.grid)
    assert dice(read.labels == 5, result.labels == 5) > 0.96


def test_on_slices_twice_as_dense(result, tmp_path):
    """No gaps between the contours, and the volume is kept."""
    write_rtstruct(tmp_path / "rtstruct.dcm", result)
    fine = result.grid.with_spacing((*result.grid.spacing[:2], result.grid.spacing[2] / 2))
    mask = read_rtstruct(tmp_path / "rtstruct.dcm", fine).labels == 5
    slices = np.flatnonzero(mask.any(axis=(0, 1)))
    assert np.array_equal(slices, np.arange(slices[0], slices[-1] + 1))
    assert mask.sum() == pytest.approx(2 * (result.labels == 5).sum(), rel=0.05)


def test_other_grids(result, tmp_path):
    write_rtstruct(tmp_path / "rtstruct.dcm", result)
    away = result.grid.affine.copy()
    away[:3, 3] += 1000
    with pytest.raises(GridError, match="nothing in it lies on the scan"):
        read_rtstruct(tmp_path / "rtstruct.dcm", Grid(SHAPE, away))
    oblique = result.grid.affine @ np.array([[1, 0, 0.3, 0], [0, 1, 0, 0], [-0.3, 0, 1, 0], [0, 0, 0, 1.0]])
    with pytest.raises(GridError, match="oblique"):
        read_rtstruct(tmp_path / "rtstruct.dcm", Grid(SHAPE, oblique))


def test_points_and_open_contours_are_no_structures(result, tmp_path):
    write_rtstruct(tmp_path / "rtstruct.dcm", result)
    whole = dcmread(tmp_path / "rtstruct.dcm")
    for contour in whole.ROIContourSequence[0].ContourSequence:
        contour.ContourGeometricType = "OPEN_PLANAR"
    del whole.ROIContourSequence[1].ContourSequence
    whole.save_as(tmp_path / "rtstruct.dcm")
    read = read_rtstruct(tmp_path / "rtstruct.dcm", result.grid)
    assert set(read.names) == {14, 116}


def test_damaged(result, tmp_path):
    write_rtstruct(tmp_path / "rtstruct.dcm", result)
    whole = dcmread(tmp_path / "rtstruct.dcm")
    del whole.StructureSetROISequence
    whole.save_as(tmp_path / "rtstruct.dcm")
    with pytest.raises(ScanError, match="not an RT structure set"):
        read_rtstruct(tmp_path / "rtstruct.dcm", result.grid)
    with pytest.raises(ScanError, match="not an RT structure set"):
        read_rtstruct(tmp_path / "none.dcm", result.grid)
