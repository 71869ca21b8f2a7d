"""UIDs, and headers of what a result refers to."""

import re

import pytest
from pydicom import Dataset
from pydicom.uid import UID

from openvista.errors import OutputError
from openvista.io.dicom.identity import add_identifiers, new_uid, slice_headers, source_headers
from small_dicom import IDENTIFIERS
from small_dicom_results import small_scan


def test_uids_are_valid_and_follow_from_their_parts():
    made = [new_uid("a", 1), new_uid("a", 2), new_uid("a1")]
    assert made[0] == new_uid("a", "1")
    assert len(set(made)) == 3
    assert all(UID(uid).is_valid and re.fullmatch(r"2\.25\.[1-9][0-9]{0,38}", uid) for uid in made)


def test_headers_hold_what_is_needed_and_no_more(tmp_path):
    scan = small_scan(tmp_path / "ct", InstitutionName="Somewhere", PatientComments="told in confidence")
    headers = slice_headers(scan.dicom, scan.grid)
    text = "\n".join(map(str, headers))
    assert not any(value in text for value in (*IDENTIFIERS.values(), "Somewhere", "told in confidence"))
    assert [header.SOPInstanceUID for header in headers] == [header.SOPInstanceUID for header in scan.dicom.headers]
    assert [header.ImagePositionPatient for header in headers] == [
        pytest.approx(list(one.position), abs=1e-5) for one in scan.dicom.slices
    ]


def test_identifiers_are_the_scans_in_any_encoding(tmp_path):
    scan = small_scan(
        tmp_path / "ct", SpecificCharacterSet="ISO_IR 100", PatientName="Müller^Ännchen", PatientAge="070Y"
    )
    result = Dataset()
    add_identifiers(result, scan.dicom)
    assert (result.PatientName, result.PatientAge) == ("Müller^Ännchen", "070Y")
    assert "PatientWeight" not in result


def test_a_series_without_uids_is_refused(tmp_path):
    scan = small_scan(tmp_path / "ct")
    for header in scan.dicom.headers:
        del header.StudyInstanceUID
    with pytest.raises(OutputError, match="no StudyInstanceUID"):
        source_headers(scan.dicom)


def test_a_header_for_each_instance_and_the_scans_own_stay_as_they_were(tmp_path):
    scan = small_scan(tmp_path / "ct", enhanced=2)
    before = [str(header) for header in scan.dicom.headers]
    headers = source_headers(scan.dicom)
    assert len(slice_headers(scan.dicom, scan.grid)) == len(scan.dicom.slices)
    assert [header.SOPInstanceUID for header in headers] == [header.SOPInstanceUID for header in scan.dicom.headers]
    assert [str(header) for header in scan.dicom.headers] == before
