"""DICOM segmentations as highdicom reads them back."""

import highdicom as hd
import numpy as np
import pytest
from pydicom import dcmread

from openvista.errors import OutputError
from openvista.io import read_scan
from openvista.io.dicom.read_seg import read_seg
from openvista.io.dicom.seg import write_seg
from openvista.scan import Scan, Segmentation
from small_dicom import ACQUISITIONS, IDENTIFIERS, orientations, rotation, write_series
from small_dicom import affine_of as affine_of_series
from small_dicom_results import MARK, PROVENANCE, STRUCTURES, affine_of, labelled, small_scan

NUMBERS = {1: 1, 5: 2, 14: 3, 116: 4}
"""Label id to segment number."""


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    return labelled(small_scan(tmp_path_factory.mktemp("seg") / "ct"))


def written(result, tmp_path, **options):
    write_seg(tmp_path / "seg.dcm", result, **options)
    return hd.seg.segread(tmp_path / "seg.dcm")


@pytest.mark.parametrize("labelmap", [False, True])
def test_every_voxel_comes_back_on_its_instance(result, tmp_path, labelmap):
    seg = written(result, tmp_path, labelmap=labelmap)
    uids = [result.scan.dicom.headers[one.instance].SOPInstanceUID for one in result.scan.dicom.slices]
    pixels = seg.get_pixels_by_source_instance(uids, combine_segments=True, assert_missing_frames_are_empty=True)
    expected = np.zeros_like(result.labels.T)
    for label_id, number in NUMBERS.items():
        expected[label_id == result.labels.T] = number
    assert np.array_equal(pixels, expected)


@pytest.mark.parametrize("labelmap", [False, True])
def test_frames_of_an_odd_number_of_pixels(tmp_path, labelmap):
    """An RLE encoder ended the process at those."""
    write_series(
        tmp_path / "ct", np.zeros((9, 7, 3), np.int16), affine_of_series(ACQUISITIONS["axial"], (3.0, 3.0, 3.0))
    )
    scan = read_scan(tmp_path / "ct")
    labels = np.random.default_rng(0).integers(0, 2, scan.grid.shape).astype(np.uint8)
    write_seg(tmp_path / "seg.dcm", Segmentation(labels, scan.grid, {1: "liver"}, scan=scan), labelmap=labelmap)
    assert np.array_equal(read_seg(tmp_path / "seg.dcm", scan.grid).labels, labels)


def test_segments_say_what_they_are(result, tmp_path):
    seg = written(result, tmp_path)
    assert seg.segment_numbers == [1, 2, 3, 4]
    for label_id, number in NUMBERS.items():
        item = seg.get_segment_description(number)
        assert item.segment_label == STRUCTURES[label_id]
        assert item.tracking_id == f"OpenVISTA class {label_id}: {STRUCTURES[label_id]}"
        assert item.algorithm_type.value == ("SEMIAUTOMATIC" if label_id == 14 else "AUTOMATIC")
        shown = hd.color.CIELabColor.from_dicom_value(item.RecommendedDisplayCIELabValue).to_rgb(clip=True)
        assert np.abs(np.subtract(shown, result.colours[label_id])).max() <= 1
        algorithm = item.SegmentationAlgorithmIdentificationSequence[0]
        assert (algorithm.AlgorithmName, algorithm.AlgorithmVersion) == ("OpenVISTA starter", "1.2.3")
        assert str(PROVENANCE["weights_sha256"]) in algorithm.AlgorithmParameters
    right, cyst = seg.SegmentSequence[1], seg.SegmentSequence[3]
    side = right.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence[0]
    assert (right.SegmentedPropertyTypeCodeSequence[0].CodeValue, side.CodeMeaning) == ("64033007", "Right")
    region = cyst.AnatomicRegionSequence[0]
    assert (region.CodeMeaning, region.AnatomicRegionModifierSequence[0].CodeMeaning) == ("Kidney", "Left")


@pytest.mark.parametrize("keep", [False, True])
def test_identifiers_only_where_asked_for(result, tmp_path, keep):
    written(result, tmp_path, keep_identifiers=keep)
    header = dcmread(tmp_path / "seg.dcm")
    for keyword, value in IDENTIFIERS.items():
        assert str(header[keyword].value) == (value if keep else ""), keyword
    if not keep:
        content = (tmp_path / "seg.dcm").read_bytes()
        assert not any(value.encode() in content for value in IDENTIFIERS.values())
    source = result.scan.dicom.headers[0]
    for keyword in ("StudyInstanceUID", "FrameOfReferenceUID"):
        assert header[keyword].value == source[keyword].value
    assert header.ReferencedSeriesSequence[0].SeriesInstanceUID == source.SeriesInstanceUID


@pytest.mark.filterwarnings("error")
def test_odd_names_are_kept_and_quoted_in_no_warning(tmp_path):
    result = labelled(small_scan(tmp_path / "ct", PatientName="JUSTONEPART"))
    written(result, tmp_path, keep_identifiers=True)
    assert dcmread(tmp_path / "seg.dcm").PatientName == "JUSTONEPART"


def test_the_same_result_has_the_same_uids_and_another_one_has_others(result, tmp_path):
    first, again = written(result, tmp_path), written(result, tmp_path)
    other = labelled(result.scan, labels=np.where(result.labels == 1, 0, result.labels).astype(np.uint8))
    changed = written(other, tmp_path)
    assert first.SOPInstanceUID == again.SOPInstanceUID != changed.SOPInstanceUID
    assert first.SeriesInstanceUID == again.SeriesInstanceUID != changed.SeriesInstanceUID
    uids = {item.SegmentLabel: item.TrackingUID for item in first.SegmentSequence}
    assert {item.SegmentLabel: item.TrackingUID for item in changed.SegmentSequence}.items() <= uids.items()


def test_objects_that_overlap(result, tmp_path):
    """Layers, as a session gives them: the cyst lies in a kidney that is whole."""
    whole = np.where(result.labels == 116, 14, result.labels).astype(np.uint8)
    cyst = np.where(result.labels == 116, 116, 0).astype(np.uint8)
    layers = [labelled(result.scan, labels=whole), labelled(result.scan, labels=cyst)]
    seg = written(layers, tmp_path)
    volume = seg.get_volume(allow_missing_positions=True).array
    assert [int(volume[..., number].sum()) for number in range(4)] == [
        int((whole == key).sum()) for key in (1, 5, 14)
    ] + [int((cyst == 116).sum())]
    with pytest.raises(OutputError, match="overlap"):
        write_seg(tmp_path / "no.dcm", layers, labelmap=True)


@pytest.mark.parametrize("files", [1, 3])
def test_multi_frame_series(tmp_path, files):
    """Each frame refers to the instance and the frame that it lies on, wherever the series is cut."""
    result = labelled(small_scan(tmp_path / "ct", enhanced=files))
    seg, slices = written(result, tmp_path), result.scan.dicom
    assert len(slices.headers) == files
    for instance, header in enumerate(slices.headers):
        members = [place for place, one in enumerate(slices.slices) if one.instance == instance]
        frames = [slices.slices[place].frame + 1 for place in members]
        pixels = seg.get_pixels_by_source_frame(
            header.SOPInstanceUID, frames, segment_numbers=[2], assert_missing_frames_are_empty=True
        )
        assert np.array_equal(pixels[..., 0] > 0, result.labels.T[members] == 5)
    named = [item.ReferencedSOPInstanceUID for item in seg.ReferencedSeriesSequence[0].ReferencedInstanceSequence]
    assert set(named) <= {header.SOPInstanceUID for header in slices.headers}
    read = read_seg(tmp_path / "seg.dcm", result.scan.grid)
    assert np.array_equal(read.labels, result.labels)


def test_names_in_any_script_and_length(result, tmp_path):
    names = {5: "Niere rechts \\ müde", 14: "腎臓" * 40, 1: "腎臓" * 40, 116: " "}
    seg = written(labelled(result.scan, names=names), tmp_path)
    labels = [str(item.SegmentLabel) for item in seg.SegmentSequence]
    assert labels == [("腎臓" * 40)[:64], "Niere rechts / müde", ("腎臓" * 40)[:60] + " (2)", "structure"]


def test_what_cannot_be_written(result, tmp_path):
    plain = Scan(result.scan.voxels, result.scan.grid, "ct")
    with pytest.raises(OutputError, match=r"ct: a DICOM result needs a scan that was read from DICOM.*nii\.gz"):
        write_seg(tmp_path / "seg.dcm", labelled(plain))
    with pytest.raises(OutputError, match="nothing is labelled"):
        write_seg(tmp_path / "seg.dcm", labelled(result.scan, labels=np.zeros_like(result.labels)))
    assert not list(tmp_path.iterdir())


AXES = [axes for index, axes in enumerate(orientations()) if index % 17 == 0]


@pytest.mark.parametrize("turn", [(0, 0, 0), (90, 0, 0), (11, -17, 23)], ids=["axial", "coronal", "oblique"])
@pytest.mark.parametrize("axes", AXES, ids=range(len(AXES)))
def test_the_mark_stays_where_it_is_in_the_patient(tmp_path, axes, turn):
    """Some of the 48 orientations; tests/services has all of them, with other judges."""
    result = labelled(small_scan(tmp_path / "ct", affine_of(rotation(turn) @ axes)))
    volume = written(result, tmp_path).get_volume(segment_numbers=[2])
    voxels = np.argwhere(volume.array[..., 0] > 0)
    lps = volume.map_indices_to_reference(voxels).mean(axis=0)
    assert lps * (-1, -1, 1) == pytest.approx(MARK, abs=0.6)
