"""DICOM objects where label maps are read: told apart by their class, put on the scan's grid."""

import shutil

import numpy as np
import pytest
from pydicom import Dataset, dcmread

from openvista.datalist.case import Case
from openvista.errors import ScanError
from openvista.evaluate.labelled_scan import read_case
from openvista.io import read_labels, read_segmentation
from openvista.io.dicom.labels import read_dicom_labels
from openvista.io.dicom.rtstruct import write_rtstruct
from openvista.io.dicom.seg import write_seg
from small_dicom_results import STRUCTURES, labelled, small_scan


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    return labelled(small_scan(tmp_path_factory.mktemp("labels") / "ct"))


@pytest.mark.parametrize("write", [write_seg, write_rtstruct])
@pytest.mark.parametrize("name", ["labels.dcm", "1.2.3"])
def test_by_their_content_whatever_they_are_called(result, tmp_path, write, name):
    write(tmp_path / "labels.dcm", result)
    if name != "labels.dcm":
        shutil.move(tmp_path / "labels.dcm", tmp_path / name)
    labels, grid = read_labels(tmp_path / name, scan_grid=result.grid)
    assert np.array_equal(labels, result.labels)
    assert grid.matches(result.grid)
    read = read_segmentation(tmp_path / name, scan_grid=result.grid)
    assert read.names == STRUCTURES


@pytest.mark.parametrize("write", [write_seg, write_rtstruct])
def test_truth_of_an_evaluation(result, tmp_path, write):
    """A data list may name DICOM for both scan and labels."""
    write(tmp_path / "labels.dcm", result)
    case = Case(result.scan.source, tmp_path / "labels.dcm", None, frozenset({5, 14}), {})
    read = read_case(case, {5: 5, 14: 14})
    assert np.array_equal(read.labels_XYZ, result.labels)
    assert {structure.class_id for structure in read.structures} == {5, 14}


def test_a_file_without_preamble(result, tmp_path):
    """As old planning systems write them: the object alone, without the 132 bytes and the group before it."""
    write_rtstruct(tmp_path / "whole.dcm", result)
    bare = Dataset()
    bare.update(dcmread(tmp_path / "whole.dcm"))
    bare.save_as(tmp_path / "bare.dcm", implicit_vr=True, little_endian=True)
    assert (tmp_path / "bare.dcm").read_bytes()[128:132] != b"DICM"
    assert np.array_equal(read_labels(tmp_path / "bare.dcm", scan_grid=result.grid)[0], result.labels)


def test_contours_need_their_scan(result, tmp_path):
    write_rtstruct(tmp_path / "rtstruct.dcm", result)
    with pytest.raises(ScanError, match="read with its scan"):
        read_segmentation(tmp_path / "rtstruct.dcm")


def test_a_ct_is_no_label_map(result, tmp_path):
    slices = sorted(result.scan.source.iterdir())
    with pytest.raises(ScanError, match="CT Image Storage, which holds no labels"):
        read_labels(slices[0])
    with pytest.raises(ScanError, match="not a label map"):
        read_labels(result.scan.source)
    (tmp_path / "text.dcm").write_text("text")
    with pytest.raises(ScanError, match="not a DICOM file"):
        read_dicom_labels(tmp_path / "text.dcm", None)
