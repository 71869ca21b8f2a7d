"""Scans in and out of the native API."""

import zipfile

import httpx
import nibabel as nib
import numpy as np
import pytest
from serving import AFFINE, SHAPE, ct_file, read_nifti


def test_an_uploaded_scan_comes_back_voxel_by_voxel(server, ct):
    info = server.upload(ct)
    assert info["name"] == "case one"
    assert info["shape"] == list(SHAPE)
    assert info["affine"] == AFFINE.tolist()
    assert info["axis_codes"] == "LPS"
    image = server.http.get(f"/api/v1/scans/{info['id']}/image")
    assert image.headers["content-type"] == "application/gzip"
    returned, original = read_nifti(image.content), nib.load(ct)
    assert np.array_equal(np.asarray(returned.dataobj), np.asarray(original.dataobj))
    assert returned.header["sform_code"] == original.header["sform_code"]


def test_the_image_is_not_sent_twice(server, ct):
    address = f"/api/v1/scans/{server.upload(ct)['id']}/image"
    tag = server.http.get(address).headers["etag"]
    again = server.http.get(address, headers={"If-None-Match": tag})
    assert again.status_code == 304
    assert again.content == b""


def test_a_scan_has_a_state_and_a_name_that_its_owner_changes(server, ct):
    info = server.upload(ct)
    address = f"/api/v1/scans/{info['id']}"
    assert info["state"] == "open"
    assert server.http.patch(address, json={"state": "review"}).json() == {**info, "state": "review"}
    assert server.http.patch(address, json={"name": "case 7"}).json()["state"] == "review"
    assert server.http.get(address).json() == {**info, "state": "review", "name": "case 7"}
    assert server.http.patch(address, json={"state": "lost"}).status_code == 422
    assert server.http.patch("/api/v1/scans/none", json={"state": "done"}).status_code == 404


def test_equal_scans_have_equal_digests_and_others_have_not(server, ct, tmp_path):
    first, second = server.upload(ct), server.upload(ct)
    assert first["sha256"] == second["sha256"]
    assert first["id"] != second["id"]
    assert server.upload(ct_file(tmp_path / "other.nii", seed=9))["sha256"] != first["sha256"]


@pytest.mark.parametrize("name", ["ct.nii", "ct.nrrd", "ct.mha", "without-ending", "wrong.bin"])
def test_formats_are_told_by_name_or_by_content(server, tmp_path, ct, name):
    path = tmp_path / name
    if name.endswith((".nrrd", ".mha")):
        sitk = pytest.importorskip("SimpleITK")
        sitk.WriteImage(sitk.ReadImage(str(ct)), str(path))
    elif name.endswith(".nii"):
        nib.save(nib.load(ct), path)
    else:
        path.write_bytes(ct.read_bytes())
    assert server.upload(path)["shape"] == list(SHAPE)


def test_a_zip_with_one_image_is_that_image(server, tmp_path, ct):
    path = tmp_path / "exported.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(ct, "study/ct.nii.gz")
        archive.writestr("study/readme.txt", "made by nobody")
    assert server.upload(path)["sha256"] == server.upload(ct)["sha256"]


def test_what_is_no_scan_gets_a_line_that_says_so(server, tmp_path):
    for name, content in {"text.nii.gz": b"hello", "empty.nii": b"", "odd.zip": b"PK\x03\x04 no"}.items():
        answer = server.http.post("/api/v1/scans", files={"file": (name, content)})
        assert answer.status_code == 422, answer.text
        assert "\n" not in answer.json()["detail"]
        assert str(server.settings.state) not in answer.text


def test_a_form_without_file_and_a_body_without_form(server):
    assert server.http.post("/api/v1/scans", files={"other": b"x"}).status_code == 422
    answer = server.http.post("/api/v1/scans", json={"file": "x"})
    assert answer.status_code == 415
    assert answer.json()["code"] == "media-type"


def test_warnings_about_what_does_not_look_like_ct(server, tmp_path):
    path = tmp_path / "picture.nii.gz"
    nib.save(nib.Nifti1Image(np.arange(20**3, dtype=np.uint8).reshape(20, 20, 20), AFFINE), path)
    assert [warning["code"] for warning in server.upload(path)["warnings"]] == ["values-8-bit"]


def test_a_scan_by_path(server):
    answer = server.http.post("/api/v1/scans/from-path", json={"path": "inside.nii.gz", "name": "mine"})
    assert answer.status_code == 201, answer.text
    assert answer.json()["name"] == "mine"


def test_a_deleted_scan_is_gone(server, ct):
    address = f"/api/v1/scans/{server.upload(ct)['id']}"
    assert server.http.delete(address).status_code == 204
    assert server.http.get(address).status_code == 404
    assert server.http.delete(address).status_code == 404


def test_scans_are_listed_for_their_owner(server, ct):
    with httpx.Client(base_url=server.url, headers={"X-OpenVISTA-Owner": "a secret of somebody"}) as mine:
        info = server.upload(ct, mine)
        assert [scan["id"] for scan in mine.get("/api/v1/scans").json()["scans"]] == [info["id"]]
    assert server.http.get("/api/v1/scans").json()["scans"] == []


def test_what_the_server_is(server):
    info = server.http.get("/api/v1/info").json()
    assert [model["name"] for model in info["models"]] == ["both", "automatic-only"]
    assert info["default_model"] == "both"
    assert info["features"]["paths"] is True
    assert info["features"]["urls"] is False
    assert info["limits"]["voxels"] == 300_000


def test_classes_are_listed_searched_and_cached(server):
    everything = server.http.get("/api/v1/classes")
    assert {item["id"] for item in everything.json()["classes"]} == {1, 5, 14, 121, 133}
    assert everything.json()["groups"] == [{"id": 2, "name": "kidney", "members": [14, 5]}]
    assert [c["name"] for c in server.http.get("/api/v1/classes?query=liv").json()["classes"]] == ["liver"]
    tag = everything.headers["etag"]
    assert server.http.get("/api/v1/classes", headers={"If-None-Match": tag}).status_code == 304
    assert server.http.get("/api/v1/classes?model=unknown").status_code == 422
