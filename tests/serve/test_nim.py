"""The NIM interface, with the requests that NIM's clients send."""

import io
import json
import zipfile

import httpx
import numpy as np
import pytest
from serving import SHAPE, ct_file, read_nifti

from openvista.io import read_scan

INFERENCE = "/v1/vista3d/inference"


@pytest.fixture(scope="module")
def image(server, ct) -> str:
    with ct.open("rb") as file:
        answer = server.http.post("/v1/files", files={"file": (ct.name, file)})
    assert answer.status_code == 201, answer.text
    return answer.json()["image"]


@pytest.fixture(scope="module")
def direct(server, ct):
    """The engine itself, on the same scan."""
    model = server.app.state.service.engine.model("both")
    return lambda: model.open(read_scan(ct))


def ask(server, **content) -> httpx.Response:
    return server.http.post(INFERENCE, json=content)


def label_map(answer: httpx.Response) -> np.ndarray:
    """What clients do: look at the first bytes, unzip, read the only member."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/zip"
    assert answer.content[:2] == b"PK"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        (member,) = archive.namelist()
        assert member.endswith(".nii.gz")
        return np.asarray(read_nifti(archive.read(member)).dataobj)


def test_health_as_nims_clients_poll_it(server):
    assert server.http.get("/v1/health/ready").json() == {"status": "ready"}
    assert server.http.get("/v1/health/live").status_code == 200


def test_info_license_and_metadata(server):
    assert server.http.get("/v1/vista3d/info").json()["labels"]["1"] == "liver"
    assert "Apache-2.0" in server.http.get("/v1/license").text
    assert server.http.get("/v1/metadata").json()["modelInfo"][0]["shortName"] == "both"


def test_class_names_and_ids(server, image, direct):
    session = direct()
    session.segment(["liver", 121])
    expected = session.segmentation().labels
    assert np.array_equal(label_map(ask(server, image=image, prompts={"classes": ["liver", 121]})), expected)


@pytest.mark.parametrize("prompts", [None, {}, {"classes": None}, {"classes": []}])
def test_no_prompts_mean_everything(server, image, direct, prompts):
    session = direct()
    session.segment()
    content = {"image": image} if prompts is None else {"image": image, "prompts": prompts}
    assert np.array_equal(label_map(ask(server, **content)), session.segmentation().labels)


def test_points_alone_give_the_value_of_their_class(server, image, direct):
    from openvista.prompts import Click

    session = direct()
    session.clicks([Click((8, 7, 6)), Click((3, 3, 3))], 5, automatic=False)
    expected = session.segmentation().labels
    for key in ("right kidney", "5"):
        found = label_map(ask(server, image=image, prompts={"points": {key: [[8, 7, 6], [3, 3, 3]]}}))
        assert set(np.unique(found)) <= {0, 5}
        assert np.array_equal(found, expected)


def test_points_refine_the_class_that_is_asked_for_with_them(server, image, direct):
    from openvista.prompts import Click

    session = direct()
    session.segment(["liver", "brainstem"])
    session.clicks([Click((8, 7, 6), False)], "liver")
    prompts = {"classes": ["liver", "brainstem"], "points": {"liver": {"negative": [[8, 7, 6]]}}}
    assert np.array_equal(label_map(ask(server, image=image, prompts=prompts)), session.segmentation().labels)
    prompts["points"], prompts["point_labels"] = {"liver": [[8, 7, 6]]}, {"liver": [0]}
    assert np.array_equal(label_map(ask(server, image=image, prompts=prompts)), session.segmentation().labels)


def test_a_request_leaves_nothing_behind_for_the_next(server, image):
    first = label_map(ask(server, image=image, prompts={"classes": ["liver"]}))
    label_map(ask(server, image=image, prompts={"points": {"liver": [[8, 7, 6]]}}))
    assert np.array_equal(label_map(ask(server, image=image, prompts={"classes": ["liver"]})), first)


@pytest.mark.parametrize("extension", [".nii.gz", ".nii", ".nrrd", ".seg.nrrd"])
def test_output_extension_and_raw(server, image, extension):
    if "nrrd" in extension:
        pytest.importorskip("SimpleITK")
    output = {"extension": extension, "dtype": "uint8", "sample": "linear"}
    with zipfile.ZipFile(io.BytesIO(ask(server, image=image, output=output).content)) as archive:
        assert archive.namelist()[0].endswith(extension)
        packed = archive.read(archive.namelist()[0])
    raw = ask(server, image=image, output=output | {"raw": True})
    assert raw.content == packed
    assert raw.content[:2] == b"\x1f\x8b" or b"NRRD" in raw.content[:4] or raw.content[344:347] == b"n+1"


def test_a_path_under_an_allowed_folder(server):
    assert label_map(ask(server, image="inside.nii.gz", prompts={"classes": ["liver"]})).shape == SHAPE
    before = len(server.app.state.service.scans)
    ask(server, image="inside.nii.gz", prompts={"classes": ["liver"]})
    assert len(server.app.state.service.scans) == before, "what was only passing is not kept"


def test_answers_say_what_was_found_and_what_was_ignored(server, image):
    answer = ask(
        server,
        image=image,
        prompts={"labels": ["liver"]},
        local_working_dir="/results",
        color="red",
        output={"dtype": "int32"},
    )
    assert set(np.unique(label_map(answer))) <= {0, 1}
    warning = answer.headers["x-openvista-warning"]
    assert "labels was taken as prompts.classes" in warning
    assert "local_working_dir was ignored" in warning
    assert "output.dtype was ignored: ids are stored as uint8" in warning
    assert "color" in warning
    assert float(answer.headers["x-openvista-seconds"]) >= 0


@pytest.mark.parametrize(
    ("content", "status", "text"),
    [
        ({}, 422, "image"),
        ({"image": "missing.nii.gz"}, 404, "no such file"),
        ({"image": "http://localhost:8000/ct.nii.gz"}, 403, "fetches nothing"),
        ({"image": "../../etc/passwd"}, 404, "no such file"),
        ({"image": "KEPT", "prompts": {"classes": ["lever"]}}, 422, "'liver'"),
        ({"image": "KEPT", "prompts": {"clases": ["liver"]}}, 422, "clases"),
        ({"image": "KEPT", "prompts": {"points": {"nobody": [[1, 1, 1]]}}}, 422, "no object is called"),
        ({"image": "KEPT", "prompts": {"points": {"liver": [[1, 1]]}}}, 422, "points"),
        ({"image": "KEPT", "prompts": {"points": {"liver": [[900, 1, 1]]}}}, 422, "outside the scan"),
        ({"image": "KEPT", "prompts": {"points": {"liver": []}}}, 422, "no point"),
        ({"image": "KEPT", "prompts": {"points": {"liver": [[1, 1, 1]]}, "point_labels": {"liver": [1, 0]}}}, 422, "2"),
        ({"image": "KEPT", "output": {"extension": ".exe"}}, 422, "extension"),
    ],
)
def test_what_is_wrong_is_said(server, image, content, status, text):
    content = json.loads(json.dumps(content).replace("KEPT", image))
    answer = server.http.post(INFERENCE, json=content)
    assert answer.status_code == status, answer.text
    assert text in answer.json()["detail"]


def test_a_file_of_somebody_else_is_not_there(server, ct):
    mine = {"X-OpenVISTA-Owner": "me, and nobody else"}
    with ct.open("rb") as file:
        image = server.http.post("/v1/files", files={"file": (ct.name, file)}, headers=mine).json()["image"]
    assert ask(server, image=image, prompts={"classes": ["liver"]}).status_code == 404
    answer = server.http.post(INFERENCE, json={"image": image, "prompts": {"classes": ["liver"]}}, headers=mine)
    assert answer.status_code == 200


def test_a_client_that_leaves_cancels_its_question(server, tmp_path):
    """Nobody waits for the answer, so nothing is computed for it: the job ends as cancelled, unseen in the queue."""
    import threading
    import time

    path = ct_file(tmp_path / "other.nii.gz", seed=4)
    with path.open("rb") as file:
        image = server.http.post("/v1/files", files={"file": (path.name, file)}).json()["image"]
    done = threading.Event()
    lane = server.app.state.service.engine.lanes[0]
    lane._executor.submit(done.wait, 60)
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(server.url + INFERENCE, json={"image": image}, timeout=0.5)
    time.sleep(1.5)
    done.set()
    for _ in range(200):
        if not lane.pending:
            break
        time.sleep(0.05)
    assert 'openvista_jobs_total{kind="nim",state="cancelled"} 1.0' in server.http.get("/metrics").text
