"""Where results go, in which formats, and what is said before and after."""

import csv
import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import trimesh
from pydicom import dcmread

from openvista.cli.files import distinct_names, result_files, write_result
from openvista.cli.options import dicom_options
from openvista.errors import InputError, OutputError, ScanError
from openvista.geometry.grid import Grid
from openvista.io import DicomOptions, read_scan
from openvista.scan import Segmentation
from small_dicom_results import labelled, small_scan


@pytest.fixture
def ct(tmp_path: Path) -> Path:
    path = tmp_path / "in" / "ct.nii.gz"
    path.parent.mkdir()
    nib.save(nib.Nifti1Image(np.zeros((6, 7, 8), np.int16), np.diag([1.0, 2.0, 3.0, 1.0])), path)
    return path


def result(path: Path, found: bool = True) -> Segmentation:
    scan = read_scan(path)
    labels = np.zeros(scan.grid.shape, np.uint8)
    labels[2:4, 2:5, 2:5] = 3 if found else 0
    return Segmentation(labels, scan.grid, {3: "spleen"}, scan=scan)


def names_in(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_every_format_into_a_folder(ct: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    (files,) = result_files([ct], out, ["stl", "nii.gz", "glb", "seg.nrrd", "glb"])
    write_result(result(ct), files, table=True)
    expected = {"ct_seg/spleen.stl", "ct_seg.nii.gz", "ct_seg.json", "ct_seg.glb", "ct_seg.seg.nrrd", "ct_seg.csv"}
    assert names_in(out) == expected
    said = capsys.readouterr().out.splitlines()
    assert said[-4:] == [str(out / name) for name in ("ct_seg", "ct_seg.nii.gz", "ct_seg.glb", "ct_seg.seg.nrrd")]


def test_dicom_and_the_report_refers_to_the_segmentation(tmp_path: Path) -> None:
    result = labelled(small_scan(tmp_path / "series"))
    out = tmp_path / "out"
    (files,) = result_files([tmp_path / "series"], out, ["dicom-sr", "dicom-rtstruct", "dicom-seg"])
    files.check(result.scan)
    write_result(result, files, quiet=True, options=DicomOptions(labelmap=True, keep_identifiers=True))
    assert names_in(out) == {"series_seg.dcm", "series_rtstruct.dcm", "series_sr.dcm"}
    seg, report, contours = (dcmread(out / f"series_{name}.dcm") for name in ("seg", "sr", "rtstruct"))
    assert seg.SegmentationType == "LABELMAP"
    assert (report.Modality, contours.Modality) == ("SR", "RTSTRUCT")
    referred = {element.value for element in report.iterall() if element.keyword == "ReferencedSOPInstanceUID"}
    assert seg.SOPInstanceUID in referred
    assert seg.PatientName == contours.PatientName == report.PatientName != ""
    assert files.numbered(2).by_format["dicom-rtstruct"].name == "series_rtstruct_2.dcm"


def test_a_file_of_its_own(ct: Path, tmp_path: Path) -> None:
    (files,) = result_files([ct], tmp_path / "spleen.stl", ["stl"])
    assert files.by_format == {"stl": tmp_path / "spleen.stl"}
    write_result(result(ct), files, quiet=True)
    assert trimesh.load_mesh(tmp_path / "spleen.stl").volume == pytest.approx(18 * 6, rel=0.005)
    (files,) = result_files([ct], tmp_path / "x.seg.nrrd")
    assert (files.by_format, files.stem) == ({"seg.nrrd": tmp_path / "x.seg.nrrd"}, tmp_path / "x")


def test_a_file_per_structure(ct: Path, tmp_path: Path) -> None:
    (files,) = result_files([ct], tmp_path / "out", ["nii.gz", "glb"], per_class=True)
    write_result(result(ct), files, table=True, quiet=True)
    assert names_in(tmp_path / "out") == {"ct_seg/spleen.nii.gz", "ct_seg/spleen.glb", "ct_seg.json", "ct_seg.csv"}
    (series,) = result_files([small_scan(tmp_path / "series").source], tmp_path, ["dicom-seg", "mha"], per_class=True)
    assert series.by_format == {"dicom-seg": tmp_path / "series_seg.dcm", "mha": tmp_path / "series_seg"}
    with pytest.raises(OutputError, match="a file per structure needs a folder"):
        result_files([ct], tmp_path / "x.nii.gz", per_class=True)


@pytest.mark.parametrize("per_class", [False, True])
def test_compressed_files_are_smaller_and_hold_the_same(ct: Path, tmp_path: Path, per_class: bool) -> None:
    noise = np.random.default_rng(0).integers(0, 4, (12, 12, 12)).repeat(4, 0).repeat(3, 1).astype(np.uint8)
    noisy = Segmentation(noise, Grid(noise.shape, np.eye(4)), {1: "liver", 2: "spleen", 3: "aorta"})
    written = []
    for compress in (False, True, True):
        (files,) = result_files([ct], tmp_path / str(len(written)), ["nii.gz"], per_class)
        write_result(noisy, files, quiet=True, compress=compress)
        written.append(sorted((tmp_path / str(len(written))).rglob("*.nii.gz")))
        assert len(written[-1]) == (3 if per_class else 1)
    for fast, small, again in zip(*written, strict=True):
        assert small.stat().st_size < fast.stat().st_size
        assert small.read_bytes() == again.read_bytes()
        assert np.array_equal(nib.load(small).dataobj, nib.load(fast).dataobj)


def test_statistics(ct: Path, tmp_path: Path) -> None:
    (files,) = result_files([ct], tmp_path / "out")
    segmentation = result(ct)
    segmentation.names[9] = "not there"
    write_result(segmentation, files, statistics=True, quiet=True)
    content = json.loads((tmp_path / "out" / "ct_seg_statistics.json").read_text())
    spleen, absent = content["structures"]
    assert (spleen["name"], spleen["voxels"], spleen["volume_ml"]) == ("spleen", 18, pytest.approx(0.108))
    assert (spleen["centroid_mm"], spleen["touches_border"], spleen["hu_median"]) == ([2.5, 6, 9], False, 0)
    assert (absent["voxels"], absent["centroid_mm"], absent["hu_mean"]) == (0, None, None)
    with (tmp_path / "out" / "ct_seg_statistics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert (rows[0]["centroid_mm_a"], rows[0]["last_voxel_z"], rows[0]["touches_border"]) == ("6.000", "4", "false")
    assert set(rows[1].values()) == {"9", "not there", "0", "0.000", "false", ""}


def test_layers_are_numbered(ct: Path, tmp_path: Path) -> None:
    (files,) = result_files([ct], tmp_path, ["nii.gz", "seg.nrrd", "stl", "glb"])
    names = ["ct_seg_2.nii.gz", "ct_seg_2.seg.nrrd", "ct_seg_2", "ct_seg_2.glb"]
    assert [path.name for path in files.numbered(2).by_format.values()] == names


@pytest.mark.parametrize(
    ("output", "formats", "words"),
    [
        ("x.nii.gz", ["nii.gz", "glb"], "nii.gz and glb are several files; give a folder"),
        ("x.nii.gz", ["glb"], "glb is written as .glb"),
        ("x.png.gz", [], "use one of these endings"),
        ("out", ["nii.gz", "dicom-seg"], r"ct\.nii\.gz: dicom-seg needs a scan that was read from DICOM"),
        ("x.dcm", [], "dicom-seg needs a scan that was read from DICOM"),
        ("out", ["ply"], "no format 'ply'"),
        ("in/ct.nii.gz", [], "is the scan itself"),
    ],
)
def test_refused_before_anything_is_computed(
    ct: Path, tmp_path: Path, output: str, formats: list[str], words: str
) -> None:
    with pytest.raises(OutputError, match=words) as caught:
        result_files([ct], tmp_path / output, formats)
    assert "\n" not in str(caught.value)
    assert names_in(tmp_path) == {"in/ct.nii.gz"}


@pytest.mark.parametrize(
    ("images", "names"),
    [
        (["a/ct.nii.gz", "b/ct.nrrd", "b/x.nii"], ["a_ct", "b_ct", "x"]),
        (["a/1/ct.nii", "b/1/ct.nii", "b/1/CT.mha"], ["a_1_ct", "b_1_ct", "b_1_CT_2"]),
        (["ct.nii.gz", "ct.nii.gz", "ct.nrrd"], ["ct", "ct_2", "ct_3"]),
        (["a/ct.nii", "b/ct.nii", "a_ct.nii"], ["a_ct", "b_ct", "a_ct_2"]),
    ],
)
def test_scans_of_one_name_get_names_of_their_own(tmp_path: Path, images: list[str], names: list[str]) -> None:
    assert distinct_names([tmp_path / image for image in images]) == names


def test_of_several_scans_a_missing_one_is_left_for_later(ct: Path, tmp_path: Path) -> None:
    found = result_files([tmp_path / "gone.nii.gz", ct], tmp_path / "out")
    assert [files.stem.name for files in found] == ["gone_seg", "ct_seg"]
    with pytest.raises(ScanError, match="no such file"):
        result_files([tmp_path / "gone.nii.gz"], tmp_path / "out")


def test_a_file_where_a_folder_is_needed(ct: Path, tmp_path: Path) -> None:
    (tmp_path / "ct_seg").write_text("")
    with pytest.raises(OutputError, match="is a file; give a folder"):
        result_files([ct], tmp_path, ["stl"])


def test_what_was_written_before_a_failure_is_said(ct: Path, tmp_path: Path) -> None:
    (files,) = result_files([ct], tmp_path / "out", ["nii.gz", "glb"])
    with pytest.raises(OutputError, match=r"nothing was found.*; written before: .*ct_seg\.nii\.gz") as caught:
        write_result(result(ct, found=False), files)
    assert "\n" not in str(caught.value)
    assert names_in(tmp_path / "out") == {"ct_seg.nii.gz", "ct_seg.json"}


def test_options_about_dicom() -> None:
    asked = ["dicom-seg", "dicom-rtstruct"]
    assert dicom_options(asked, "labelmap", True, True) == DicomOptions(
        labelmap=True, keyhole=True, keep_identifiers=True
    )
    assert dicom_options(None, "binary", False, False) == DicomOptions()
    for formats, seg_type, keyhole, keep, words in [
        (asked, "fractional", False, False, "fractional"),
        (["nii.gz"], "labelmap", False, False, "--seg-type is for"),
        (["dicom-seg"], "binary", True, False, "--keyhole is for"),
        (["glb"], "binary", False, True, "--keep-identifiers is for"),
        (["dicom"], "binary", False, False, "no format 'dicom'"),
    ]:
        with pytest.raises(InputError, match=words):
            dicom_options(formats, seg_type, keyhole, keep)
