"""Reports of volume and mean HU."""

import highdicom as hd
import pytest
from pydicom import dcmread

from openvista.errors import OutputError
from openvista.io.dicom.seg import write_seg
from openvista.io.dicom.sr import write_sr
from small_dicom import IDENTIFIERS
from small_dicom_results import STRUCTURES, labelled, small_scan


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    return labelled(small_scan(tmp_path_factory.mktemp("sr") / "ct"))


def written(result, tmp_path, **options):
    write_sr(tmp_path / "sr.dcm", result, **options)
    return hd.sr.srread(tmp_path / "sr.dcm")


def values_of(group) -> dict[str, float]:
    return {item.name.meaning: item.value for item in group.get_measurements()}


@pytest.mark.parametrize("labelmap", [None, False, True])
def test_volume_and_mean_hu_of_each_structure(result, tmp_path, labelmap):
    """With the tracking UIDs of the segmentation, and its segments where one is given."""
    write_seg(tmp_path / "seg.dcm", result, labelmap=bool(labelmap))
    seg = dcmread(tmp_path / "seg.dcm")
    report = written(result, tmp_path, seg=None if labelmap is None else tmp_path / "seg.dcm")
    if labelmap is None:
        groups = report.content.get_image_measurement_groups()
    else:
        groups = report.content.get_volumetric_roi_measurement_groups()
        regions = [group.referenced_segment for group in groups]
        assert {region.referenced_sop_instance_uid for region in regions} == {seg.SOPInstanceUID}
        assert [region.referenced_segment_numbers for region in regions] == [[1], [2], [3], [4]]
    assert len(groups) == 4
    rows = {row.id: row for row in result.table()}
    tracked = {item.TrackingUID: item for item in seg.SegmentSequence if item.SegmentNumber}
    for group, label_id in zip(groups, (1, 5, 14, 116), strict=True):
        values = values_of(group)
        assert values["Volume"] == pytest.approx(rows[label_id].volume_ml, abs=1e-3)
        assert values["Attenuation Coefficient"] == pytest.approx(rows[label_id].mean_hu, abs=0.01)
        assert tracked[group.tracking_uid].SegmentLabel == STRUCTURES[label_id]


def test_a_segmentation_of_something_else(result, tmp_path):
    write_seg(tmp_path / "seg.dcm", labelled(result.scan, names={1: "spleen"}))
    with pytest.raises(OutputError, match="no DICOM segmentation of these structures"):
        write_sr(tmp_path / "sr.dcm", result, seg=tmp_path / "seg.dcm")
    with pytest.raises(OutputError, match="cannot be read"):
        write_sr(tmp_path / "sr.dcm", result, seg=tmp_path / "none.dcm")
    assert not (tmp_path / "sr.dcm").exists()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("keep", [False, True])
def test_identifiers_only_where_asked_for(result, tmp_path, keep):
    """Whatever the segmentation holds that it refers to."""
    write_seg(tmp_path / "seg.dcm", result, keep_identifiers=True)
    for seg in (None, tmp_path / "seg.dcm"):
        header = written(result, tmp_path, seg=seg, keep_identifiers=keep)
        for keyword, value in IDENTIFIERS.items():
            assert str(header[keyword].value) == (value if keep else ""), keyword
