"""DICOM segmentations and RT structure sets as objects of a session."""

import numpy as np
import pytest
from pydicom import dcmread
from serving import AFFINE, SHAPE, read_nifti

from openvista.io import read_scan, read_segmentation
from openvista.io.dicom.rtstruct import write_rtstruct
from openvista.io.dicom.seg import write_seg
from openvista.scan import Segmentation
from small_dicom import phantom, write_series

LABELS = np.zeros(SHAPE, np.uint8)
LABELS[3:11, 4:12, 5:9] = 1
LABELS[12:15, 4:12, 6:9] = 3


@pytest.fixture(scope="module")
def result(tmp_path_factory) -> Segmentation:
    folder = tmp_path_factory.mktemp("dicom") / "ct"
    write_series(folder, phantom(AFFINE, SHAPE, AFFINE[:3, 3]), AFFINE)
    scan = read_scan(folder)
    labels = LABELS if np.allclose(scan.grid.affine, AFFINE) else LABELS[:, :, ::-1]
    return Segmentation(labels, scan.grid, {1: "liver", 3: "spleen"}, scan=scan)


@pytest.mark.parametrize("write", [write_seg, write_rtstruct])
def test_they_are_put_on_the_scan_of_the_session(server, result, tmp_path, write):
    write(tmp_path / "labels.dcm", result)
    files = [("file", (file.name, file.read_bytes())) for file in sorted(result.scan.source.iterdir())]
    scan = server.http.post("/api/v1/scans", files=files).json()
    session = server.http.post("/api/v1/sessions", json={"scan_id": scan["id"]}).json()
    address = f"/api/v1/sessions/{session['id']}"
    sent = {"file": ("labels.dcm", (tmp_path / "labels.dcm").read_bytes())}
    answer = server.http.post(f"{address}/segmentation", files=sent)
    assert answer.status_code == 200, answer.text
    assert [item["name"] for item in answer.json()["session"]["objects"]] == ["liver", "spleen"]
    served = np.asarray(read_nifti(server.http.get(f"{address}/segmentation").content).dataobj)
    assert np.array_equal(served > 0, result.labels > 0)


def test_exports_lie_on_the_slices_that_came(server, result, tmp_path):
    write_seg(tmp_path / "labels.dcm", result)
    files = [("file", (file.name, file.read_bytes())) for file in sorted(result.scan.source.iterdir())]
    scan = server.http.post("/api/v1/scans", files=files).json()
    session = server.http.post("/api/v1/sessions", json={"scan_id": scan["id"]}).json()
    address = f"/api/v1/sessions/{session['id']}"
    assert scan["from_dicom"]
    sent = {"file": ("labels.dcm", (tmp_path / "labels.dcm").read_bytes())}
    server.http.post(f"{address}/segmentation", files=sent).raise_for_status()
    names = {"dicom-seg": "_seg.dcm", "dicom-rtstruct": "_rtstruct.dcm", "dicom-sr": "_sr.dcm"}
    for format, ending in names.items():
        answer = server.http.get(f"{address}/export", params={"format": format, "labelmap": True})
        assert answer.status_code == 200, answer.text
        assert f'filename="{scan["name"]}{ending}"' in answer.headers["content-disposition"]
        (tmp_path / f"{format}.dcm").write_bytes(answer.content)
        header = dcmread(tmp_path / f"{format}.dcm", stop_before_pixels=True)
        assert header.StudyInstanceUID == result.scan.dicom.headers[0].StudyInstanceUID
        assert not header.PatientName
    assert dcmread(tmp_path / "dicom-seg.dcm").SegmentationType == "LABELMAP"
    for format in ("dicom-seg", "dicom-rtstruct"):
        back = read_segmentation(tmp_path / f"{format}.dcm", scan_grid=result.grid)
        for name in ("liver", "spleen"):
            assert np.array_equal(back.mask(name), result.mask(name)), (format, name)


def test_those_of_another_patient_are_refused(server, result, tmp_path, ct):
    write_seg(tmp_path / "labels.dcm", result)
    elsewhere = AFFINE.copy()
    elsewhere[:3, 3] += 1000
    files = write_series(tmp_path / "other", phantom(elsewhere, SHAPE, elsewhere[:3, 3]), elsewhere)
    scan = server.http.post("/api/v1/scans", files=[("file", (one.name, one.read_bytes())) for one in files]).json()
    session = server.http.post("/api/v1/sessions", json={"scan_id": scan["id"]}).json()
    sent = {"file": ("labels.dcm", (tmp_path / "labels.dcm").read_bytes())}
    answer = server.http.post(f"/api/v1/sessions/{session['id']}/segmentation", files=sent)
    assert answer.status_code == 422
    assert "nothing in it lies on the scan" in answer.text
