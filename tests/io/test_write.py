"""Writing: exactly the scan's grid, names and colours in the file, nothing half done, the scan untouched."""

import itertools
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from openvista.errors import OutputError, ScanError
from openvista.geometry.grid import Grid
from openvista.io import check_output, read_scan, read_segmentation
from openvista.io.paths import DICOM_FORMATS
from openvista.scan import Scan, Segmentation

ORIENTATIONS = list(itertools.product(itertools.permutations(range(3)), itertools.product((1, -1), repeat=3)))
SUFFIXES = [".nii", ".nii.gz", ".nrrd", ".seg.nrrd", ".mha"]
GEOMETRY = ["sform_code", "qform_code", "srow_x", "srow_y", "srow_z", "quatern_b", "quatern_c", "quatern_d"]
GEOMETRY += ["qoffset_x", "qoffset_y", "qoffset_z", "xyzt_units"]


def labels_of(shape: tuple[int, int, int], highest: int = 5, seed: int = 0) -> NDArray[np.unsignedinteger]:
    labels = np.random.default_rng(seed).integers(0, highest + 1, shape)
    labels.flat[0] = highest
    return labels.astype(np.uint8 if highest <= 255 else np.uint16)


def segmentation(affine: NDArray[np.float64] | None = None, highest: int = 5) -> Segmentation:
    labels = labels_of((4, 5, 6), highest)
    names = {1: "liver", 2: "spleen & <b>", 3: "Ösophagus", 4: "a\\nb := 'c' \"d\" #", highest: "top"}
    colours = {1: (10, 20, 30), 2: (255, 0, 128), 3: (1, 2, 3), highest: (9, 99, 199)}
    grid = Grid(labels.shape, np.diag([2.0, 2.0, 3.0, 1.0]) if affine is None else affine)
    return Segmentation(labels, grid, names, colours, None, {"model": "starter", "prompts": ["liver"]})


def scan_file(folder: Path, affine: NDArray[np.float64] | None = None) -> Path:
    values = np.random.default_rng(1).integers(-1000, 1000, (4, 5, 6)).astype(np.int16)
    nib.save(nib.Nifti1Image(values, np.diag([2.0, 2, 3, 1]) if affine is None else affine), folder / "ct.nii.gz")
    return folder / "ct.nii.gz"


def result_for(scan: Scan) -> Segmentation:
    return Segmentation(labels_of(scan.grid.shape), scan.grid, {1: "liver"}, scan=scan)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("highest", [5, 255, 256, 1000])
def test_round_trip(tmp_path: Path, suffix: str, highest: int) -> None:
    seg = segmentation(highest=highest)
    path = seg.save(tmp_path / f"out{suffix}")
    assert path == tmp_path / f"out{suffix}"
    back = read_segmentation(path)
    assert back.labels.dtype == (np.uint8 if highest <= 255 else np.uint16)
    np.testing.assert_array_equal(back.labels, seg.labels)
    present = {key: f"label {key}" for key in np.unique(seg.labels).tolist() if key}
    assert back.names == {**present, **seg.names}
    assert {key: back.colours[key] for key in seg.colours} == seg.colours
    assert back.grid == seg.grid
    assert back.provenance["model"] == "starter"
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted([f"out{suffix}", "out.json"])


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
@pytest.mark.parametrize(("order", "signs"), ORIENTATIONS)
def test_names_and_grid_survive_without_the_json(
    tmp_path: Path, suffix: str, order: tuple[int, ...], signs: tuple[int, ...]
) -> None:
    affine = np.eye(4)
    turn = np.array([[0.96, -0.28, 0], [0.28, 0.96, 0], [0, 0, 1]])
    affine[:3, :3] = turn @ (np.eye(3)[:, order] * np.array(signs) * (1.5, 0.75, 3.0))
    affine[:3, 3] = (-100.5, 20.25, 7)
    seg = segmentation(affine)
    path = seg.save(tmp_path / f"out{suffix}")
    (tmp_path / "out.json").unlink()
    back = read_segmentation(path)
    np.testing.assert_array_equal(back.labels, seg.labels)
    np.testing.assert_allclose(back.grid.affine, seg.grid.affine, atol=1e-5 if suffix == ".nii.gz" else 1e-12)
    if suffix != ".mha":  # which has no place for names
        assert back.names.items() >= seg.names.items()
        assert back.colours[3] == (1, 2, 3)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
@given(
    orientation=st.sampled_from(ORIENTATIONS),
    spacing=st.tuples(*[st.floats(0.2, 9)] * 3),
    angle=st.floats(-0.7, 0.7),
    codes=st.tuples(st.integers(0, 4), st.integers(0, 4)),
    unit=st.sampled_from([0, 1, 2, 3, 2 + 8]),
)
def test_a_nifti_result_repeats_the_scans_header_bit_for_bit(
    tmp_path: Path,
    orientation: tuple[tuple[int, ...], tuple[int, ...]],
    spacing: tuple[float, float, float],
    angle: float,
    codes: tuple[int, int],
    unit: int,
) -> None:
    affine = np.eye(4)
    turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    affine[:3, :3] = turn @ (np.eye(3)[:, orientation[0]] * np.array(orientation[1]) * spacing)
    affine[:3] *= 0.001 if unit == 1 else 1  # metres
    header = nib.Nifti1Header()
    header.set_sform(affine, codes[0])
    header.set_qform(affine, codes[1])
    header["xyzt_units"] = unit
    source = tmp_path / "ct.nii.gz"
    nib.save(nib.Nifti1Image(np.zeros((4, 5, 6), np.int16), None, header), source)
    scan = read_scan(source)
    result = nib.load(result_for(scan).save(tmp_path / "seg.nii.gz"))
    original = nib.load(source)
    for name in GEOMETRY:
        assert original.header[name].tobytes() == result.header[name].tobytes(), name
    assert original.header["pixdim"][:4].tobytes() == result.header["pixdim"][:4].tobytes()
    np.testing.assert_array_equal(original.affine, result.affine)
    np.testing.assert_array_equal(read_segmentation(tmp_path / "seg.nii.gz").grid.affine, scan.grid.affine)


def test_simpleitk_sees_scan_and_result_in_the_same_place(tmp_path: Path) -> None:
    import SimpleITK as sitk

    affine = np.eye(4)
    affine[:3, :3] = np.array([[0.96, -0.28, 0], [0.28, 0.96, 0], [0, 0, 1]]) @ np.diag([-1.5, 0.75, 3.0])
    affine[:3, 3] = (-100.5, 20.25, 7)
    scan = read_scan(scan_file(tmp_path, affine))
    source = sitk.ReadImage(str(tmp_path / "ct.nii.gz"))
    seg = result_for(scan)
    for suffix in SUFFIXES:
        image = sitk.ReadImage(str(seg.save(tmp_path / f"seg{suffix}")))
        assert image.GetSize() == source.GetSize()
        for voxel in [(0, 0, 0), (3, 4, 5), (1, 0, 4)]:
            there = image.TransformIndexToPhysicalPoint(voxel)
            np.testing.assert_allclose(there, source.TransformIndexToPhysicalPoint(voxel), atol=1e-4)
            assert image[voxel] == seg.labels[voxel]


def test_a_sheared_affine_gets_no_qform(tmp_path: Path) -> None:
    affine = np.diag([1.0, 1.0, 3.0, 1.0])
    affine[1, 2] = 0.8
    image = nib.load(segmentation(affine).save(tmp_path / "seg.nii.gz"))
    assert int(image.header["qform_code"]) == 0
    np.testing.assert_allclose(image.affine, affine, atol=1e-6)


def test_ids_above_255_never_wrap_even_when_only_named(tmp_path: Path) -> None:
    seg = Segmentation(np.ones((3, 3, 3), np.uint8), Grid((3, 3, 3), np.eye(4)), {1: "a", 300: "b"})
    assert nib.load(seg.save(tmp_path / "seg.nii")).get_data_dtype() == np.uint16


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_small_ids_keep_the_type_of_the_labels(tmp_path: Path, dtype: type) -> None:
    """Files of a model whose ids pass 255 are all of one type, whatever was asked for."""
    seg = Segmentation(np.ones((3, 3, 3), dtype), Grid((3, 3, 3), np.eye(4)), {1: "a"})
    assert nib.load(seg.save(tmp_path / "seg.nii")).get_data_dtype() == dtype


def test_json_says_how_it_was_made(tmp_path: Path) -> None:
    segmentation().save(tmp_path / "seg.nii.gz")
    content = json.loads((tmp_path / "seg.json").read_text(encoding="utf-8"))
    assert content["labels"]["3"] == "Ösophagus"
    assert content["colours"]["2"] == "#ff0080"
    assert content["model"] == "starter"
    assert content["prompts"] == ["liver"]
    assert content["version"]


def test_equal_results_are_equal_files(tmp_path: Path) -> None:
    first = segmentation().save(tmp_path / "a.nii.gz").read_bytes()
    assert first == segmentation().save(tmp_path / "b.nii.gz").read_bytes()


def test_a_folder_gets_the_default_name(tmp_path: Path) -> None:
    scan = read_scan(scan_file(tmp_path))
    assert result_for(scan).save(tmp_path) == tmp_path / "ct_seg.nii.gz"
    assert (tmp_path / "ct_seg.json").is_file()


def test_an_older_result_is_replaced(tmp_path: Path) -> None:
    segmentation().save(tmp_path / "seg.nii.gz")
    segmentation(highest=77).save(tmp_path / "seg.nii.gz")
    assert 77 in read_segmentation(tmp_path / "seg.nii.gz").names


def test_the_scan_is_never_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = scan_file(tmp_path)
    before = source.read_bytes()
    result = result_for(read_scan(source))
    (tmp_path / "link.nii.gz").symlink_to(source)
    (tmp_path / "hard.nii.gz").hardlink_to(source)
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path / "sub")
    for path in (
        source,
        tmp_path / "link.nii.gz",
        tmp_path / "hard.nii.gz",
        Path("../ct.nii.gz"),
        Path("./../sub/../ct.nii.gz"),
    ):
        with pytest.raises(OutputError, match="is the scan itself"):
            result.save(path)
    assert source.read_bytes() == before
    assert not list(tmp_path.glob("**/*.json"))


def test_somebody_elses_json_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "ct.json").write_text('{"Modality": "CT"}')
    with pytest.raises(OutputError, match=r"ct\.json: exists"):
        segmentation().save(tmp_path / "ct.nii.gz")
    assert [file.name for file in tmp_path.iterdir()] == ["ct.json"]


@pytest.mark.parametrize("name", ["out", "out.png", "out.nii.zip", "out.mhd"])
def test_unknown_endings(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError, match="use one of these endings"):
        segmentation().save(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "format", "words"),
    [
        ("a.nii.gz", "glb", "glb is written as .glb"),
        ("a.nii", "nii.gz", "nii.gz is written as .nii.gz"),
        ("a.dcm", "stl", "stl is written as .stl"),
        ("a.stl", "ply", "no format 'ply': there is nii.gz"),
        ("a.dcm", None, "dicom-seg needs a scan that was read from DICOM"),
        ("a.dcm", "dicom-rtstruct", "dicom-rtstruct needs a scan that was read from DICOM"),
        ("a.dcm", "dicom-sr", "dicom-sr needs a scan that was read from DICOM"),
    ],
)
def test_formats_that_do_not_fit(tmp_path: Path, name: str, format: str | None, words: str) -> None:
    with pytest.raises(OutputError, match=words) as caught:
        segmentation().save(tmp_path / name, format)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("format", DICOM_FORMATS)
def test_dicom_of_a_nifti_is_refused_before_anything_is_computed(tmp_path: Path, format: str) -> None:
    source = scan_file(tmp_path)
    with pytest.raises(OutputError, match=r"ct\.nii\.gz: .* read from DICOM"):
        check_output(tmp_path / "out.dcm", source, format)


@pytest.mark.parametrize("format", [*SUFFIXES, ".stl", ".obj", ".glb"])
def test_a_format_gives_its_name_in_a_folder(tmp_path: Path, format: str) -> None:
    scan = read_scan(scan_file(tmp_path))
    assert result_for(scan).save(tmp_path, format[1:]) == tmp_path / f"ct_seg{format}"
    beside = {"ct_seg.json"} if format in SUFFIXES else set()
    assert {path.name for path in tmp_path.iterdir()} == {"ct.nii.gz", f"ct_seg{format}"} | beside


def test_a_package_that_is_missing_is_said_before_anything_is_computed(tmp_path: Path) -> None:
    code = """
import sys
sys.modules["skimage"] = None  # as if it were not installed
from openvista.errors import MissingExtraError
from openvista.io import check_output
try:
    check_output(sys.argv[1])
except MissingExtraError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "a.glb"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "skimage is needed to make surfaces: pip install 'openvista[mesh]'"


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_missing_folder_and_file_as_folder(tmp_path: Path, suffix: str) -> None:
    (tmp_path / "file").write_text("x")
    for folder, words in (("nowhere", "create the folder"), ("file", "its folder is a file")):
        with pytest.raises(OutputError, match=words) as caught:
            segmentation().save(tmp_path / folder / f"out{suffix}")
        assert "\n" not in str(caught.value)
        with pytest.raises(OutputError, match=words):
            check_output(tmp_path / folder / f"out{suffix}")
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_a_target_that_is_a_folder_in_disguise(tmp_path: Path) -> None:
    (tmp_path / "out.nii.gz").mkdir()
    assert segmentation().save(tmp_path / "out.nii.gz") == tmp_path / "out.nii.gz" / "scan_seg.nii.gz"


SHORT_OF_SPACE = """
import resource, sys
import numpy as np
from openvista.errors import OutputError, ScanError
from openvista.geometry.grid import Grid
from openvista.scan import Segmentation
labels = np.random.default_rng(0).integers(0, 200, (64, 64, 64)).astype(np.uint8)
seg = Segmentation(labels, Grid(labels.shape, np.eye(4)), {})
resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))
try:
    seg.save(sys.argv[1])
except OutputError as error:
    print(error)
    sys.exit(error.exit_code)
"""


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_no_space_leaves_nothing_and_the_old_result(tmp_path: Path, suffix: str) -> None:
    target = tmp_path / f"out{suffix}"
    segmentation().save(target)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    ended = subprocess.run(
        [sys.executable, "-c", SHORT_OF_SPACE, str(target)], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2, ended.stderr
    assert ended.stdout.count("\n") == 1
    assert f"out{suffix}: cannot be written" in ended.stdout
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


SLOW_TO_WRITE = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background starts without
import sys
import numpy as np
from openvista.geometry.grid import Grid
from openvista.scan import Segmentation
labels = np.random.default_rng(0).integers(0, 200, (320, 320, 320)).astype(np.uint8)
Segmentation(labels, Grid(labels.shape, np.eye(4)), {}).save(sys.argv[1])
"""


def test_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW_TO_WRITE, str(tmp_path / "out.nii.gz")], stderr=subprocess.PIPE, text=True
    )
    while process.poll() is None and not list(tmp_path.glob(".*out.nii.gz")):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, message = process.communicate(timeout=60)
    assert "KeyboardInterrupt" in message  # it was interrupted while it wrote
    assert list(tmp_path.iterdir()) == []


def test_an_error_in_the_description_leaves_nothing(tmp_path: Path) -> None:
    seg = segmentation()
    seg.provenance["model"] = object()
    with pytest.raises(TypeError, match="provenance holds a object"):
        seg.save(tmp_path / "out.nii.gz")
    assert list(tmp_path.iterdir()) == []


def test_provenance_of_any_plain_kind(tmp_path: Path) -> None:
    seg = segmentation()
    more: dict[str, object] = {
        "spacing": np.array([1.5, 2.0]),
        "count": np.int64(3),
        "file": Path("/home/me/ct.nii"),
        "s": {2, 1},
    }
    seg.provenance.update(more)
    content = json.loads(seg.save(tmp_path / "out.nii").with_suffix(".json").read_text())
    assert (content["spacing"], content["count"], content["file"], content["s"]) == ([1.5, 2.0], 3, "ct.nii", [1, 2])


def test_without_names_in_the_file_the_json_names_them(tmp_path: Path) -> None:
    seg = segmentation()
    back = read_segmentation(seg.save(tmp_path / "out.mha"))
    assert back.names.items() >= seg.names.items()
    (tmp_path / "out.json").write_text("{")
    with pytest.raises(ScanError, match=r"out\.json"):
        read_segmentation(tmp_path / "out.mha")
