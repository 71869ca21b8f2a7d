"""Other people's programs judge what we write in DICOM: dciodvfy, dcmqi, dcmtk, plastimatch and dcmrtstruct2nii."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest
from dcmrtstruct2nii import dcmrtstruct2nii

from openvista.io import read_labels, read_scan
from openvista.io.dicom.placing import nearest_labels
from openvista.io.dicom.rtstruct import write_rtstruct
from openvista.io.dicom.seg import write_seg
from openvista.io.dicom.sr import write_sr
from openvista.scan import Segmentation
from small_dicom import orientations, phantom, rotation, tilted, write_series
from small_dicom_results import MARK, SHAPE, STRUCTURES, affine_of, centre_of, dice, labelled, small_scan

IDS = (1, 5, 14, 116)
"""In the order of segment numbers."""


def run(tool: str, *arguments: object) -> str:
    """What a program says; it must end well. dcmqi's are beside Python."""
    path = os.pathsep.join((os.environ["PATH"], str(Path(sys.executable).parent)))
    program = shutil.which(tool, path=path)
    assert program, f"{tool} is missing: make test-services installs it"
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    return labelled(small_scan(tmp_path_factory.mktemp("judges") / "ct"))


def overlapping(result: Segmentation) -> list[Segmentation]:
    whole = np.where(result.labels == 116, 14, result.labels).astype(np.uint8)
    cyst = np.where(result.labels == 116, 116, 0).astype(np.uint8)
    return [labelled(result.scan, labels=whole), labelled(result.scan, labels=cyst)]


# --- dciodvfy: every kind of object is what the standard says ------------------------------------------------------

WRITERS = {
    "seg": lambda path, result, keep: write_seg(path, result, keep_identifiers=keep),
    "overlapping seg": lambda path, result, keep: write_seg(path, overlapping(result), keep_identifiers=keep),
    "rtstruct": lambda path, result, keep: write_rtstruct(path, result, keep_identifiers=keep),
    "keyhole rtstruct": lambda path, result, keep: write_rtstruct(path, result, keyhole=True, keep_identifiers=keep),
    "sr": lambda path, result, keep: write_sr(path, result, keep_identifiers=keep),
}


def check_object(path: Path) -> None:
    lines = run("dciodvfy", path).splitlines()
    serious = [line for line in lines if line.startswith(("Error", "Warning")) and "DICOMDIR" not in line]
    assert serious == []
    assert lines[-1] in ("Segmentation", "RTStructureSet", "Comprehensive3DSR")


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("kind", sorted(WRITERS))
def test_objects_are_valid(result, tmp_path, kind, keep):
    WRITERS[kind](tmp_path / "object.dcm", result, keep)
    check_object(tmp_path / "object.dcm")


@pytest.mark.parametrize("kind", sorted(WRITERS))
@pytest.mark.parametrize("series", ["enhanced", "enhanced files", "coronal", "filled", "tilted", "bare"])
def test_objects_of_unusual_series_are_valid(tmp_path, kind, series):
    axes = np.diag([-1.0, -1.0, 1.0])
    affine = affine_of(rotation((90, 0, 0)) @ axes if series == "coronal" else axes)
    affine = tilted(affine, 14) if series == "tilted" else affine
    options = {"enhanced": {"enhanced": 1, "enhanced files": 3}.get(series, 0)}
    bare = {"StudyID": None, "PatientSex": None, "ReferringPhysicianName": None, "StudyTime": None}
    files = write_series(
        tmp_path / "ct", phantom(affine, SHAPE, MARK), affine, **options, **(bare if series == "bare" else {})
    )
    if series == "filled":
        files[9].unlink()
    result = labelled(read_scan(tmp_path / "ct", fill_gaps=series == "filled"))
    WRITERS[kind](tmp_path / "object.dcm", result, True)
    check_object(tmp_path / "object.dcm")


def test_a_report_that_refers_to_segments_is_valid(result, tmp_path):
    write_seg(tmp_path / "seg.dcm", result)
    write_sr(tmp_path / "sr.dcm", result, seg=tmp_path / "seg.dcm")
    check_object(tmp_path / "sr.dcm")


# --- dcmqi: segments and measurements ------------------------------------------------------------------------------


def by_dcmqi(seg: Path, folder: Path) -> tuple[dict[str, Segmentation], list[dict]]:
    """Masks by name, each on its own grid, and what dcmqi knows of the segments."""
    folder.mkdir()
    run("segimage2itkimage", "--inputDICOM", seg, "--outputDirectory", folder, "--outputType", "nrrd")
    groups = json.loads((folder / "meta.json").read_text())["segmentAttributes"]
    masks = {}
    for number, group in enumerate(groups, start=1):
        labels, grid = read_labels(folder / f"{number}.nrrd")
        for item in group:
            mask = (labels == item["labelID"]).astype(np.uint8)
            masks[item["SegmentLabel"]] = Segmentation(mask, grid, {1: item["SegmentLabel"]})
    return masks, [item for group in groups for item in group]


@pytest.mark.parametrize("labelmap", [False, True])
def test_dcmqi_reads_segments(result, tmp_path, labelmap):
    write_seg(tmp_path / "seg.dcm", result, labelmap=labelmap)
    masks, items = by_dcmqi(tmp_path / "seg.dcm", tmp_path / "read")
    assert sorted(masks) == sorted(STRUCTURES.values())
    for key, name in STRUCTURES.items():
        mask = nearest_labels(masks[name].labels, masks[name].grid, result.grid)
        assert np.array_equal(mask > 0, result.labels == key)
    right = next(item for item in items if item["SegmentLabel"] == "right kidney")
    assert right["SegmentedPropertyTypeModifierCodeSequence"]["CodeMeaning"] == "Right"
    assert right["SegmentAlgorithmType"] == "AUTOMATIC"
    assert np.abs(np.subtract(right["recommendedDisplayRGBValue"], result.colours[5])).max() <= 1
    cyst = next(item for item in items if item["SegmentLabel"] == "left kidney cyst")
    assert cyst["AnatomicRegionSequence"]["CodeMeaning"] == "Kidney"


def test_dcmqi_reads_measurements(result, tmp_path):
    write_seg(tmp_path / "seg.dcm", result)
    write_sr(tmp_path / "sr.dcm", result, seg=tmp_path / "seg.dcm")
    run("tid1500reader", "--inputDICOM", tmp_path / "sr.dcm", "--outputMetadata", tmp_path / "sr.json")
    groups = json.loads((tmp_path / "sr.json").read_text())["Measurements"]
    rows = {row.id: row for row in result.table()}
    for number, (group, key) in enumerate(zip(groups, IDS, strict=True), start=1):
        volume, hu = (float(item["value"]) for item in group["measurementItems"])
        assert (volume, hu) == pytest.approx((rows[key].volume_ml, rows[key].mean_hu), abs=0.01)
        assert group["ReferencedSegment"] == number


# --- dcmtk and plastimatch: contours -------------------------------------------------------------------------------


def test_dcmtk_reads_structure_sets(result, tmp_path):
    write_rtstruct(tmp_path / "rtstruct.dcm", result)
    assert "RT Structure Set object" in run("drtdump", tmp_path / "rtstruct.dcm")


def by_plastimatch(rtstruct: Path, ct: Path, folder: Path, keyhole: bool) -> dict[str, Segmentation]:
    """Masks by name. Plastimatch fills every contour unless it is told that inner ones are holes."""
    options = () if keyhole else ("--xor-contours",)
    run("plastimatch", "convert", "--input", rtstruct, "--referenced-ct", ct, "--output-prefix", folder,
        "--prefix-format", "nrrd", *options)  # fmt: skip
    masks = {}
    for file in sorted(folder.iterdir()):
        labels, grid = read_labels(file)
        masks[file.stem] = Segmentation(labels, grid, {1: file.stem})
    return masks


@pytest.mark.parametrize("keyhole", [False, True])
def test_plastimatch_fills_contours_as_we_do(result, tmp_path, keyhole):
    write_rtstruct(tmp_path / "rtstruct.dcm", result, keyhole=keyhole)
    masks = by_plastimatch(tmp_path / "rtstruct.dcm", result.scan.source, tmp_path / "masks", keyhole)
    assert sorted(masks) == sorted(STRUCTURES.values())
    for key, name in STRUCTURES.items():
        mask = nearest_labels(masks[name].labels, masks[name].grid, result.grid)
        assert dice(mask > 0, result.labels == key) > 0.98, name


def by_dcmrtstruct2nii(rtstruct: Path, ct: Path, folder: Path) -> dict[str, Segmentation]:
    """Masks by name. It takes contours to pixels by the grid that SimpleITK reads from the series, however it lies."""
    folder.mkdir()
    with pytest.MonkeyPatch.context() as changes:  # it knows pydicom's reader by the name it had before pydicom 3
        changes.setattr(pydicom, "read_file", pydicom.dcmread, raising=False)
        dcmrtstruct2nii(str(rtstruct), str(ct), str(folder), convert_original_dicom=False, mask_foreground_value=1)
    masks = {}
    for file in sorted(folder.iterdir()):
        name = file.name.removeprefix("mask_").removesuffix(".nii.gz").replace("-", " ")
        labels, grid = read_labels(file)
        masks[name] = Segmentation(labels, grid, {1: name})
    return masks


# --- the mark, in all orientations ---------------------------------------------------------------------------------

TURNS = {"axial": (0, 0, 0), "coronal": (90, 0, 0), "oblique": (11, -17, 23)}


@pytest.mark.parametrize("turn", sorted(TURNS))
@pytest.mark.parametrize("index", range(48))
def test_the_mark_stays_where_it_is_in_the_patient(tmp_path, index, turn):
    """The right kidney's centre: its segment by dcmqi, its contours by dcmrtstruct2nii, and by plastimatch where slices
    are axial, which that takes for granted."""
    axes = rotation(TURNS[turn]) @ list(orientations())[index]
    result = labelled(small_scan(tmp_path / "ct", affine_of(axes)))
    write_seg(tmp_path / "seg.dcm", result)
    masks, _ = by_dcmqi(tmp_path / "seg.dcm", tmp_path / "read")
    assert centre_of(masks["right kidney"], 1) == pytest.approx(MARK, abs=0.6)
    write_rtstruct(tmp_path / "rtstruct.dcm", result)
    filled = by_dcmrtstruct2nii(tmp_path / "rtstruct.dcm", tmp_path / "ct", tmp_path / "filled")
    assert centre_of(filled["right kidney"], 1) == pytest.approx(MARK, abs=0.6)
    for key, name in STRUCTURES.items():
        mask = nearest_labels(filled[name].labels, filled[name].grid, result.grid)
        assert dice(mask > 0, result.labels == key) > 0.98, name
    if abs(axes[2, 2]) > 0.999 and np.abs(np.rint(axes) - axes).max() < 1e-6:
        filled = by_plastimatch(tmp_path / "rtstruct.dcm", tmp_path / "ct", tmp_path / "masks", keyhole=False)
        assert centre_of(filled["right kidney"], 1) == pytest.approx(MARK, abs=0.6)
