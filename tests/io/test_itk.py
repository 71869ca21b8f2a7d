"""NRRD and MetaImage: voxels and places as SimpleITK means them, bad files refused in one line."""

import builtins
import itertools
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from openvista.errors import MissingExtraError, ScanError
from openvista.io import read_labels, read_scan

ORIENTATIONS = list(itertools.product(itertools.permutations(range(3)), itertools.product((1, -1), repeat=3)))
SUFFIXES = [".nrrd", ".nhdr", ".mha", ".mhd"]


def image(shape: tuple[int, ...] = (4, 5, 6), dtype: type = np.int16) -> sitk.Image:
    values = np.random.default_rng(0).integers(-1000, 1000, shape[::-1]).astype(dtype)
    return sitk.GetImageFromArray(values)


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
@pytest.mark.parametrize(("order", "signs"), ORIENTATIONS)
def test_every_direction_lands_where_itk_puts_it(
    tmp_path: Path, suffix: str, order: tuple[int, ...], signs: tuple[int, ...]
) -> None:
    source = image()
    turn = np.array([[0.96, -0.28, 0], [0.28, 0.96, 0], [0, 0, 1]])
    source.SetDirection((turn @ (np.eye(3)[:, order] * np.array(signs))).ravel().tolist())
    source.SetSpacing((0.7, 0.8, 5.0))
    source.SetOrigin((-11, 22, 33))
    sitk.WriteImage(source, str(tmp_path / f"ct{suffix}"))
    scan = read_scan(tmp_path / f"ct{suffix}")
    for voxel in [(0, 0, 0), (3, 4, 5), (2, 0, 5)]:
        x, y, z = source.TransformIndexToPhysicalPoint(voxel)  # LPS
        np.testing.assert_allclose(scan.grid.to_world(np.array([voxel]))[0], (-x, -y, z), atol=1e-6)
        assert scan.voxels[voxel] == source[voxel]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("dtype", [np.int16, np.uint8, np.int32, np.float32, np.float64])
def test_types(tmp_path: Path, suffix: str, dtype: type) -> None:
    source = image(dtype=dtype)
    sitk.WriteImage(source, str(tmp_path / f"ct{suffix}"))
    scan = read_scan(tmp_path / f"ct{suffix}")
    assert scan.voxels.dtype == (np.int16 if np.issubdtype(dtype, np.integer) else np.float32)
    np.testing.assert_array_equal(scan.voxels, sitk.GetArrayFromImage(source).T)
    assert scan.name == "ct"


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_one_volume_in_4d_and_several(tmp_path: Path, suffix: str) -> None:
    single = sitk.JoinSeries([image()])
    sitk.WriteImage(single, str(tmp_path / f"one{suffix}"))
    assert read_scan(tmp_path / f"one{suffix}").voxels.shape == (4, 5, 6)
    sitk.WriteImage(sitk.JoinSeries([image(), image()]), str(tmp_path / f"two{suffix}"))
    with pytest.raises(ScanError, match="2 volumes"):
        read_scan(tmp_path / f"two{suffix}")


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_flat_colour_and_nan(tmp_path: Path, suffix: str) -> None:
    sitk.WriteImage(image((8, 9)), str(tmp_path / f"flat{suffix}"))
    sitk.WriteImage(sitk.Compose([image(dtype=np.uint8)] * 3), str(tmp_path / f"rgb{suffix}"))
    values = np.zeros((4, 5, 6), np.float32)
    values[0, 0, 0] = np.nan
    sitk.WriteImage(sitk.GetImageFromArray(values), str(tmp_path / f"nan{suffix}"))
    for name, words in (("flat", "2D"), ("rgb", "3 values per voxel"), ("nan", "1 voxels are NaN")):
        with pytest.raises(ScanError, match=words) as caught:
            read_scan(tmp_path / f"{name}{suffix}")
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_compressed_voxels_that_are_damaged_were_read_as_others(tmp_path: Path, suffix: str) -> None:
    """ITK's readers of both formats go on with what zlib left behind, and look at no checksum."""
    sitk.WriteImage(image((14, 15, 16)), str(tmp_path / f"ct{suffix}"), True)
    assert read_scan(tmp_path / f"ct{suffix}").voxels.shape == (14, 15, 16)
    packed = max(tmp_path.iterdir(), key=lambda file: file.stat().st_size)
    content = bytearray(packed.read_bytes())
    for place in (len(content) // 2, len(content) - 3):
        packed.write_bytes(content[:place] + bytes([content[place] ^ 255]) + content[place + 1 :])
        with pytest.raises(ScanError, match="compressed voxels are damaged"):
            read_scan(tmp_path / f"ct{suffix}")


@pytest.mark.parametrize("size", ["CompressedDataSize = 405", "CompressedDataSize = 0", "x = 1"])
def test_a_size_of_compressed_voxels_that_is_wrong_gave_other_voxels(tmp_path: Path, size: str) -> None:
    sitk.WriteImage(image((14, 15, 16)), str(tmp_path / "ct.mha"), True)
    content = re.sub(rb"CompressedDataSize = \d+", size.encode(), (tmp_path / "ct.mha").read_bytes())
    (tmp_path / "ct.mha").write_bytes(content)
    with pytest.raises(ScanError, match=r"compressed.*(CompressedDataSize|end early)"):
        read_scan(tmp_path / "ct.mha")


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_cut_short(tmp_path: Path, suffix: str, compressed: bool) -> None:
    path = tmp_path / f"ct{suffix}"
    sitk.WriteImage(image((32, 32, 32)), str(path), compressed)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 2 // 3])
    with pytest.raises(ScanError, match="damaged or cut short") as caught:
        read_scan(path)
    assert "\n" not in str(caught.value)


def test_a_header_without_its_voxels(tmp_path: Path) -> None:
    sitk.WriteImage(image(), str(tmp_path / "ct.mhd"))
    (tmp_path / "ct.raw").unlink()
    with pytest.raises(ScanError, match=r"ct\.mhd"):
        read_scan(tmp_path / "ct.mhd")


def test_a_header_that_claims_too_much(tmp_path: Path) -> None:
    sitk.WriteImage(image(), str(tmp_path / "ct.mha"), False)
    content = (tmp_path / "ct.mha").read_bytes()
    (tmp_path / "ct.mha").write_bytes(content.replace(b"DimSize = 4 5 6", b"DimSize = 1200 1200 1200"))
    with pytest.raises(ScanError, match="cut short"):
        read_scan(tmp_path / "ct.mha")


def test_labels(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 9, (6, 5, 4)).astype(np.int32)
    sitk.WriteImage(sitk.GetImageFromArray(values), str(tmp_path / "seg.nrrd"))
    labels, _ = read_labels(tmp_path / "seg.nrrd")
    assert labels.dtype == np.uint8
    np.testing.assert_array_equal(labels, values.T)


def test_without_simpleitk_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sitk.WriteImage(image(), str(tmp_path / "ct.mha"))
    real_import = builtins.__import__

    def without(name: str, *rest: object) -> object:
        if name == "SimpleITK":
            raise ImportError(name)
        return real_import(name, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match=r"openvista\[formats\]"):
        read_scan(tmp_path / "ct.mha")


def test_io_loads_formats_only_when_needed() -> None:
    code = "import sys, openvista.io; print([m for m in ('nibabel', 'SimpleITK', 'torch') if m in sys.modules])"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"
