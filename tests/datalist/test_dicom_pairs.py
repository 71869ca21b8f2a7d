"""Data lists of DICOM: series, and the segmentations and structure sets that refer to them."""

import numpy as np
import pytest
from pydicom import dcmread

from openvista.datalist import Split, check_datalist, find_pairs, make_datalist, read_datalist, write_datalist
from openvista.errors import DataListError
from openvista.evaluate.labelled_scan import read_case
from openvista.io import read_labels
from openvista.io.dicom.rtstruct import write_rtstruct
from openvista.io.dicom.seg import write_seg
from small_dicom_results import STRUCTURES, labelled, small_scan


@pytest.fixture
def folder(tmp_path):
    """Two patients in folders as an archive exports them: one with a segmentation, one with a structure set."""
    first = labelled(small_scan(tmp_path / "study" / "p1" / "CT"))
    second = labelled(small_scan(tmp_path / "study" / "p2" / "CT2"))
    (tmp_path / "study" / "p1" / "SEG").mkdir()
    write_seg(tmp_path / "study" / "p1" / "SEG" / "1", first)
    write_rtstruct(tmp_path / "study" / "p2" / "CT2" / "structures", second)  # beside the slices
    return tmp_path / "study"


def shown(pairs, folder):
    return [tuple(part and part.relative_to(folder).as_posix() for part in pair) for pair in pairs]


def test_objects_belong_to_the_series_they_refer_to(folder):
    small_scan(folder / "p3" / "CT3")
    pairs = find_pairs(folder)
    assert shown(pairs.training, folder) == [
        ("p1/CT", "p1/SEG/1"),
        ("p2/CT2", "p2/CT2/structures"),
        ("p3/CT3", None),
    ]


def test_two_series_of_one_folder_are_called_by_a_file(folder):
    both = folder / "p1" / "CT"
    for file in (folder / "p2" / "CT2").iterdir():
        file.rename(both / f"2{file.name}")
    pairs = shown(find_pairs(folder).training, folder)
    assert sorted(pairs) == [("p1/CT/2IM0001.dcm", "p1/CT/2structures"), ("p1/CT/IM0001.dcm", "p1/SEG/1")]
    assert make_datalist(folder, folder / "list.json").listed.label_names == STRUCTURES


def test_two_objects_of_one_series_and_none_at_all(folder):
    (folder / "p1" / "SEG" / "2").write_bytes((folder / "p1" / "SEG" / "1").read_bytes())
    with pytest.raises(DataListError, match="refer to one series"):
        find_pairs(folder)
    for file in folder.glob("p1/CT/*"):
        file.unlink()
    (folder / "p1" / "SEG" / "2").unlink()
    assert shown([find_pairs(folder).labels_left], folder) == [("p1/SEG/1",)]


def test_a_list_of_dicom_is_checked_and_evaluated_on_the_scans_grid(folder, tmp_path):
    made = make_datalist(folder, tmp_path / "list.json", split=Split(test_share=0.5)).listed
    listed = read_datalist(write_datalist(made))
    assert len(listed.training) == len(listed.testing) == 1
    report = check_datalist(listed)
    assert report.usable
    assert not [problem for one in report.cases for problem in one.problems if problem.fatal]
    for case in (*listed.training, *listed.testing):
        scan = read_case(case, {1: 1, 5: 5, 14: 14, 116: 116})
        expected = labelled(scan.scan).labels
        assert np.mean(scan.labels_XYZ[expected > 0] == expected[expected > 0]) > 0.98


def test_structures_with_other_numbers_get_one_number_per_name(folder, tmp_path):
    """As other programs write them: without our ids, numbered as they come."""
    file = folder / "p2" / "CT2" / "structures"
    whole = dcmread(file)
    for item in whole.StructureSetROISequence:
        item.ROIDescription, item.ROIName = "", item.ROIName.upper()
    whole.save_as(file)
    with pytest.raises(DataListError, match="numbered alike with --write-labels"):
        make_datalist(folder, tmp_path / "list.json")
    made = make_datalist(
        folder, tmp_path / "list.json", label_folder=tmp_path / "labels", split=Split(test_share=0)
    ).listed
    assert sorted(name.lower() for name in made.label_names.values()) == sorted(STRUCTURES.values())
    number_of = {name.lower(): number for number, name in made.label_names.items()}
    for case in made.training:
        labels, grid = read_labels(case.label)
        expected = labelled(small_scan(tmp_path / "again" / case.image.name))
        assert grid.matches(expected.grid, 0.01)
        for key, name in STRUCTURES.items():
            assert np.mean(labels[expected.labels == key] == number_of[name]) > 0.98


def test_folders_called_by_uids_get_label_maps_of_their_own(folder, tmp_path):
    """What comes after the last dot of such a name is no ending."""
    for number, series in enumerate(("p1/CT", "p2/CT2"), start=1):
        (folder / series).rename(folder / f"1.2.840.{number}")
    made = make_datalist(folder, tmp_path / "list.json", label_folder=tmp_path / "labels", split=Split(test_share=0))
    written = {case.image.name: case.label.name for case in made.listed.training}
    assert written == {"1.2.840.1": "1.2.840.1.nii.gz", "1.2.840.2": "1.2.840.2.nii.gz"}
