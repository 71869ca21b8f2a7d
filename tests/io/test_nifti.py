"""Reading NIfTI: voxels, scaling, units and orientation come out as the file means them."""

import gzip
import itertools
import logging
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray

from openvista.errors import ScanError
from openvista.io import check_scan, read_labels, read_scan

ORIENTATIONS = list(itertools.product(itertools.permutations(range(3)), itertools.product((1, -1), repeat=3)))


def save(
    path: Path, values: NDArray[np.generic], affine: NDArray[np.float64] | None = None, **fields: float
) -> nib.Nifti1Image:
    image = nib.Nifti1Image(values, np.diag([2.0, 2.0, 3.0, 1.0]) if affine is None else affine, dtype=values.dtype)
    for name, value in fields.items():
        image.header[name] = value
    nib.save(image, path)
    return image


def ct(shape: tuple[int, ...] = (4, 5, 6), dtype: type = np.int16) -> NDArray[np.generic]:
    return np.random.default_rng(0).integers(-1000, 2000, shape).astype(dtype)


@pytest.mark.parametrize(("order", "signs"), ORIENTATIONS)
@pytest.mark.parametrize("angle", [0.0, 0.31])
def test_every_orientation_keeps_voxels_and_affine(
    tmp_path: Path, order: tuple[int, ...], signs: tuple[int, ...], angle: float
) -> None:
    affine = np.eye(4)
    affine[:3, :3] = np.eye(3)[:, order] * np.array(signs) * (0.7, 0.8, 5.0)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    affine[:3, :3] = turn @ affine[:3, :3]
    affine[:3, 3] = (10, -20, 30)
    values = ct()
    save(tmp_path / "ct.nii.gz", values, affine)
    scan = read_scan(tmp_path / "ct.nii.gz")
    np.testing.assert_array_equal(scan.voxels, values)
    np.testing.assert_array_equal(scan.grid.affine, nib.load(tmp_path / "ct.nii.gz").affine)
    assert scan.grid.axis_codes == "".join(nib.aff2axcodes(affine))
    assert (scan.name, scan.source) == ("ct", tmp_path / "ct.nii.gz")


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".NII.GZ"])
def test_suffixes(tmp_path: Path, suffix: str) -> None:
    save(tmp_path / f"a.b{suffix}", ct())
    scan = read_scan(str(tmp_path / f"a.b{suffix}"))
    assert scan.name == "a.b"
    np.testing.assert_array_equal(scan.voxels, ct())


@pytest.mark.parametrize("dtype", [np.int16, np.int8, np.int32, np.int64, np.uint16])
def test_unscaled_integers_stay_int16(tmp_path: Path, dtype: type) -> None:
    values = np.clip(ct(), 0 if dtype == np.uint16 else -100, 100).astype(dtype)
    save(tmp_path / "ct.nii", values)
    scan = read_scan(tmp_path / "ct.nii")
    assert scan.voxels.dtype == np.int16
    np.testing.assert_array_equal(scan.voxels, values)


def test_big_endian(tmp_path: Path) -> None:
    header = nib.Nifti1Header(endianness=">")
    header.set_data_dtype(">i2")
    nib.save(nib.Nifti1Image(ct(), np.eye(4), header), tmp_path / "ct.nii.gz")
    assert nib.load(tmp_path / "ct.nii.gz").header.endianness == ">"
    scan = read_scan(tmp_path / "ct.nii.gz")
    assert scan.voxels.dtype.isnative
    np.testing.assert_array_equal(scan.voxels, ct())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_floats_become_float32(tmp_path: Path, dtype: type) -> None:
    values = ct().astype(dtype) + dtype(0.25)
    save(tmp_path / "ct.nii.gz", values)
    scan = read_scan(tmp_path / "ct.nii.gz")
    assert scan.voxels.dtype == np.float32
    np.testing.assert_array_equal(scan.voxels, values.astype(np.float32))


@pytest.mark.parametrize(("slope", "intercept"), [(1.0, -1024.0), (0.5, 10.0), (2.0, 0.0)])
@pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.uint8])
def test_slope_and_intercept_are_applied(tmp_path: Path, slope: float, intercept: float, dtype: type) -> None:
    stored = np.random.default_rng(0).integers(0, 200, (4, 5, 6)).astype(dtype)
    image = nib.Nifti1Image(stored, np.eye(4), dtype=dtype)
    image.header.set_slope_inter(slope, intercept)
    nib.save(image, tmp_path / "ct.nii.gz")
    # nibabel scales when it saves: write the stored numbers and the scaling by hand
    raw = bytearray(gzip.decompress((tmp_path / "ct.nii.gz").read_bytes()))
    raw[112:120] = np.array([slope, intercept], "<f4").tobytes()
    raw[352:] = stored.tobytes(order="F")
    (tmp_path / "ct.nii").write_bytes(raw)
    scan = read_scan(tmp_path / "ct.nii")
    assert scan.voxels.dtype == np.float32
    np.testing.assert_allclose(scan.voxels, stored * slope + intercept)


def test_wrapped_uint16_gets_its_sign_back(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    save(tmp_path / "ct.nii.gz", ct().astype(np.uint16))
    scan = read_scan(tmp_path / "ct.nii.gz")
    assert scan.voxels.dtype == np.int16
    np.testing.assert_array_equal(scan.voxels, ct())
    assert "wrapped" in caplog.text


def test_large_uint16_that_cannot_be_wrapped_hu_stays(tmp_path: Path) -> None:
    values = np.full((3, 3, 3), 40000, np.uint16)
    save(tmp_path / "ct.nii.gz", values)
    np.testing.assert_array_equal(read_scan(tmp_path / "ct.nii.gz").voxels, values.astype(np.float32))


@pytest.mark.parametrize(("unit", "factor"), [(1, 1000.0), (3, 0.001), (2, 1.0), (0, 1.0), (7, 1.0)])
def test_units_become_mm(tmp_path: Path, unit: int, factor: float, caplog: pytest.LogCaptureFixture) -> None:
    save(tmp_path / "ct.nii.gz", ct(), np.diag([0.2, 0.2, 0.3, 1.0]), xyzt_units=unit)
    assert read_scan(tmp_path / "ct.nii.gz").grid.spacing == pytest.approx((0.2 * factor, 0.2 * factor, 0.3 * factor))
    assert ("converted to mm" in caplog.text) == (unit in (1, 3))
    assert ("unknown code 7" in caplog.text) == (unit == 7)


def test_sform_wins_over_a_different_qform(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    image = nib.Nifti1Image(ct(), np.eye(4))
    image.set_sform(np.diag([2.0, 2.0, 2.0, 1.0]), code=1)
    image.set_qform(np.diag([-3.0, 3.0, 2.0, 1.0]), code=1)
    nib.save(image, tmp_path / "ct.nii.gz")
    scan = read_scan(tmp_path / "ct.nii.gz")
    np.testing.assert_array_equal(scan.grid.affine, np.diag([2.0, 2.0, 2.0, 1.0]))
    assert "sform and qform differ" in caplog.text


def test_only_a_qform(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    image = nib.Nifti1Image(ct(), np.eye(4))
    image.set_qform(np.diag([-3.0, 3.0, 2.0, 1.0]), code=1)
    image.set_sform(None, code=0)
    nib.save(image, tmp_path / "ct.nii.gz")
    np.testing.assert_allclose(read_scan(tmp_path / "ct.nii.gz").grid.affine, np.diag([-3.0, 3, 2, 1]), atol=1e-6)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_neither_form_is_a_guess(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    nib.save(nib.Nifti1Image(ct(), None), tmp_path / "ct.nii.gz")
    scan = read_scan(tmp_path / "ct.nii.gz")
    np.testing.assert_array_equal(scan.grid.affine, nib.load(tmp_path / "ct.nii.gz").affine)
    assert "neither sform nor qform" in caplog.text


@pytest.mark.parametrize("shape", [(4, 5, 6, 1), (4, 5, 6, 1, 1)])
def test_one_volume_in_4d_is_used(tmp_path: Path, shape: tuple[int, ...], caplog: pytest.LogCaptureFixture) -> None:
    save(tmp_path / "ct.nii.gz", ct(shape))
    np.testing.assert_array_equal(read_scan(tmp_path / "ct.nii.gz").voxels, ct(shape).reshape(4, 5, 6))
    assert "one volume" in caplog.text


def test_one_slice_is_a_volume(tmp_path: Path) -> None:
    save(tmp_path / "ct.nii.gz", ct((9, 8, 1)))
    assert read_scan(tmp_path / "ct.nii.gz").voxels.shape == (9, 8, 1)


def test_nifti2(tmp_path: Path) -> None:
    nib.save(nib.Nifti2Image(ct(), np.diag([2.0, 2, 3, 1])), tmp_path / "ct.nii.gz")
    scan = read_scan(tmp_path / "ct.nii.gz")
    np.testing.assert_array_equal(scan.voxels, ct())
    assert scan.grid.spacing == (2, 2, 3)


@pytest.mark.parametrize(
    ("values", "dtype"),
    [([0, 1, 255], np.uint8), ([0, 1, 256], np.uint16), ([0, 3, 65535], np.uint16)],
)
@pytest.mark.parametrize("stored", [np.int32, np.float64, np.uint16])
def test_label_maps_of_any_stored_type(tmp_path: Path, values: list[int], dtype: type, stored: type) -> None:
    labels = np.array(values * 9).reshape(3, 3, 3)
    save(tmp_path / "seg.nii.gz", labels.astype(stored))
    read, grid = read_labels(tmp_path / "seg.nii.gz")
    assert read.dtype == dtype
    np.testing.assert_array_equal(read, labels)
    assert grid.spacing == (2, 2, 3)


@pytest.mark.parametrize(
    ("value", "words"), [(0.5, "fractions"), (-1, "between 0 and 65535"), (70000, "between 0"), (np.nan, "1 voxels")]
)
def test_what_is_no_label_map(tmp_path: Path, value: float, words: str) -> None:
    labels = np.zeros((3, 3, 3), np.float32)
    labels[1, 1, 1] = value
    save(tmp_path / "seg.nii.gz", labels)
    with pytest.raises(ScanError, match=words):
        read_labels(tmp_path / "seg.nii.gz")


UNCLEAR = {
    "header-orientation": {"sform_code": 0, "qform_code": 0},
    "header-orientations-differ": {"qform_code": 1, "qoffset_x": 191},
    "header-spacing": {"sform_code": 0, "qform_code": 1, "pixdim": [1, 2, 0, 3, 1, 1, 1, 1]},
    "header-unit": {"xyzt_units": 3},
}


@pytest.mark.parametrize("code", UNCLEAR)
def test_what_a_header_leaves_unclear_is_part_of_the_scan(tmp_path: Path, code: str) -> None:
    """So that it can be refused, and not only read in a log."""
    save(tmp_path / "ct.nii.gz", ct())
    content = bytearray(gzip.decompress((tmp_path / "ct.nii.gz").read_bytes()))
    header = nib.Nifti1Header(bytes(content[:348]), check=False)
    for name, value in UNCLEAR[code].items():
        header[name] = value
    content[:348] = header.binaryblock
    (tmp_path / "ct.nii.gz").write_bytes(gzip.compress(bytes(content)))
    scan = read_scan(tmp_path / "ct.nii.gz")
    assert code in [warning.code for warning in scan.warnings]
    assert set(scan.warnings) <= set(check_scan(scan))
