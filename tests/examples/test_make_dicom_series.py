"""The demo's DICOM twin: the same HU at the same places."""

import runpy
from pathlib import Path

import numpy as np
import pytest

import openvista as ov

ROOT = Path(__file__).parents[2]
CT = ROOT / "examples/data/head_neck_ct.nii.gz"


def test_a_series_holds_the_scan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = ROOT / "examples/make_dicom_series.py"
    monkeypatch.setattr("sys.argv", [str(script), str(CT), str(tmp_path / "series")])
    runpy.run_path(str(script), run_name="__main__")
    scan, twin = ov.read_scan(CT), ov.read_scan(tmp_path / "series")
    assert twin.grid.in_ras_order().matches(scan.grid.in_ras_order(), tolerance_mm=0.01)
    voxels = np.argwhere(np.ones((2, 2, 2))) * (np.array(scan.grid.shape) - 1)
    voxels = np.vstack([voxels, np.random.default_rng(0).integers(0, scan.grid.shape, (500, 3))])
    there = np.rint(twin.grid.to_voxel(scan.grid.to_world(voxels))).astype(int)
    np.testing.assert_array_equal(twin.voxels[tuple(there.T)], scan.voxels[tuple(voxels.T)])


def test_without_a_folder_it_says_how_to_call_it(monkeypatch: pytest.MonkeyPatch) -> None:
    script = ROOT / "examples/make_dicom_series.py"
    monkeypatch.setattr("sys.argv", [str(script)])
    with pytest.raises(SystemExit, match="usage"):
        runpy.run_path(str(script), run_name="__main__")
