"""The Python client against a real server."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("fastapi")

from serving import AFFINE, SHAPE, Running, ct_file, make_model, running

from openvista.client import Client
from openvista.errors import OutputError, PromptError, ScanError, ServiceError
from openvista.io import read_segmentation
from openvista.session.edits import Voxels
from small_dicom import FAR, phantom, write_series


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Running]:
    model = make_model(tmp_path_factory.mktemp("models"), "both", ("automatic", "point"))
    with running(models=(str(model),), precision="float32", state=tmp_path_factory.mktemp("state")) as started:
        yield started


@pytest.fixture
def client(server) -> Iterator[Client]:
    with Client(server.url, patience=5) as opened:
        yield opened


@pytest.fixture(scope="module")
def ct(tmp_path_factory) -> Path:
    return ct_file(tmp_path_factory.mktemp("scans") / "ct.nii.gz")


def test_it_needs_no_torch():
    code = (
        "import openvista.client, sys; print([n for n in ('torch', 'nibabel', 'fastapi', 'httpx') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_session_from_upload_to_file(client, server, ct, tmp_path):
    session = client.open(client.upload(ct))
    session.segment(["liver", 121])
    lesion = session.new_object("lesion", "#ff0080")
    session.click((8, 7, 6), lesion)
    session.click((3, 3, 3), "liver", positive=False)
    assert [dict(click) for item in session.objects for click in item.clicks if item.name == "lesion"] == [
        {"voxel": [8, 7, 6], "positive": True, "drawn": False}
    ]
    assert {item.name for item in session.objects} == {"liver", "spinal cord", "lesion"}
    session.save(tmp_path / "out.nii.gz")
    assert np.array_equal(read_segmentation(tmp_path / "out.nii.gz").labels, session.labels)
    same = session.compare(tmp_path / "out.nii.gz")
    assert [(row["name"], row["dice"]) for row in same] == [(item.name, 1) for item in session.objects]
    assert session.compare(session) == same
    session.save(tmp_path / "out.glb")
    assert (tmp_path / "out.glb").read_bytes()[:4] == b"glTF"
    with pytest.raises(ServiceError, match="dicom-rtstruct needs a scan that was read from DICOM"):
        session.save(tmp_path / "out.dcm", "dicom-rtstruct")
    with pytest.raises(OutputError, match="another ending"):
        session.save(tmp_path / "out.nii.gz", "glb")
    assert {path.name for path in tmp_path.iterdir()} == {"out.nii.gz", "out.glb"}
    before = session.labels.copy()
    assert session.undo()
    assert session.redo()
    assert np.array_equal(session.labels, before)
    assert [row["name"] for row in session.table()] == ["liver", "spinal cord", "lesion"]
    while session.undo():
        pass
    assert session.labels.max() == 0
    assert not session.undo()


def test_edits_change_the_same_voxels_here_and_on_the_server(client, ct, tmp_path):
    session = client.open(client.upload(ct))
    lesion, other = session.new_object("lesion"), session.new_object("other")

    def shown():
        return session.labels == lesion.id

    session.polygon([(1.5, 1.5), (6.5, 1.5), (6.5, 6.5), (1.5, 6.5)], axis=2, slice=3, object=lesion)
    assert shown().sum() == 25
    session.copy_slice(2, 3, lesion)
    session.copy_slice(2, 3, lesion, by=-1)
    assert shown().sum() == 75
    session.erase([(4, 4, 3)], 0, lesion)
    assert shown().sum() == 74
    session.fill_holes(lesion, axis=2)
    assert shown().sum() == 75
    session.polygon([(1.5, 1.5), (6.5, 1.5), (6.5, 6.5), (1.5, 6.5)], 2, 7, lesion)
    session.interpolate(2, lesion)
    assert shown().sum() == 150
    session.paint([(12, 12, 9)], 0, other, axis=2, hu=(-2000, 4000))
    session.combine("union", other, lesion)
    session.keep_piece(lesion, (12, 12, 9))
    session.remove(other)
    assert np.argwhere(shown()).tolist() == [[12, 12, 9]]
    session.edit(Voxels(box=((12, 14), (12, 13), (9, 10)), runs=(1, 1)), lesion)
    assert np.argwhere(shown()).tolist() == [[12, 12, 9], [13, 12, 9]]
    session.margin(30, lesion)
    session.smooth(1, "lesion")
    session.margin(-3, lesion)
    session.save(tmp_path / "edited.nii.gz")
    assert np.array_equal(read_segmentation(tmp_path / "edited.nii.gz").labels, session.labels)
    assert session.objects[0].voxels == shown().sum() > 1
    with pytest.raises(PromptError, match="radius_mm"):
        session.paint([(1, 1, 1)], -1, lesion)
    again = client.open(client.upload(ct))
    again.start_from(tmp_path / "edited.nii.gz")
    assert np.array_equal(again.labels > 0, shown())


def test_progress_is_told_and_the_result_is_the_same(client, ct):
    told = []
    scan = client.upload(ct)
    session, other = client.open(scan), client.open(scan)
    session.segment("all", progress=told.append)
    other.segment("all")
    assert np.array_equal(session.labels, other.labels)
    assert all(step.total >= step.done for step in told)


def test_one_series_of_a_folder_is_sent(client, tmp_path):
    for number in (4, 7):
        write_series(
            tmp_path / "study" / str(number), phantom(AFFINE, SHAPE, FAR) + number, AFFINE, SeriesNumber=number
        )
    with pytest.raises(ServiceError) as refused:
        client.upload(tmp_path / "study")
    assert refused.value.code == "several-series"
    scans = [client.upload(tmp_path / "study", series=series) for series in ("4", *refused.value.choices)]
    assert [scan.shape for scan in scans] == [SHAPE] * 3
    assert [scan.name for scan in scans] == ["series-4", "series-4", "series-7"]


def test_a_session_goes_on_from_its_file(client, ct, tmp_path):
    scan = client.upload(ct)
    session = client.open(scan)
    session.click((8, 7, 6), "liver")
    session.save(tmp_path / "work.ovsession")
    again = client.open(scan, tmp_path / "work.ovsession")
    assert np.array_equal(again.labels, session.labels)


def test_two_clients_with_one_secret_see_each_others_changes(server, ct):
    with Client(server.url, owner="a secret that two share") as one, Client(server.url, owner=one_secret()) as two:
        mine = one.open(one.upload(ct))
        yours = next(session for session in two.sessions() if session.id == mine.id)
        mine.segment(["liver"])
        yours.click((8, 7, 6), 5)
        assert {item.id for item in yours.objects} == {1, 5}
        mine.refresh()
        assert np.array_equal(mine.labels, yours.labels)


def one_secret() -> str:
    return "a secret that two share"


def test_another_owner_sees_nothing(server, client, ct):
    session = client.open(client.upload(ct))
    with Client(server.url) as stranger:
        assert stranger.scans() == []
        assert stranger.sessions() == []
        with pytest.raises(ServiceError) as caught:
            stranger._transport.json("GET", f"/api/v1/sessions/{session.id}")
        assert caught.value.status == 404


def test_refusals_are_errors_with_the_servers_words(client, ct, tmp_path):
    session = client.open(client.upload(ct))
    with pytest.raises(ServiceError, match="'liver'") as caught:
        session.segment(["lever"])
    assert caught.value.code == "class"
    with pytest.raises(ServiceError, match="outside the scan"):
        session.click((500, 0, 0), "liver")
    with pytest.raises(ServiceError, match="'liver'"):
        session.segment(["lever"], progress=lambda _: None)
    with pytest.raises(ScanError, match="cannot be read"):
        client.upload(tmp_path / "missing.nii.gz")
    with pytest.raises(OutputError, match="endings"):
        session.save(tmp_path / "out.exe")


def test_a_server_that_is_away_is_said_after_some_patience():
    with Client("http://127.0.0.1:1", patience=0.2) as client, pytest.raises(ServiceError, match="cannot be reached"):
        client.info()


def test_a_busy_server_is_asked_again(server, client, ct):
    """429 and 503 with Retry-After: the client waits as told and goes on."""
    service = server.app.state.service
    session = client.open(client.upload(ct))
    service.engine.draining = True
    server.loop.call_soon_threadsafe(server.loop.call_later, 1.0, setattr, service.engine, "draining", False)
    client._transport.patience = 30
    session.segment(["liver"])
    assert [item.name for item in session.objects] == ["liver"]
