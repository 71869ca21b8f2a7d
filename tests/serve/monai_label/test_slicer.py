"""3D Slicer's module, request by request, on a server without ``--datastore``: its own volume, and the next sample.

The order and the bytes are those of ``MONAILabel.py`` and ``MONAILabelLib/client.py`` of the module.
"""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote_plus

import httpx
import nibabel as nib
import numpy as np
import pytest
from label_clients import send, split, voxels
from serving import SHAPE, Running, ct_file, running

VOLUME = "3: CT Chest 1.25 w/o contrast 70%"
"""What Slicer calls a series: its number and its description."""
SECRET = "a long secret"


@pytest.fixture(scope="module")
def plain_server(two_branches, tmp_path_factory) -> Iterator[Running]:
    state = tmp_path_factory.mktemp("slicer")
    with running(models=(str(two_branches),), precision="float32", state=state, voxels=300_000, scans=4) as server:
        yield server


def upload_session(server: Running, volume: Path) -> str:
    """This one request the module writes with another library."""
    with volume.open("rb") as file:
        answer = server.http.put("/session/", data={"client_id": "user-xyz"}, files=[("files", (volume.name, file))])
    assert answer.status_code == 200, answer.text
    return answer.json()["session_id"]


def submit_label(server: Running, volume: Path, image_id: str, label: Path) -> httpx.Response:
    """*Submit label* of a volume that is not the server's: the volume goes first, under its own name."""
    added = send(
        server, "PUT", f"/datastore/?image={quote_plus(image_id)}", {"client_id": "user-xyz"}, {"file": volume}
    )
    if added.status_code != 200:
        return added
    assert added.json() == {"image": image_id}
    params = {"label_info": [{"name": "liver", "idx": 1}], "client_id": "user-xyz"}
    return send(server, "PUT", f"/datastore/label?image={quote_plus(image_id)}", params, {"label": label})


def drawn_label(path: Path) -> Path:
    labels = np.zeros(SHAPE, np.uint8)
    labels[3:6, 4:7, 5:8] = 1
    nib.save(nib.Nifti1Image(labels, np.eye(4)), path)
    return path


def test_a_volume_of_the_users_own(plain_server, tmp_path):
    """Connect, load a volume, segment it, submit its label; then correct the label, and submit it again."""
    http = plain_server.http
    assert http.get("/auth/").json()["enabled"] is False
    assert http.get("/info/").json()["datastore"]["total"] == 0
    volume = ct_file(tmp_path / "tmp7x2k.nii.gz")
    session = upload_session(plain_server, volume)
    assert http.get(f"/session/{quote_plus(session)}").status_code == 200
    address = f"/infer/vista3d_auto?image={quote_plus(VOLUME)}&session_id={session}"
    params = {"classes": "liver", "result_extension": ".nii.gz", "result_dtype": "uint8", "client_id": "user-xyz"}
    answer = send(plain_server, "POST", address, params)
    assert answer.status_code == 200, answer.text
    assert voxels(split(answer)[1]).shape == SHAPE
    label = drawn_label(tmp_path / "label.nii.gz")
    for _ in range(2):
        saved = submit_label(plain_server, volume, VOLUME, label)
        assert saved.json() == {"image": VOLUME, "label": VOLUME}
    assert http.get("/info/").json()["datastore"]["completed"] == 1
    kept = http.get(f"/datastore/label?label={quote_plus(VOLUME)}&tag=final")
    assert kept.content == label.read_bytes()
    assert list(http.get("/datastore/?output=all").json()["objects"]) == [VOLUME]
    assert http.post("/activelearning/random", json={"client_id": "user-xyz"}).json() == {}


def test_another_volume_of_the_same_name_is_refused(plain_server, tmp_path):
    """The original replaces the first patient's volume, and the label then belongs to nobody."""
    first, second = ct_file(tmp_path / "a.nii.gz", seed=1), ct_file(tmp_path / "b.nii.gz", seed=2)
    label = drawn_label(tmp_path / "label.nii.gz")
    assert submit_label(plain_server, first, "2: Abdomen", label).status_code == 200
    refused = submit_label(plain_server, second, "2: Abdomen", label)
    assert refused.status_code == 409
    assert "name" in refused.json()["detail"]
    plain_server.http.request("DELETE", "/datastore/?id=2%3A+Abdomen")


def test_volumes_that_are_not_deleted_have_a_limit(plain_server, tmp_path):
    label = drawn_label(tmp_path / "label.nii.gz")
    names = [f"{number}: Head" for number in range(6)]
    answers = [
        submit_label(plain_server, ct_file(tmp_path / f"{number}.nii.gz", seed=number), name, label)
        for number, name in enumerate(names)
    ]
    assert answers[0].status_code == 200
    assert answers[-1].status_code == 429
    assert "--datastore" in answers[-1].json()["detail"]
    for name in names:
        plain_server.http.request("DELETE", f"/datastore/?id={quote_plus(name)}")


def test_names_stay_in_the_datastore(plain_server, tmp_path):
    label, volume = drawn_label(tmp_path / "label.nii.gz"), ct_file(tmp_path / "volume.nii.gz")
    for name in ("a/b", "a\\b", "c:d", "CT; rm *", 'x"y', "肺 CT", "50%41"):
        assert submit_label(plain_server, volume, name, label).status_code == 200, name
        assert plain_server.http.get("/datastore/image", params={"image": name}).content == volume.read_bytes()
        folder = plain_server.settings.state / "datastore"
        assert {path.parent for path in folder.rglob("*.nii.gz")} == {folder, folder / "labels" / "final"}
        assert plain_server.http.request("DELETE", f"/datastore/?id={quote_plus(name)}").status_code == 200, name


def test_the_next_sample_of_a_server_with_a_token(automatic_only, tmp_path):
    """The module asks for it with the token, and fetches it with another library, which does not know the token."""
    folder = tmp_path / "team"
    folder.mkdir()
    paths = [ct_file(folder / f"case {number}.nii.gz", seed=number) for number in (1, 2)]
    with running(models=(str(automatic_only),), token=SECRET, state=tmp_path / "state", datastore=folder) as server:
        login = server.http.post("/auth/token", data={"username": "user-xyz", "password": SECRET}).json()
        server.http.headers["Authorization"] = f"bearer {login['access_token']}"
        sample = server.http.post("/activelearning/first", json={"client_id": "user-xyz"}).json()
        assert sample["name"] == "case 1.nii.gz"
        with httpx.Client(base_url=server.url) as stranger:
            fetched = stranger.get(f"/datastore/image?image={quote_plus(sample['id'])}")
            assert fetched.content == paths[0].read_bytes()
            ticket = sample["id"].removeprefix("case 1")
            others = ["case 1", "case 2", f"case 2{ticket}", "case 1~" + 40 * "0", f"case 1{ticket}{ticket}"]
            for image in others:
                assert stranger.get("/datastore/image", params={"image": image}).status_code == 401, image
            for method, path in (("PUT", "/datastore/image"), ("GET", "/datastore/label"), ("GET", "/datastore/")):
                assert stranger.request(method, path, params={"image": sample["id"]}).status_code == 401
        label = drawn_label(tmp_path / "label.nii.gz")
        address = f"/datastore/label?image={quote_plus(sample['id'])}"
        assert send(server, "PUT", address, {"label_info": []}, {"label": label}).status_code == 200
        assert (folder / "labels" / "final" / "case 1.nii.gz").read_bytes() == label.read_bytes()
        assert server.http.post("/activelearning/first", json={}).json()["name"] == "case 2.nii.gz"
