"""DICOM segmentations as label maps: ours, and those of others."""

import logging

import highdicom as hd
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.sr.codedict import codes

from openvista.errors import GridError, ScanError
from openvista.geometry.grid import Grid
from openvista.io import read_scan
from openvista.io.dicom.read_seg import read_seg
from openvista.io.dicom.seg import write_seg
from openvista.scan import Segmentation
from small_dicom import phantom, tilted, write_series
from small_dicom_results import MARK, SHAPE, STRUCTURES, affine_of, centre_of, dice, labelled, small_scan


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    return labelled(small_scan(tmp_path_factory.mktemp("read") / "ct"))


@pytest.mark.parametrize("labelmap", [False, True])
def test_what_we_write_comes_back(result, tmp_path, labelmap):
    write_seg(tmp_path / "seg.dcm", result, labelmap=labelmap)
    read = read_seg(tmp_path / "seg.dcm", result.grid)
    assert np.array_equal(read.labels, result.labels)
    assert read.names == STRUCTURES
    assert read.grid.matches(result.grid)
    for key in STRUCTURES:
        assert np.abs(np.subtract(read.colours[key], result.colours[key])).max() <= 1


def test_frames_whose_pixels_fill_no_whole_bytes_come_back(tmp_path):
    shape = (13, 7, 9)
    write_series(tmp_path / "ct", np.zeros(shape, np.int16), np.diag([1.0, 1, 2, 1]))
    scan = read_scan(tmp_path / "ct")
    labels = np.random.default_rng(0).integers(0, 4, shape).astype(np.uint8)
    names = {key: f"piece {key}" for key in (1, 2, 3)}
    write_seg(tmp_path / "seg.dcm", Segmentation(labels, scan.grid, names, scan=scan))
    assert np.array_equal(read_seg(tmp_path / "seg.dcm", scan.grid).labels, labels)


def test_without_a_grid_it_is_as_large_as_its_frames(result, tmp_path):
    write_seg(tmp_path / "seg.dcm", result)
    read = read_seg(tmp_path / "seg.dcm")
    assert read.grid.shape[2] < result.grid.shape[2]
    for key in STRUCTURES:
        assert np.count_nonzero(read.labels == key) == np.count_nonzero(result.labels == key)
        assert centre_of(read, key) == pytest.approx(centre_of(result, key), abs=1e-3)


def test_on_the_grid_of_a_tilted_scan(tmp_path):
    affine = tilted(affine_of(np.diag([-1.0, -1.0, 1.0])), 14)
    write_series(tmp_path / "ct", phantom(affine, SHAPE, MARK), affine)
    result = labelled(read_scan(tmp_path / "ct"))
    write_seg(tmp_path / "seg.dcm", result)
    for read in (read_seg(tmp_path / "seg.dcm", result.grid), read_seg(tmp_path / "seg.dcm")):
        assert centre_of(read, 5) == pytest.approx(centre_of(result, 5), abs=0.4)
    read = read_seg(tmp_path / "seg.dcm", result.grid)
    assert dice(read.labels == 5, result.labels == 5) > 0.98


@pytest.mark.parametrize("flip", [(0, 1, 2), (2, 0, 1)])
def test_on_a_grid_with_other_axes(result, tmp_path, flip):
    """The same scan as NIfTI may have its axes elsewhere, in another order and direction."""
    write_seg(tmp_path / "seg.dcm", result)
    affine = result.grid.affine @ np.diag([-1.0, 1, 1, 1])
    affine[:3, 3] += result.grid.affine[:3, 0] * (SHAPE[0] - 1)
    turned = Grid(tuple(SHAPE[axis] for axis in flip), affine[:, [*flip, 3]])
    read = read_seg(tmp_path / "seg.dcm", turned)
    assert np.array_equal(read.labels, result.labels[::-1].transpose(flip))


def test_on_a_finer_grid(result, tmp_path):
    write_seg(tmp_path / "seg.dcm", result)
    fine = result.grid.with_spacing((1.0, 1.0, 1.0))
    read = read_seg(tmp_path / "seg.dcm", fine)
    assert read.grid is fine
    assert np.count_nonzero(read.labels == 5) * 1e-3 == pytest.approx(result.table()[1].volume_ml, rel=0.05)
    assert centre_of(read, 5) == pytest.approx(centre_of(result, 5), abs=0.5)


def test_a_grid_elsewhere(result, tmp_path):
    write_seg(tmp_path / "seg.dcm", result)
    affine = result.grid.affine.copy()
    affine[:3, 3] += 1000
    with pytest.raises(GridError, match="nothing in it lies on the scan"):
        read_seg(tmp_path / "seg.dcm", Grid(result.grid.shape, affine))


def test_where_structures_overlap_the_smaller_one_lies_on_top(result, tmp_path, caplog):
    whole = np.where(result.labels == 116, 14, result.labels).astype(np.uint8)
    cyst = np.where(result.labels == 116, 116, 0).astype(np.uint8)
    write_seg(tmp_path / "seg.dcm", [labelled(result.scan, labels=cyst), labelled(result.scan, labels=whole)])
    with caplog.at_level(logging.WARNING):
        read = read_seg(tmp_path / "seg.dcm", result.grid)
    assert np.array_equal(read.labels, result.labels)
    assert f"{(cyst > 0).sum()} voxels of left kidney are given to left kidney cyst" in caplog.text


def test_fractions_of_others(result, tmp_path):
    """FRACTIONAL, with ids that are no classes of ours: a voxel belongs to a segment from one half on."""
    algorithm = hd.AlgorithmIdentificationSequence("a", codes.cid7162.ArtificialIntelligence, "1")
    described = hd.seg.SegmentDescription(1, "thing", codes.SCT.Tissue, codes.SCT.Tissue, "AUTOMATIC", algorithm)
    share = np.where(result.labels.T == 5, 0.6, np.where(result.labels.T == 1, 0.4, 0.0))
    seg = hd.seg.Segmentation(
        source_images=list(result.scan.dicom.headers),
        pixel_array=share[..., None],
        segmentation_type="FRACTIONAL",
        segment_descriptions=[described],
        series_instance_uid=hd.UID(),
        series_number=1,
        sop_instance_uid=hd.UID(),
        instance_number=1,
        manufacturer="made up",
        manufacturer_model_name="made up",
        software_versions="1",
        device_serial_number="1",
    )
    seg.save_as(tmp_path / "seg.dcm")
    read = read_seg(tmp_path / "seg.dcm", result.grid)
    assert np.array_equal(read.labels == 1, result.labels == 5)
    assert read.names == {1: "thing"}


def test_frames_in_any_order(result, tmp_path):
    """Geometry tells where a frame lies, not its place in the file."""
    write_seg(tmp_path / "seg.dcm", result, labelmap=True)
    seg = dcmread(tmp_path / "seg.dcm")
    seg.decompress()
    pixels, order = seg.pixel_array, np.random.default_rng(0).permutation(int(seg.NumberOfFrames))
    seg.PixelData = pixels[order].tobytes()
    seg.PerFrameFunctionalGroupsSequence = [seg.PerFrameFunctionalGroupsSequence[index] for index in order]
    seg.save_as(tmp_path / "mixed.dcm")
    assert np.array_equal(read_seg(tmp_path / "mixed.dcm", result.grid).labels, result.labels)


@pytest.mark.parametrize("change", ["pixels", "planes", "class"])
def test_damaged(result, tmp_path, change):
    write_seg(tmp_path / "seg.dcm", result)
    seg = dcmread(tmp_path / "seg.dcm")
    if change == "pixels":
        seg.PixelData = seg.PixelData[:100]
    elif change == "planes":
        del seg.PerFrameFunctionalGroupsSequence[3].PlanePositionSequence
    else:
        del seg.SegmentSequence
    seg.save_as(tmp_path / "seg.dcm")
    with pytest.raises(ScanError, match=r"cannot be read|can be read"):
        read_seg(tmp_path / "seg.dcm", result.grid)


def test_no_more_voxels_than_allowed(result, tmp_path):
    write_seg(tmp_path / "seg.dcm", result)
    with pytest.raises(ScanError, match="at most 100 are taken"):
        read_seg(tmp_path / "seg.dcm", result.grid, max_voxels=100)
