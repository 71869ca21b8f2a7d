"""Voxels of the scan's grid and pixels of the original slices."""

import numpy as np
import pytest

from openvista.io import read_scan
from openvista.io.dicom.frames import labels_on_slices, original_slices, pixels_to_lps
from small_dicom import phantom, tilted, write_series
from small_dicom_results import MARK, SHAPE, affine_of, labelled, small_scan

AXES = np.diag([-1.0, -1.0, 1.0])


def test_without_tilt_it_is_a_transposition(tmp_path):
    scan = small_scan(tmp_path / "ct")
    labels = labelled(scan).labels
    assert np.array_equal(labels_on_slices(labels, scan.dicom), labels.T)


def test_filled_slices_are_left_out(tmp_path):
    affine = affine_of(AXES)
    files = write_series(tmp_path / "ct", phantom(affine, SHAPE, MARK), affine)
    files[9].unlink()
    scan = read_scan(tmp_path / "ct", fill_gaps=True)
    labels = labelled(scan).labels
    assert np.array_equal(labels_on_slices(labels, scan.dicom), np.delete(labels.T, 9, axis=0))


@pytest.mark.parametrize("degrees", [0.0, 14.0])
def test_pixels_lie_where_their_voxels_do(tmp_path, degrees):
    """A structure keeps its place in the patient on the slices of a tilted gantry."""
    affine = tilted(affine_of(AXES), degrees)
    write_series(tmp_path / "ct", phantom(affine, SHAPE, MARK), affine)
    scan = read_scan(tmp_path / "ct")
    assert (max(abs(one.shift[1]) for one in scan.dicom.slices) > 3) == (degrees > 0)
    frames = labels_on_slices(labelled(scan).labels, scan.dicom)
    points = []
    for frame, one in zip(frames, original_slices(scan.dicom), strict=True):
        rows, columns = np.nonzero(frame == 5)
        points.append(pixels_to_lps(np.column_stack([columns, rows]), one, scan.dicom, scan.grid))
    assert np.concatenate(points).mean(axis=0) * (-1, -1, 1) == pytest.approx(MARK, abs=0.4)
