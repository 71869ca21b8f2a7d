"""A second opinion: dcm2niix finds the same HU at the same place in the patient, wherever both read a series."""

import subprocess
from pathlib import Path

import dcm2niix
import nibabel as nib
import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from openvista.io import read_scan
from openvista.scan import Scan
from small_dicom import ACQUISITIONS, AXIAL, FAR, SHAPE, SYNTAXES, affine_of, phantom, tilted, write_series


def converted(folder: Path, suffix: str = "") -> nib.Nifti1Image:
    output = folder.parent / "converted"
    output.mkdir()
    done = subprocess.run(
        [dcm2niix.bin, "-b", "n", "-z", "n", "-f", "ct", "-o", output, folder], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout
    return nib.load(output / f"ct{suffix}.nii")


def difference(scan: Scan, other: nib.Nifti1Image) -> np.ndarray:
    """HU by which the other image differs, at each of the scan's voxels that lie in it."""
    voxels = np.stack(np.meshgrid(*map(np.arange, scan.grid.shape), indexing="ij"), -1).reshape(-1, 3)
    inverse = np.linalg.inv(other.affine)
    places = scan.grid.to_world(voxels) @ inverse[:3, :3].T + inverse[:3, 3]
    inside = ((places > -0.01) & (places < np.array(other.shape) - 0.99)).all(axis=1)
    theirs = map_coordinates(np.asarray(other.dataobj).astype(float), places[inside].T, order=1, mode="nearest")
    return np.abs(theirs - scan.voxels.reshape(-1)[inside])


@pytest.mark.parametrize("enhanced", [False, True])
@pytest.mark.parametrize("name", ACQUISITIONS)
def test_the_same_hu_at_the_same_place(name: str, enhanced: bool, tmp_path: Path) -> None:
    affine = affine_of(ACQUISITIONS[name])
    volume = phantom(affine, SHAPE, affine[:3, :3] @ (20, 18, 3) + affine[:3, 3])
    write_series(tmp_path / "ct", volume, affine, enhanced=enhanced)
    differences = difference(read_scan(tmp_path / "ct"), converted(tmp_path / "ct"))
    assert differences.size == volume.size
    assert differences.max() < 0.1


@pytest.mark.parametrize("syntax", sorted(SYNTAXES.keys() - {"deflated"}))  # which dcm2niix says it cannot read
def test_the_same_hu_from_every_syntax_that_both_read(syntax: str, tmp_path: Path) -> None:
    write_series(tmp_path / "ct", phantom(AXIAL, SHAPE, FAR), AXIAL, syntax=syntax, slopes=(2.0,))
    assert difference(read_scan(tmp_path / "ct"), converted(tmp_path / "ct")).max() < 0.1


@pytest.mark.parametrize("degrees", [15, -22])
def test_a_tilted_gantry(degrees: float, tmp_path: Path) -> None:
    """It shears to whole pixels or near them: half a voxel is 2 HU here, a tilt that is ignored more than 7."""
    affine = tilted(AXIAL, degrees)
    write_series(tmp_path / "ct", phantom(affine, SHAPE, FAR), affine, GantryDetectorTilt=str(-degrees))
    scan = read_scan(tmp_path / "ct")
    differences = difference(scan, converted(tmp_path / "ct", "_Tilt_1"))
    assert np.median(differences) <= 2.5
