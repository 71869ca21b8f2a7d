"""Attacks, one by one: each is tried against a real server."""

import gzip
import io
import json
import os
import re
import shutil
import socket
import struct
import zipfile

import httpx
import nibabel as nib
import numpy as np
import pytest
from serving import AFFINE, ct_file, post_file, running

SECRET = "only-for-those-who-know"


# --- who may ask --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def locked(automatic_only, tmp_path_factory):
    """A server with a token."""
    with running(models=(str(automatic_only),), token=SECRET, state=tmp_path_factory.mktemp("locked")) as started:
        yield started


def test_without_the_token_nothing_is_told_but_life(locked):
    for path in ("/api/v1/info", "/api/v1/scans", "/openapi.json", "/metrics", "/v1/vista3d/info", "/nowhere"):
        answer = locked.http.get(path)
        assert answer.status_code == 401, path
        assert answer.json()["code"] == "token"
    assert locked.http.get("/v1/health/live").status_code == 200
    assert locked.http.get("/v1/health/ready").status_code == 200
    assert "token" in locked.http.get("/").text


@pytest.mark.parametrize("given", ["-", "wrong", SECRET[:-1], SECRET + "x", "é" * 10])
def test_a_wrong_token_is_no_token(locked, given):
    headers = {"Authorization": f"Bearer {given}".encode()}
    assert locked.http.get("/api/v1/info", headers=headers).status_code == 401
    assert locked.http.get("/", params={"token": given}).status_code == 401


def test_the_token_opens_as_header_and_as_cookie_from_the_printed_address(locked):
    assert locked.http.get("/api/v1/info", headers={"Authorization": f"Bearer {SECRET}"}).status_code == 200
    with httpx.Client(base_url=locked.url) as browser:
        welcome = browser.get("/", params={"token": SECRET})
        assert welcome.status_code == 303
        assert "HttpOnly" in welcome.headers["set-cookie"]
        assert "SameSite=strict" in welcome.headers["set-cookie"]
        assert browser.get("/api/v1/info").status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", ""])
def test_a_local_server_answers_under_its_own_names_only(server, host):
    """DNS rebinding: evil.example resolves to 127.0.0.1, and its page is then 'of the same origin'.

    The refusal is a problem with a code, as every other one; starlette's middleware for this answers plain text.
    """
    answer = server.http.get("/api/v1/info", headers={"Host": host})
    assert (answer.status_code, answer.json()["code"]) == (403, "host")


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1"])
def test_pages_of_other_origins_cannot_send(server, ct, origin):
    """A form on any web page can post to 127.0.0.1; browsers say where it came from."""
    answer = server.http.post("/api/v1/scans", headers={"Origin": origin}, files={"file": ct.read_bytes()})
    assert answer.status_code == 403
    assert answer.json()["code"] == "origin"


def test_our_own_page_can_send(server, ct):
    answer = server.http.post("/api/v1/scans", headers={"Origin": server.url}, files={"file": ct.read_bytes()})
    assert answer.status_code == 201


def test_cors_is_closed(server):
    headers = {"Origin": "https://evil.example", "Access-Control-Request-Method": "GET"}
    assert "access-control-allow-origin" not in server.http.get("/api/v1/info", headers=headers).headers
    assert "access-control-allow-origin" not in server.http.options("/api/v1/info", headers=headers).headers


def test_a_scan_of_one_owner_is_not_there_for_another(server, ct):
    with httpx.Client(base_url=server.url, headers={"X-OpenVISTA-Owner": "somebody-with-secrets"}) as mine:
        scan_id = server.upload(ct, mine)["id"]
        for headers in ({}, {"X-OpenVISTA-Owner": "another-with-secrets"}, {"X-OpenVISTA-Owner": ""}):
            for path in (f"/api/v1/scans/{scan_id}", f"/api/v1/scans/{scan_id}/image"):
                assert httpx.get(server.url + path, headers=headers).status_code == 404
            assert httpx.delete(f"{server.url}/api/v1/scans/{scan_id}", headers=headers).status_code == 404
        assert mine.get(f"/api/v1/scans/{scan_id}").status_code == 200


def test_ids_cannot_be_guessed_or_used_as_paths(server, ct):
    first, second = server.upload(ct)["id"], server.upload(ct)["id"]
    assert len(first) >= 22
    assert first[:4] != second[:4]
    for odd in ("..", "%2e%2e", "..%2f..%2fetc%2fpasswd", "%00", "x" * 5000):
        assert server.http.get(f"/api/v1/scans/{odd}/image").status_code in (404, 405)


# --- paths --------------------------------------------------------------------------------------------------------


@pytest.fixture
def outside(tmp_path, allowed):
    """A scan outside the allowed folder, with every way that might lead to it."""
    target = ct_file(tmp_path / "outside.nii.gz", seed=6)
    (allowed / "link.nii.gz").symlink_to(target)
    (allowed / "folder").mkdir()
    (allowed / "folder" / "slice.nii.gz").symlink_to(target)
    (allowed / "series").mkdir()
    (allowed / "series" / "1.dcm").touch()
    (allowed / "series" / "2.dcm").symlink_to(target)
    (allowed / "elsewhere").symlink_to(tmp_path)
    (allowed / "loop").symlink_to(allowed / "loop")
    os.mkfifo(allowed / "pipe.nii.gz")
    yield target
    for folder in ("folder", "series"):
        shutil.rmtree(allowed / folder)
    for name in ("link.nii.gz", "elsewhere", "loop", "pipe.nii.gz"):
        (allowed / name).unlink()


def test_paths_lead_nowhere_but_into_the_allowed_folders(server, allowed, outside):
    relative = os.path.relpath(outside, allowed)
    tries = [str(outside), relative, "link.nii.gz", "folder", "elsewhere/outside.nii.gz", "loop", "pipe.nii.gz"]
    tries += ["series", "series/1.dcm"]  # a slice is read with those beside it
    tries += ["/etc/passwd", "../" * 20 + "etc/passwd", "inside.nii.gz\0.txt", "~/x", ".", "missing.nii.gz"]
    answers = [server.http.post("/api/v1/scans/from-path", json={"path": path}) for path in tries]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.text for answer in answers}) == 1, "what is forbidden must look like what is not there"
    assert server.http.post("/api/v1/scans/from-path", json={"path": "inside.nii.gz"}).status_code == 201


def test_without_allowed_folders_there_are_no_paths(locked, ct):
    headers = {"Authorization": f"Bearer {SECRET}"}
    answer = locked.http.post("/api/v1/scans/from-path", json={"path": str(ct)}, headers=headers)
    assert answer.status_code == 403


def test_a_file_name_is_a_name_and_not_a_path(server, ct):
    answer = post_file(server, "../../../../tmp/evil\x01\n.nii.gz", ct.read_bytes())
    assert answer.status_code == 201
    assert "/" not in answer.json()["name"]
    assert answer.json()["name"].isprintable()


# --- sizes --------------------------------------------------------------------------------------------------------


def test_an_upload_that_says_it_is_too_large_is_refused_unread(server):
    with socket.create_connection(server.http.base_url.host and ("127.0.0.1", server.http.base_url.port)) as raw:
        raw.sendall(
            b"POST /api/v1/scans HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: multipart/form-data; boundary=x\r\n"
            b"Content-Length: 99999999999\r\n\r\n"
        )
        assert b" 413 " in raw.recv(1000)


def test_an_upload_that_does_not_say_how_large_it_is_is_counted(server):
    def endless():
        yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.nii"\r\n\r\n'
        for _ in range(64):
            yield bytes(1 << 20)

    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    answer = server.http.post("/api/v1/scans", content=endless(), headers=headers)
    assert answer.status_code == 413
    assert answer.json()["code"] == "too-large"


def test_whoever_takes_a_file_takes_one_of_more_than_a_megabyte(server):
    content = bytes(3 << 19)
    taken = []
    for path, operations in server.http.get("/openapi.json").json()["paths"].items():
        for method, operation in operations.items():
            kind = operation.get("requestBody", {}).get("content", {}).get("multipart/form-data", {}).get("schema", {})
            for field in ("file", "label"):
                if field in kind.get("properties", {}):
                    address = re.sub(r"{\w+}", "none", path)
                    answer = server.http.request(method, address, files={field: ("a.nii", content)})
                    assert answer.status_code != 413, f"{method} {path}: {answer.text}"
                    taken.append(path)
    assert "/api/v1/sessions/{session_id}/segmentation" in taken


def test_json_is_small(server):
    answer = server.http.post("/api/v1/scans/from-path", json={"path": "x" * (2 << 20)})
    assert answer.status_code == 413


def test_compressed_bodies_are_not_taken(server):
    bomb = gzip.compress(b'{"path": "' + b"x" * (1 << 24) + b'"}')
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    assert server.http.post("/api/v1/scans/from-path", content=bomb, headers=headers).status_code == 415


def test_a_form_with_too_many_fields_or_files(server):
    assert server.http.post("/api/v1/scans", files=[("file", ("a.dcm", b"x"))] * 5001).status_code in (400, 422)
    assert server.http.post("/api/v1/scans", files={"file": b"x"}, data={str(n): "" for n in range(99)}).is_client_error


# --- files that are not what they seem ------------------------------------------------------------------------------


def nifti_header(shape: tuple[int, int, int], dtype: type = np.int16) -> bytes:
    header = nib.Nifti1Header()
    header.set_data_dtype(dtype)
    header.set_data_shape(shape)
    header.set_sform(AFFINE, 1)
    header["vox_offset"], header["magic"] = 352, b"n+1"
    return header.binaryblock + bytes(4)


def test_a_gzip_bomb_is_refused_by_its_header(server):
    bomb = gzip.compress(nifti_header((2000, 1000, 1000), np.float64) + bytes(8 << 20))
    answer = post_file(server, "bomb.nii.gz", bomb)
    assert answer.status_code in (413, 422)
    assert "300000" in answer.json()["detail"]


def test_a_gzip_bomb_behind_a_small_header_is_not_unpacked(server):
    """A thousand times the scan's own bytes follow it; reading stops where the header says that the scan ends."""
    bomb = gzip.compress(nifti_header((20, 20, 20)) + bytes(16000) + bytes(64 << 20))
    answer = post_file(server, "bomb.nii.gz", bomb)
    assert answer.status_code in (201, 422)


def test_a_zip_bomb_is_stopped_while_it_grows(server):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("big.nii", bytes(48 << 20))
    answer = post_file(server, "bomb.zip", content.getvalue())
    assert answer.status_code == 413


def test_a_zip_that_lies_about_its_size(server):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("big.nii", bytes(48 << 20))
    honest, small = struct.pack("<I", 48 << 20), struct.pack("<I", 100)
    assert post_file(server, "bomb.zip", content.getvalue().replace(honest, small)).is_client_error


def test_a_zip_with_paths_links_and_passwords(server, ct, tmp_path):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        link = zipfile.ZipInfo("link.nii.gz")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr("../../../../../tmp/escaped.nii.gz", ct.read_bytes())
        archive.writestr("/tmp/absolute.txt", "x")
    answer = post_file(server, "tricks.zip", content.getvalue())
    assert answer.status_code == 422, "two images: which one is not said"
    assert not os.path.exists("/tmp/escaped.nii.gz")
    assert not os.path.exists("/tmp/absolute.txt")


def test_a_zip_in_a_zip_is_not_followed(server):
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("a.nii", b"x")
    outer = io.BytesIO()
    with zipfile.ZipFile(outer, "w") as archive:
        archive.writestr("inner.zip", inner.getvalue())
    assert post_file(server, "nested.zip", outer.getvalue()).status_code == 422


def test_an_nrrd_may_not_name_other_files(server):
    pytest.importorskip("SimpleITK")
    lines = ["NRRD0004", "type: unsigned char", "dimension: 3", "sizes: 10 10 10", "encoding: raw"]
    for where in ("/etc/passwd", "../../record.json", "LIST"):
        content = "\n".join([*lines, f"data file: {where}", "", ""]).encode()
        for ending in (".nrrd", ".nhdr"):
            assert post_file(server, f"detached{ending}", content).status_code == 422


def test_a_reader_that_needs_too_much_memory_is_stopped(automatic_only, tmp_path, ct):
    """The claim fits the number of voxels but not the memory; without a limit numpy would simply take it."""
    with running(models=(str(automatic_only),), state=tmp_path / "state", voxels=1 << 30, parse_memory_mb=700) as small:
        honest = gzip.compress(nifti_header((1000, 1000, 1000), np.uint8) + bytes(64 << 20))
        assert post_file(small, "large.nii.gz", honest).is_client_error
        assert small.upload(ct)["shape"], "and the server lives on"


@pytest.mark.parametrize("spacing", [1000.0, 29.0])
def test_a_voxel_size_that_would_fill_the_memory_is_refused_at_upload(server, tmp_path, spacing):
    """A megabyte of voxels of 1000 mm each is a model grid of hundreds of GB."""
    affine = np.diag([spacing, spacing, spacing, 1.0])
    answer = post_file(server, "wide.nii.gz", ct_file(tmp_path / "wide.nii.gz", 1, (64, 64, 64), affine).read_bytes())
    assert answer.status_code == 422, answer.text
    assert "voxel size" in answer.json()["detail"]
    assert server.http.get("/v1/health/ready").status_code == 200


def test_nothing_of_an_upload_stays_when_it_is_refused(server):
    post_file(server, "bad.nii.gz", b"bad")
    assert list((server.settings.state / "incoming").iterdir()) == []


def test_the_log_holds_no_names(server, ct, caplog, tmp_path):
    caplog.set_level("INFO")
    post_file(server, "Mustermann Erika 1950.nii.gz", ct.read_bytes())
    post_file(server, "Mustermann Erika 1950.nii.gz", b"broken")
    server.http.post("/api/v1/scans/from-path", json={"path": "Mustermann.nii.gz"})
    server.http.get("/infer/Mustermann?image=Mustermann")
    # uvicorn's own access log is off in `serve.run`; the recorder of the tests hears it all the same
    others = ("httpx", "uvicorn.access")
    ours = "\n".join(record.getMessage() for record in caplog.records if not record.name.startswith(others))
    assert "/api/v1/scans" in ours
    assert "Mustermann" not in ours


FAR = 1.7e308


@pytest.mark.parametrize(
    ("address", "prompt"),
    [
        ("scribbles", {"points": [[-FAR, 0, 0], [FAR, 0, 0]]}),
        ("scribbles", {"points": [[0, 0, 0], [60_000, 0, 0]] * 2000}),
        ("lassos", {"axis": 0, "slice": 10**400, "points": [[1, 1], [5, 1], [3, 6]]}),
        ("boxes", {"box": [[0, 10**400], [0, 5], [0, 5]]}),
        ("clicks", {"clicks": [{"voxel": [FAR, FAR, -FAR]}]}),
        ("clicks", {"clicks": [{"voxel": [1, 2, float("nan")]}]}),
    ],
)
def test_numbers_that_no_hand_draws_are_refused_at_once(server, ct, address, prompt):
    scan = server.upload(ct)["id"]
    session = server.http.post("/api/v1/sessions", json={"scan_id": scan}).json()["id"]
    body = json.dumps({"object": 5, **prompt})
    headers = {"content-type": "application/json"}
    answer = server.http.post(f"/api/v1/sessions/{session}/{address}", content=body, headers=headers)
    assert answer.status_code == 422, answer.text
