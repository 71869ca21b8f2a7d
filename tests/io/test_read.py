"""Bad files: one line with the file and the remedy, never a traceback from below."""

import gzip
import os
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from openvista.errors import InputError, ScanError
from openvista.geometry.grid import Grid
from openvista.io import bytes_to_read, read_grid, read_labels, read_scan, read_segmentation
from openvista.scan import Segmentation


def nifti_bytes(values: np.ndarray | None = None) -> bytearray:
    values = np.random.default_rng(0).integers(-1000, 1000, (16, 16, 16)).astype(np.int16) if values is None else values
    return bytearray(nib.Nifti1Image(values, np.diag([2.0, 2, 2, 1]), dtype=values.dtype).to_bytes())


def refuse(path: Path, words: str) -> None:
    for read in (read_scan, read_labels, read_segmentation):
        with pytest.raises(ScanError, match=words) as caught:
            read(path)
        assert "\n" not in str(caught.value)
        assert path.name.split(".")[0] in str(caught.value)
        assert caught.value.exit_code == 2


def test_missing(tmp_path: Path) -> None:
    refuse(tmp_path / "ct.nii.gz", "no such file")


def test_a_grid_needs_no_ct(tmp_path: Path) -> None:
    """Any 3D image has one, such as a dose or a label map."""
    affine = np.array([[0, -1.5, 0, 4], [2, 0, 0, -7], [0, 0, 3, 1], [0, 0, 0, 1.0]])
    image = nib.Nifti1Image(np.full((5, 6, 7), np.nan, np.float32), affine)
    for ending in ("nii", "nii.gz"):
        nib.save(image, tmp_path / f"dose.{ending}")
        assert read_grid(tmp_path / f"dose.{ending}").matches(Grid((5, 6, 7), affine))
    (tmp_path / "cut.nii").write_bytes((tmp_path / "dose.nii").read_bytes()[:400])
    with pytest.raises(ScanError, match=r"cut\.nii"):
        read_grid(tmp_path / "cut.nii")


def test_unknown_ending(tmp_path: Path) -> None:
    (tmp_path / "ct.jpg").write_bytes(b"x")
    refuse(tmp_path / "ct.jpg", "not an image format")


@pytest.mark.parametrize("name", ["ct.nii", "ct.nii.gz", "ct.mha", "ct.nrrd", "ct.mhd"])
@pytest.mark.parametrize("content", [b"", b"hello, this is a text file, not an image\n" * 20])
def test_no_image_inside(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    refuse(tmp_path / name, "not a readable|not gzip")


def test_plain_nifti_named_gz(tmp_path: Path) -> None:
    (tmp_path / "ct.nii.gz").write_bytes(nifti_bytes())
    refuse(tmp_path / "ct.nii.gz", "not gzip|not a readable")


def test_gzip_named_nii(tmp_path: Path) -> None:
    (tmp_path / "ct.nii").write_bytes(gzip.compress(nifti_bytes()))
    refuse(tmp_path / "ct.nii", "not a readable")


@pytest.mark.parametrize("kept", [0.01, 0.5, 0.99, 0.9999])
@pytest.mark.parametrize("name", ["ct.nii", "ct.nii.gz"])
def test_cut_short(tmp_path: Path, kept: float, name: str) -> None:
    whole = bytes(nifti_bytes())
    whole = gzip.compress(whole) if name.endswith("gz") else whole
    (tmp_path / name).write_bytes(whole[: min(int(len(whole) * kept), len(whole) - 1)])
    refuse(tmp_path / name, "cut short|not a readable")


def test_flipped_bits_in_gzip_are_found_by_the_checksum(tmp_path: Path) -> None:
    whole = bytearray(gzip.compress(nifti_bytes(), compresslevel=0))  # stored: any change still unpacks
    whole[5000] ^= 0x55
    (tmp_path / "ct.nii.gz").write_bytes(whole)
    with pytest.raises(ScanError, match="damaged"):
        read_scan(tmp_path / "ct.nii.gz")


def test_a_header_that_claims_terabytes(tmp_path: Path) -> None:
    raw = nifti_bytes()
    raw[42:48] = np.array([32000, 32000, 32000], "<i2").tobytes()
    (tmp_path / "ct.nii.gz").write_bytes(gzip.compress(raw))
    refuse(tmp_path / "ct.nii.gz", "header claims")


def test_a_header_that_claims_more_than_the_file_can_unpack_to(tmp_path: Path) -> None:
    raw = nifti_bytes()
    raw[42:48] = np.array([1024, 1024, 1024], "<i2").tobytes()
    (tmp_path / "ct.nii.gz").write_bytes(gzip.compress(raw))
    refuse(tmp_path / "ct.nii.gz", "cut short")


@pytest.mark.parametrize(
    ("shape", "words"),
    [((8, 9), "2D"), ((8,), "1D"), ((4, 5, 6, 7), "7 volumes"), ((4, 5, 6, 1, 3), "3 volumes")],
)
def test_wrong_dimensions(tmp_path: Path, shape: tuple[int, ...], words: str) -> None:
    (tmp_path / "ct.nii").write_bytes(nifti_bytes(np.zeros(shape, np.int16)))
    refuse(tmp_path / "ct.nii", words)


def test_empty_axis(tmp_path: Path) -> None:
    raw = nifti_bytes()
    raw[46:48] = np.array([0], "<i2").tobytes()
    (tmp_path / "ct.nii").write_bytes(raw)
    refuse(tmp_path / "ct.nii", "empty axis")


def test_negative_axis(tmp_path: Path) -> None:
    raw = nifti_bytes()
    raw[46:48] = np.array([-5], "<i2").tobytes()
    (tmp_path / "ct.nii").write_bytes(raw)
    refuse(tmp_path / "ct.nii", "empty axis|not a readable")


def test_unknown_data_type(tmp_path: Path) -> None:
    raw = nifti_bytes()
    raw[70:72] = np.array([9999], "<i2").tobytes()
    (tmp_path / "ct.nii").write_bytes(raw)
    refuse(tmp_path / "ct.nii", "not a readable|broken")


def test_colour_and_complex(tmp_path: Path) -> None:
    rgb = np.zeros((4, 5, 6), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    (tmp_path / "rgb.nii").write_bytes(nifti_bytes(rgb))
    refuse(tmp_path / "rgb.nii", "colours")
    (tmp_path / "complex.nii").write_bytes(nifti_bytes(np.zeros((4, 5, 6), np.complex64)))
    refuse(tmp_path / "complex.nii", "complex")


@pytest.mark.parametrize(("value", "words"), [(np.nan, "2 voxels are NaN and 0"), (-np.inf, "0 voxels .* 2 infinite")])
def test_not_finite(tmp_path: Path, value: float, words: str) -> None:
    values = np.zeros((4, 5, 6), np.float32)
    values[1, 1, 1:3] = value
    (tmp_path / "ct.nii").write_bytes(nifti_bytes(values))
    refuse(tmp_path / "ct.nii", words)


def test_float64_beyond_float32(tmp_path: Path) -> None:
    values = np.zeros((4, 5, 6))
    values[0, 0, 0] = 1e300
    (tmp_path / "ct.nii").write_bytes(nifti_bytes(values))
    with pytest.raises(ScanError, match="1 infinite"):
        read_scan(tmp_path / "ct.nii")


@pytest.mark.parametrize("row", [[0.0, 0, 0, 0], [np.nan, 0, 0, 0], [np.inf, 0, 0, 0]])
def test_useless_affine(tmp_path: Path, row: list[float]) -> None:
    raw = nifti_bytes()
    raw[280:296] = np.array(row, "<f4").tobytes()
    (tmp_path / "ct.nii").write_bytes(raw)
    refuse(tmp_path / "ct.nii", "affine")


def test_folders(tmp_path: Path) -> None:
    folder = tmp_path / "case"
    folder.mkdir()
    refuse(folder, "no image in this folder")
    (folder / "notes.txt").write_text("x")
    refuse(folder, "no image in this folder")
    (folder / "ct.nii").write_bytes(nifti_bytes())
    (folder / ".hidden.nii").write_bytes(b"x")
    assert read_scan(folder).name == "ct"
    (folder / "other.nii").write_bytes(nifti_bytes())
    refuse(folder, "holds 2 images")


def test_dicom_that_holds_no_image(tmp_path: Path) -> None:
    folder = tmp_path / "series"
    folder.mkdir()
    (folder / "IM0001").write_bytes(b"\0" * 128 + b"DICM" + b"\0" * 100)
    (tmp_path / "slice.dcm").write_bytes(b"x")
    (tmp_path / "series.zip").write_bytes(b"PK")
    for path, words in {
        folder: "no DICOM image",
        folder / "IM0001": "no DICOM image",
        tmp_path / "slice.dcm": "no DICOM image",
        tmp_path / "series.zip": "not a readable zip",
    }.items():
        with pytest.raises(ScanError, match=words):
            read_scan(path)
        with pytest.raises(ScanError, match=r"not a (label map|DICOM file)|no labels"):
            read_labels(path)


def test_no_regular_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    link = tmp_path / "ct.nii.gz"
    link.symlink_to("/dev/null")
    refuse(link, "not a regular file")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_no_permission(tmp_path: Path) -> None:
    (tmp_path / "ct.nii").write_bytes(nifti_bytes())
    (tmp_path / "ct.nii").chmod(0)
    refuse(tmp_path / "ct.nii", "ermission")


def test_nifti_pair_is_not_single_file(tmp_path: Path) -> None:
    image = nib.Nifti1Pair(np.zeros((4, 5, 6), np.int16), np.eye(4))
    nib.save(image, tmp_path / "ct.img")
    with pytest.raises(InputError, match="not an image format"):
        read_scan(tmp_path / "ct.img")
    (tmp_path / "ct.hdr").rename(tmp_path / "other.nii")  # a header whose voxels are elsewhere
    refuse(tmp_path / "other.nii", "in another file")


damage = st.lists(
    st.tuples(st.integers(0, 900), st.one_of(st.sampled_from([0, 255]), st.integers(0, 255))), min_size=1, max_size=3
)


@pytest.mark.parametrize("suffix", [".nii", ".nrrd", ".mha"])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(changes=damage)
def test_damaged_headers(tmp_path: Path, suffix: str, changes: list[tuple[int, int]]) -> None:
    """Any damage gives a scan or one line of ScanError, never an error from below."""
    labels = np.random.default_rng(0).integers(0, 3, (8, 9, 10)).astype(np.uint8)
    path = tmp_path / f"seg{suffix}"
    Segmentation(labels, Grid(labels.shape, np.eye(4)), {1: "liver", 2: "lung"}).save(path)
    content = bytearray(path.read_bytes())
    for place, value in changes:
        content[place % len(content)] = value
    path.write_bytes(content)
    for read in (read_scan, read_segmentation):
        message = ""
        try:
            read(path)
        except InputError as error:
            message = str(error)
        assert "\n" not in message


def test_how_much_reading_takes_is_told_by_the_sizes_of_files(tmp_path):
    (tmp_path / "packed.nii.gz").write_bytes(gzip.compress(bytes(1_000_000)))
    (tmp_path / "plain.nii").write_bytes(bytes(1_000_000))
    assert bytes_to_read(tmp_path / "packed.nii.gz") == bytes_to_read(tmp_path / "plain.nii") >= 3_000_000
    assert bytes_to_read(tmp_path / "missing.nii") == 0
    assert bytes_to_read(tmp_path) == 0, "it would be refused: which of them?"


def test_what_lies_beside_the_file_that_is_named_is_read_as_well(tmp_path):
    for folder in ("series", "images"):
        (tmp_path / folder).mkdir()
    for name in ("1.dcm", "2.dcm", "DICOMDIR"):
        (tmp_path / "series" / name).write_bytes(bytes(128) + b"DICM" + bytes(100_000))
    series = bytes_to_read(tmp_path / "series")
    assert series > 3 * 100_000
    assert bytes_to_read(tmp_path / "series" / "1.dcm") == bytes_to_read(tmp_path / "series" / "DICOMDIR") == series
    for name, size in (("ct.mhd", 500), ("ct.raw", 1_000_000), ("other.raw", 1_000_000)):
        (tmp_path / "images" / name).write_bytes(bytes(size))
    (tmp_path / "plain.nii").write_bytes(bytes(1_000_500))
    assert bytes_to_read(tmp_path / "images" / "ct.mhd") == bytes_to_read(tmp_path / "plain.nii")
