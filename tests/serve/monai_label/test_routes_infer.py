"""The MONAI Label interface: the bytes of stock clients, and the stock Python client itself where it is installed."""

import warnings
from pathlib import Path
from urllib.parse import quote_plus

import nibabel as nib
import numpy as np
import pytest
from label_clients import form_bytes, infer, send, split, voxels
from serving import SHAPE, running

from openvista.io import read_scan, read_segmentation
from openvista.prompts import Click


@pytest.fixture(scope="module")
def direct(label_server, store_folder):
    """The engine itself, on the first image."""
    model = label_server.app.state.service.engine.model(None)
    return lambda: model.open(read_scan(store_folder / "case 1.nii.gz"))


# --- info ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["/info/", "/info"])
def test_info_is_what_each_client_looks_for(label_server, address):
    info = label_server.http.get(address).json()
    assert "config" not in info, "Slicer would say that the server is too old"
    types = {name: model["type"] for name, model in info["models"].items()}
    assert types == {"vista3d": "vista3d", "vista3d_auto": "segmentation", "vista3d_click": "deepgrow"}
    assert all(model["dimension"] == 3 for model in info["models"].values())
    assert info["models"]["vista3d"]["labels"]["liver"] == 1
    assert info["labels"][0] == "liver"
    assert info["trainers"] == {}
    assert set(info["strategies"]) == {"first", "random"}
    assert info["datastore"]["total"] == 2


def test_a_model_without_point_branch_offers_no_clicks(automatic_only, tmp_path):
    with running(models=(str(automatic_only),), state=tmp_path / "state") as server:
        assert set(server.http.get("/info/").json()["models"]) == {"vista3d", "vista3d_auto"}


# --- Slicer -------------------------------------------------------------------------------------------------------


def test_slicers_automatic_segmentation(label_server, direct):
    params = {"result_extension": ".nii.gz", "result_dtype": "uint8", "classes": "liver, spinal cord"}
    told, label = infer(label_server, "vista3d_auto", "case 1", params)
    session = direct()
    session.segment(["liver", 121])
    assert np.array_equal(voxels(label), session.segmentation().labels)
    present = [value for value in np.unique(voxels(label)).tolist() if value]
    assert list(told["label_names"].values()) == present, "Slicer names segments in ascending order of values found"
    assert "total" in told["latencies"]


def test_slicers_clicks_on_a_segment(label_server, direct):
    params = {"result_extension": ".nii.gz", "label": "liver", "dimension": 3, "slice": 0}
    params |= {"foreground": [[8, 7, 6], [3, 3, 3]], "background": [[12, 12, 9]]}
    told, label = infer(label_server, "vista3d_click", "case 1", params)
    session = direct()
    session.clicks([Click((8, 7, 6)), Click((3, 3, 3)), Click((12, 12, 9), False)], "liver", automatic=False)
    assert told["label_names"] == {"liver": 1}
    assert np.array_equal(voxels(label), (session.segmentation().labels > 0).astype(np.uint8))
    again = {"result_extension": ".nii.gz", "label": "my lesion", "foreground": [[8, 7, 6]], "background": []}
    told, label = infer(label_server, "vista3d_click", "case 1", again)
    session = direct()
    session.clicks([Click((8, 7, 6))], session.new_object("my lesion"))
    assert told["label_names"] == {"my lesion": 1}
    assert np.array_equal(voxels(label) > 0, session.segmentation().labels > 0)


def test_slicers_session_with_an_uploaded_volume(label_server, store_folder):
    path = store_folder / "case 1.nii.gz"
    with path.open("rb") as file:
        answer = label_server.http.put("/session/", data={"client_id": "user-xyz"}, files={"files": (path.name, file)})
    assert answer.status_code == 200, answer.text
    session_id = answer.json()["session_id"]
    assert answer.json()["session_info"]["expiry"] == 3600
    _, label = infer(label_server, "vista3d_auto", "", {"classes": "liver"}, session_id=session_id)
    from_store = infer(label_server, "vista3d_auto", "case 1", {"classes": "liver"})[1]
    assert np.array_equal(voxels(label), voxels(from_store))
    address = f"/session/{quote_plus(session_id)}"
    assert label_server.http.get(address).json()["name"] == session_id
    image = label_server.http.get(address, params={"image": True})
    assert np.array_equal(voxels(image.content), np.asarray(nib.load(path).dataobj))
    assert label_server.http.delete(address).status_code == 200
    assert label_server.http.get(address).status_code == 404


def test_a_session_lives_a_day_at_most(label_server, ct):
    for expiry in (10**6, 10**30):
        form = {"files": (ct.name, ct.read_bytes())}
        answer = label_server.http.put("/session/", params={"expiry": expiry}, files=form)
        assert answer.json()["session_info"]["expiry"] == 24 * 3600
        label_server.http.delete(f"/session/{answer.json()['session_id']}")


def test_a_file_in_the_request_itself(label_server, store_folder):
    body, media = form_bytes({"params": '{"classes": "liver"}'}, {"file": store_folder / "case 1.nii.gz"})
    before = len(label_server.app.state.service.scans)
    answer = label_server.http.post("/infer/vista3d_auto?image=", content=body, headers={"content-type": media})
    assert voxels(split(answer)[1]).shape == SHAPE
    assert len(label_server.app.state.service.scans) == before


# --- answers ------------------------------------------------------------------------------------------------------


def test_json_only(label_server):
    body, media = form_bytes({"params": '{"label_prompt": [1]}'}, {})
    answer = label_server.http.post(
        "/infer/vista3d", params={"image": "case 1", "output": "json"}, content=body, headers={"content-type": media}
    )
    assert "label_names" in answer.json()


@pytest.mark.parametrize(
    ("address", "params", "status", "text"),
    [
        ("/infer/unknown?image=case+1", {}, 404, "vista3d_auto"),
        ("/infer/vista3d", {}, 422, "session_id"),
        ("/infer/vista3d?image=missing", {}, 404, "no such image"),
        ("/infer/vista3d?session_id=missing", {}, 404, "no such scan"),
        ("/infer/vista3d?image=case+1", {"label_prompt": ["lever"]}, 422, "'liver'"),
        ("/infer/vista3d?image=case+1", {"points": [[1, 2]]}, 422, "points"),
        ("/infer/vista3d?image=case+1", {"points": [[1, 2, 3]], "point_labels": [1, 1]}, 422, "point_labels"),
        ("/infer/vista3d?image=case+1", {"points": [[1, 2, 999]], "label_prompt": 1}, 422, "outside"),
        ("/infer/vista3d_click?image=case+1", {"label": "liver"}, 422, "foreground"),
        ("/infer/vista3d?image=case+1", {"result_extension": ".exe"}, 422, "result_extension"),
        ("/infer/vista3d?image=case+1&output=dicom_seg", {"label_prompt": [1]}, 422, "DICOM"),
    ],
)
def test_what_is_wrong_is_said(label_server, address, params, status, text):
    answer = send(label_server, "POST", address, params)
    assert answer.status_code == status, answer.text
    assert text in answer.json()["detail"]


def test_params_that_are_no_object(label_server):
    for params in ("[1]", "{", "null", '"x"', "[" * 5000):
        body, media = form_bytes({"params": params}, {})
        answer = label_server.http.post("/infer/vista3d?image=case+1", content=body, headers={"content-type": media})
        assert answer.status_code == 422, params[:10]


# --- training and log-in ------------------------------------------------------------------------------------------


def test_without_training_clients_hear_404_and_403(label_server):
    assert label_server.http.get("/train/").status_code == 404
    assert label_server.http.get("/train/?check_if_running=true").status_code == 404
    assert label_server.http.delete("/train/").status_code == 404
    assert label_server.http.post("/train/vista3d", json={}).status_code == 403


def test_slicers_log_in_takes_the_token_as_password(automatic_only, tmp_path):
    with running(models=(str(automatic_only),), token="a long secret", state=tmp_path / "state") as server:
        assert server.http.get("/auth/").json()["enabled"] is True
        assert server.http.get("/info/").status_code == 401
        wrong = server.http.post("/auth/token", data={"username": "u", "password": "guess"})
        assert wrong.status_code == 401
        token = server.http.post("/auth/token", data={"username": "u", "password": "a long secret"}).json()
        server.http.headers["Authorization"] = f"{token['token_type']} {token['access_token']}"
        assert server.http.get("/info/").status_code == 200
        assert server.http.get("/auth/token/valid").status_code == 200


def test_list_session_infer_and_save_in_the_stock_clients_bytes(label_server, store_folder, tmp_path):
    """What the stock client below sends, for machines that do not have it."""
    http = label_server.http
    assert "case 1" in http.get("/datastore/?output=all").json()["objects"]
    path = store_folder / "case 1.nii.gz"
    with path.open("rb") as file:  # this one request it writes with another library
        created = http.put("/session/?", data={"client_id": "user-xyz"}, files=[("files", (path.name, file))]).json()
    params = {"label": "liver", "foreground": [[8, 7, 6]], "background": [], "result_extension": ".nii.gz"}
    told, label = infer(label_server, "vista3d_click", "", params, session_id=created["session_id"])
    assert told["label_names"] == {"liver": 1}
    drawn = tmp_path / "label.nii.gz"
    drawn.write_bytes(label)
    note = {"label_info": [{"name": "liver", "idx": 1}], "client_id": "user-xyz"}
    saved = send(label_server, "PUT", "/datastore/label?image=case+1&tag=recorded", note, {"label": drawn})
    assert saved.json() == {"image": "case 1", "label": "case 1"}
    assert http.get("/datastore/label?label=case+1&tag=recorded").content == label
    assert http.delete(f"/session/{quote_plus(created['session_id'])}").status_code == 200
    http.request("DELETE", "/datastore/label?id=case+1&tag=recorded")


# --- the stock client itself --------------------------------------------------------------------------------------


def test_the_stock_python_client(label_server, store_folder, tmp_path):
    """List, session, infer with clicks, save the label. The client needs Python 3.12 at most: it imports cgi."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        client_module = pytest.importorskip("monailabel.client")
        client = client_module.MONAILabelClient(label_server.url, str(tmp_path), "user-xyz")
        assert not client.auth_enabled()
        assert client.info()["models"]["vista3d"]["type"] == "vista3d"
        assert "case 1" in client.datastore()["objects"]
        session = client.create_session(str(store_folder / "case 1.nii.gz"))
        assert client.get_session(session["session_id"])["name"] == session["session_id"]
        params = {"label": "liver", "foreground": [[8, 7, 6]], "background": [], "result_extension": ".nii.gz"}
        result, told = client.infer("vista3d_click", "", params, session_id=session["session_id"])
        assert told["label_names"] == {"liver": 1}
        assert read_segmentation(result).names == {1: "liver"}
        client.remove_session(session["session_id"])
        saved = client.save_label("case 1", result, "final", {"label_info": [{"name": "liver", "idx": 1}]})
        assert saved["label"] == "case 1"
        downloaded = client.download_label("case 1", "final")
        assert Path(downloaded).read_bytes() == Path(result).read_bytes()
        sample = client.next_sample("first", {})
        assert sample["id"] == "1.2.840.113619"
        assert not client.train_status(check_if_running=True)
        uploaded = client.upload_image(str(store_folder / "case 1.nii.gz"), "another")
        assert uploaded["image"] == "another"
        result, _ = client.infer("vista3d_auto", "another", {"classes": "liver", "result_extension": ".nii.gz"})
        assert read_segmentation(result).grid.shape == SHAPE
    label_server.http.request("DELETE", "/datastore/?id=another")
    label_server.http.request("DELETE", "/datastore/label?id=case+1&tag=final")
