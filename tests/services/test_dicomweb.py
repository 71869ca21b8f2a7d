"""A PACS by DICOMweb: QIDO, WADO and STOW of a real Orthanc, with and without a password."""

import numpy as np
import pytest
from orthanc import Orthanc, running_orthanc
from pydicom import dcmread
from pydicom.uid import JPEGLSLossless

from openvista.errors import OutputError, ScanError
from openvista.io import read_scan
from openvista.pacs.credentials import Credentials
from openvista.pacs.dicomweb import DicomWeb, parse_address
from small_dicom import IDENTIFIERS
from small_series import ct_series


@pytest.fixture
def hu_XYZ() -> np.ndarray:
    return np.random.default_rng(1).integers(-900, 900, (12, 10, 7))


def test_a_series_comes_as_it_is_stored(orthanc: Orthanc, hu_XYZ, tmp_path):
    instances = ct_series(hu_XYZ, syntax="JPEG-LS")
    orthanc.store(*instances)
    pacs = DicomWeb(orthanc.dicomweb)
    study, uid = instances[0].StudyInstanceUID, instances[0].SeriesInstanceUID
    found = pacs.choose(parse_address(f"{orthanc.dicomweb}/studies/{study}"))
    assert (found.uid, found.modality, found.instances) == (uid, "CT", len(instances))
    assert pacs.find_series(uid) == found
    told: list[tuple[int, int]] = []
    assert pacs.fetch(found, tmp_path, lambda done, total: told.append((done, total))) == len(instances)
    assert told == [(number, len(instances)) for number in range(1, len(instances) + 1)]
    assert {dcmread(path).file_meta.TransferSyntaxUID for path in tmp_path.iterdir()} == {JPEGLSLossless}
    assert np.array_equal(read_scan(tmp_path).voxels, hu_XYZ)


def test_of_several_series_one_is_chosen(orthanc: Orthanc, hu_XYZ):
    first = ct_series(hu_XYZ, "first", SeriesNumber="4")
    study = first[0].StudyInstanceUID
    second = ct_series(hu_XYZ, "second", SeriesNumber="5", SeriesDescription="BONE")
    scout = ct_series(hu_XYZ[:, :, :1], "scout", SeriesNumber="1", Modality="OT")
    orthanc.store(*first, *second, *scout)
    pacs = DicomWeb(orthanc.dicomweb)
    address = parse_address(f"{orthanc.dicomweb}/studies/{study}/")
    with pytest.raises(ScanError, match=r"2 series; choose one by --series") as refused:
        pacs.choose(address)
    assert all(str(one[0].SeriesInstanceUID) in str(refused.value) for one in (first, second, scout))
    assert "BONE" in str(refused.value)
    for wanted in ("5", second[0].SeriesInstanceUID):
        assert pacs.choose(address, wanted).uid == second[0].SeriesInstanceUID
    with pytest.raises(ScanError, match="no series 77"):
        pacs.choose(address, "77")


def test_what_is_not_there_is_said(orthanc: Orthanc, hu_XYZ, tmp_path):
    pacs = DicomWeb(orthanc.dicomweb)
    with pytest.raises(ScanError, match=r"no CT|404"):
        pacs.choose(parse_address(f"{orthanc.dicomweb}/studies/1.2.3"))
    with pytest.raises(ScanError, match="no series"):
        pacs.find_series("1.2.3")
    with pytest.raises(ScanError, match="404"):
        DicomWeb(f"{orthanc.url}/nowhere").find_series("1.2.3")
    instances = ct_series(hu_XYZ)
    orthanc.store(*instances)
    with pytest.raises(ScanError, match="larger than"):
        pacs.fetch(pacs.find_series(instances[0].SeriesInstanceUID), tmp_path, most_bytes=1500)


def test_what_is_stored_is_there_and_what_is_refused_is_said(orthanc: Orthanc, hu_XYZ):
    instances = ct_series(hu_XYZ)
    pacs = DicomWeb(orthanc.dicomweb)
    pacs.store(instances)
    assert len(orthanc.instances(SeriesInstanceUID=instances[0].SeriesInstanceUID)) == len(instances)
    pacs.store(instances)  # the same again is no error
    with pytest.raises(OutputError, match=r"did not store|answers 4|does not say"):
        pacs.store(ct_series(hu_XYZ)[:1], study="1.2.3")  # of another study than it says


def test_a_server_that_wants_to_know_who_asks(hu_XYZ, tmp_path, monkeypatch, caplog):
    secret = "correct horse battery"
    with running_orthanc(tmp_path, RegisteredUsers={"alice": secret}) as pacs:
        with pytest.raises(ScanError, match=r"401.*OPENVISTA_DICOMWEB_TOKEN"):
            DicomWeb(pacs.dicomweb, Credentials()).find_series("1.2.3")
        monkeypatch.setenv("OPENVISTA_DICOMWEB_USER", "alice")
        monkeypatch.setenv("OPENVISTA_DICOMWEB_PASSWORD", secret)
        instances = ct_series(hu_XYZ)
        with caplog.at_level("DEBUG"):
            client = DicomWeb(pacs.dicomweb)
            client.store(instances)
            assert client.find_series(instances[0].SeriesInstanceUID).instances == len(instances)
        assert secret not in caplog.text
        assert not any(value in caplog.text for value in IDENTIFIERS.values())
        assert "Basic" not in caplog.text
