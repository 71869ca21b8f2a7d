"""RT structure sets: what is in them, and where their contours lie."""

import logging

import numpy as np
import pytest
from pydicom import dcmread

from openvista.io.dicom.rtstruct import write_rtstruct
from small_dicom import IDENTIFIERS, orientations, rotation
from small_dicom_results import MARK, STRUCTURES, affine_of, labelled, small_scan


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    return labelled(small_scan(tmp_path_factory.mktemp("rtstruct") / "ct"))


def written(result, tmp_path, **options):
    write_rtstruct(tmp_path / "rtstruct.dcm", result, **options)
    return dcmread(tmp_path / "rtstruct.dcm")


def centre(outline) -> np.ndarray:
    """Centre of mass of the discs that contours of one region enclose, RAS mm, as of polygons in their planes."""
    total, weighted = 0.0, np.zeros(3)
    for contour in outline.ContourSequence:
        points = np.array(contour.ContourData, float).reshape(-1, 3)
        ahead, origin = np.roll(points, -1, axis=0), points.mean(axis=0)
        normals = np.cross(points - origin, ahead - origin) / 2
        areas = normals @ (normals.sum(axis=0) / np.linalg.norm(normals.sum(axis=0)))
        weighted += (areas[:, None] * (points + ahead + origin) / 3).sum(axis=0)
        total += areas.sum()
    return weighted / total * (-1, -1, 1)


def test_regions_say_what_they_are(result, tmp_path):
    whole = written(result, tmp_path)
    regions = whole.StructureSetROISequence
    assert [item.ROIName for item in regions] == [STRUCTURES[key] for key in (1, 5, 14, 116)]
    assert [item.ROIGenerationAlgorithm for item in regions] == ["AUTOMATIC", "AUTOMATIC", "SEMIAUTOMATIC", "AUTOMATIC"]
    observed = whole.RTROIObservationsSequence
    assert [item.RTROIInterpretedType for item in observed] == ["ORGAN", "ORGAN", "ORGAN", "GTV"]
    assert [tuple(item.ROIDisplayColor) for item in whole.ROIContourSequence] == [
        result.colours[key] for key in (1, 5, 14, 116)
    ]


def test_contours_lie_on_slices_of_the_series_only(result, tmp_path):
    whole = written(result, tmp_path)
    headers = {header.SOPInstanceUID: header for header in result.scan.dicom.headers}
    for outline in whole.ROIContourSequence:
        for contour in outline.ContourSequence:
            header = headers[contour.ContourImageSequence[0].ReferencedSOPInstanceUID]
            depths = np.array(contour.ContourData, float).reshape(-1, 3)[:, 2]
            assert set(depths) == {round(float(header.ImagePositionPatient[2]), 3)}
            assert contour.NumberOfContourPoints == len(depths) >= 3
    study = whole.ReferencedFrameOfReferenceSequence[0].RTReferencedStudySequence[0]
    images = study.RTReferencedSeriesSequence[0].ContourImageSequence
    assert {image.ReferencedSOPInstanceUID for image in images} == set(headers)


def test_contours_on_several_multi_frame_objects_name_object_and_frame(tmp_path):
    result = labelled(small_scan(tmp_path / "ct", enhanced=3))
    slices = result.scan.dicom
    place = {(slices.headers[one.instance].SOPInstanceUID, one.frame + 1): one.position for one in slices.slices}
    for outline in written(result, tmp_path).ROIContourSequence:
        for contour in outline.ContourSequence:
            image = contour.ContourImageSequence[0]
            depth = place[image.ReferencedSOPInstanceUID, image.ReferencedFrameNumber][2]
            assert set(contour.ContourData[2::3]) == {round(depth, 3)}


def test_a_hole_is_an_inner_contour_or_a_keyhole(result, tmp_path):
    def most_contours(whole) -> int:
        used = [c.ContourImageSequence[0].ReferencedSOPInstanceUID for c in whole.ROIContourSequence[0].ContourSequence]
        return max(map(used.count, used))

    assert most_contours(written(result, tmp_path)) == 2
    assert most_contours(written(result, tmp_path, keyhole=True)) == 1


def test_names_are_unique_and_short(result, tmp_path):
    names = {5: "x" * 80, 14: "x" * 80, 1: "liver", 116: "liver"}
    found = [item.ROIName for item in written(labelled(result.scan, names=names), tmp_path).StructureSetROISequence]
    assert len(set(found)) == 4
    assert max(map(len, found)) == 64


@pytest.mark.parametrize("keep", [False, True])
def test_identifiers_only_where_asked_for(result, tmp_path, keep):
    whole = written(result, tmp_path, keep_identifiers=keep)
    for keyword, value in IDENTIFIERS.items():
        assert str(whole[keyword].value) == (value if keep else ""), keyword


AXES = [axes for index, axes in enumerate(orientations()) if index % 17 == 0]


@pytest.mark.parametrize("turn", [(0, 0, 0), (90, 0, 0), (11, -17, 23)], ids=["axial", "coronal", "oblique"])
@pytest.mark.parametrize("axes", AXES, ids=range(len(AXES)))
def test_the_mark_stays_where_it_is_in_the_patient(tmp_path, axes, turn, caplog):
    """Some of the 48 orientations; tests/services has all of them, with other judges."""
    turned = rotation(turn) @ axes
    with caplog.at_level(logging.WARNING):
        whole = written(labelled(small_scan(tmp_path / "ct", affine_of(turned))), tmp_path)
    assert centre(whole.ROIContourSequence[1]) == pytest.approx(MARK, abs=0.6)
    assert ("not an axial series" in caplog.text) == (abs(turned[2, 2]) < 0.999)
