"""``openvista serve --dicomweb``: OHIF's requests, with a real PACS behind. Its own pixels say where masks belong."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from orthanc import Orthanc, running_orthanc
from pydicom import Dataset
from serving import Running, running

from openvista.geometry.grid import Grid
from openvista.model import load_model
from openvista.scan import Scan
from small_dicom import write_series
from small_series import AFFINE, ct_series

CORONAL = np.array([[-0.8, 0, 0, 10], [0, 0, 2.5, -20], [0, -0.9, 0, 30], [0, 0, 0, 1]], dtype=float)
BACKWARDS = AFFINE @ np.diag([1, 1, -1, 1])
"""Slices stored from the head down: against the normal."""


@pytest.fixture(scope="module")
def plain_server(small_model, session_orthanc, tmp_path_factory) -> Iterator[Running]:
    state = tmp_path_factory.mktemp("ohif")
    with running(
        models=(str(small_model),), precision="float32", state=state, dicomweb=session_orthanc.dicomweb
    ) as server:
        yield server


def ask(server: Running, uid: str, params: dict[str, Any]) -> np.ndarray:
    """As OHIF's extension asks, and reads the answer."""
    params = {"result_extension": ".nrrd", "result_dtype": "uint16", "result_compress": False} | params
    fields = {"params": (None, json.dumps(params))}
    answer = server.http.post(f"/infer/vista3d?image={uid}&output=image", files=fields)
    assert answer.status_code == 200, answer.text
    header, _, data = answer.content.partition(b"\n\n")
    lines = dict(line.split(": ", 1) for line in header.decode().splitlines() if ": " in line)
    return np.frombuffer(data, "<u2").reshape([int(size) for size in lines["sizes"].split()], order="F")


def as_ohif_has_it(instances: list[Dataset]) -> np.ndarray:
    """[column, row, slice] HU out of the PACS's pixels: sorted along the normal, as cornerstone3D sorts."""
    orientation = np.array(instances[0].ImageOrientationPatient, dtype=float)
    normal = np.cross(orientation[:3], orientation[3:])
    along = sorted(instances, key=lambda one: float(np.dot(np.array(one.ImagePositionPatient, dtype=float), normal)))
    return np.stack([one.pixel_array.T * float(one.RescaleSlope) + float(one.RescaleIntercept) for one in along], -1)


@pytest.mark.parametrize("affine", [AFFINE, CORONAL, BACKWARDS], ids=["axial", "coronal", "from the head down"])
def test_masks_lie_where_ohif_shows_the_images(plain_server, orthanc: Orthanc, small_model, tmp_path, affine):
    hu_XYZ = np.random.default_rng(6).integers(-900, 900, (18, 16, 14))
    name = f"series {affine[:3, 2]}"
    instances = [_read(path) for path in write_series(tmp_path / name, hu_XYZ, affine)]
    order = np.random.default_rng(0).permutation(len(instances))
    orthanc.store(*[instances[index] for index in order])
    uid = instances[0].SeriesInstanceUID
    shown = as_ohif_has_it(orthanc.instances(SeriesInstanceUID=uid))
    found = ask(plain_server, uid, {"label_prompt": [1, 5]})
    # the engine on the very array that OHIF shows: another order of voxels would give other labels at other places
    scan = Scan(shown.astype(np.float32), _grid_of(instances))
    direct = load_model(small_model, "cpu", "float32").segment(scan, [1, 5])
    assert found.shape == shown.shape
    assert np.array_equal(found, direct.labels)
    mark = np.unravel_index(np.argmax(shown), shown.shape)
    click = {"points": [[int(part) for part in mark]], "point_labels": [1], "label_prompt": [5]}
    clicked = ask(plain_server, uid, click)
    assert clicked[mark] == 5
    assert shown[mark] == hu_XYZ.max()


def _read(path) -> Dataset:
    from pydicom import dcmread

    return dcmread(path)


def _grid_of(instances: list[Dataset]) -> Grid:
    """Of the array that OHIF shows, by the headers alone."""
    orientation = np.array(instances[0].ImageOrientationPatient, dtype=float).reshape(2, 3)
    normal = np.cross(*orientation)
    positions = sorted(
        (np.array(one.ImagePositionPatient, dtype=float) for one in instances), key=lambda place: float(place @ normal)
    )
    rows, columns = (float(value) for value in instances[0].PixelSpacing)
    lps = np.eye(4)
    lps[:3, 0], lps[:3, 1] = orientation[0] * columns, orientation[1] * rows
    lps[:3, 2] = (positions[-1] - positions[0]) / (len(positions) - 1)
    lps[:3, 3] = positions[0]
    shape = (int(instances[0].Columns), int(instances[0].Rows), len(instances))
    return Grid(shape, np.diag([-1.0, -1.0, 1.0, 1.0]) @ lps)


def test_series_that_are_not_there(plain_server, orthanc):
    fields = {"params": (None, "{}")}
    answer = plain_server.http.post("/infer/vista3d?image=1.2.3.4.5", files=fields)
    assert answer.status_code == 404
    assert "no series" in answer.json()["detail"]


def test_ohif_reads_the_pacs_through_the_server(plain_server, orthanc):
    hu_XYZ = np.random.default_rng(7).integers(-900, 900, (18, 16, 3))
    instances = ct_series(hu_XYZ, "passed on")
    orthanc.store(*instances)
    study, series = instances[0].StudyInstanceUID, instances[0].SeriesInstanceUID
    http = plain_server.http
    found = http.get("/proxy/dicom/qido/studies", params={"StudyInstanceUID": study, "limit": "1"})
    assert found.headers["content-type"].startswith("application/dicom+json")
    assert found.json()[0]["0020000D"]["Value"] == [study]
    address = f"/proxy/dicom/wado/studies/{study}/series/{series}"
    assert len(http.get(f"{address}/metadata").json()) == 3
    frames = f"{address}/instances/{instances[0].SOPInstanceUID}/frames/1"
    accept = {"Accept": 'multipart/related; type="application/octet-stream"'}
    direct = orthanc.http.get(frames.replace("/proxy/dicom/wado", "/dicom-web"), headers=accept)
    answer = http.get(frames, headers=accept)
    assert answer.headers["content-type"].startswith("multipart/related")
    assert instances[0].PixelData in answer.content
    assert len(answer.content) == len(direct.content)


@pytest.mark.parametrize(
    "path", ["qido/../instances", "qido/%2e%2e/system", "wado/system", "wado/studies/..%2f..%2fsystem", "stow/studies"]
)
def test_nothing_else_is_passed_on(plain_server, path):
    answer = plain_server.http.get(f"/proxy/dicom/{path}")
    assert answer.status_code in (404, 422)
    for method in ("POST", "PUT", "DELETE"):
        assert plain_server.http.request(method, "/proxy/dicom/wado/studies").status_code in (404, 405)


def test_the_pacs_password_stays_with_the_server(small_model, tmp_path, monkeypatch):
    """And who asks the server needs its own: the cookie of the page beside it."""
    monkeypatch.setenv("OPENVISTA_DICOMWEB_USER", "alice")
    monkeypatch.setenv("OPENVISTA_DICOMWEB_PASSWORD", "open sesame")
    (tmp_path / "pacs").mkdir()
    with (
        running_orthanc(tmp_path / "pacs", RegisteredUsers={"alice": "open sesame"}) as pacs,
        running(
            models=(str(small_model),), state=tmp_path / "state", dicomweb=pacs.dicomweb, token="a long secret"
        ) as server,
        httpx.Client(base_url=server.url) as browser,
    ):
        assert browser.get("/proxy/dicom/qido/studies").status_code == 401
        browser.get("/?token=a long secret")
        assert browser.get("/proxy/dicom/qido/studies").json() == []
        monkeypatch.setenv("OPENVISTA_DICOMWEB_PASSWORD", "wrong")
        refused = browser.get("/proxy/dicom/qido/studies")
        assert refused.status_code == 502
        assert "www-authenticate" not in refused.headers
