"""Users and connections that would keep others out, and a proxy in front: each is tried against a real server."""

import io
import select
import socket
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from serving import post_file, running

from openvista.errors import InputError
from openvista.serve.run import public_address_of, with_token
from openvista.serve.settings import make_settings

SECRET = "only-for-those-who-know"


# --- connections that keep others out -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def strict(automatic_only, tmp_path_factory):
    """A server with little patience, for others, with a token."""
    choices = {"header_seconds": 1.0, "body_seconds": 1.5, "peer_connections": 20, "wrong_tokens": 5, "scans": 4}
    state = tmp_path_factory.mktemp("strict")
    with running(models=(str(automatic_only),), state=state, token=SECRET, owner_scans=2, **choices) as started:
        started.http.headers["Authorization"] = f"Bearer {SECRET}"
        yield started


def connected(server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.http.base_url.port), timeout=20)


def read_all(raw: socket.socket) -> bytes:
    content = b""
    while part := raw.recv(4096):
        content += part
    return content


@pytest.mark.parametrize(
    "first", [b"", b"GET /api/v1/info HT", b"GET /v1/health/live HTTP/1.1\r\nHost: 127.0.0.1\r\nX: "]
)
def test_a_header_that_does_not_come_ends_the_connection(strict, first):
    with connected(strict) as raw:
        raw.sendall(first)
        assert b" 408 " in read_all(raw)


def test_a_second_header_that_does_not_come_ends_the_connection_as_well(strict):
    whole = b"GET /v1/health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    with connected(strict) as raw:
        raw.sendall(whole)
        assert b" 200 " in raw.recv(4096)
        raw.sendall(whole[:20])
        assert b" 408 " in read_all(raw)


def test_a_body_that_drips_ends_the_connection(strict):
    with connected(strict) as raw:
        raw.sendall(
            b"POST /api/v1/scans HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer " + SECRET.encode() + b"\r\n"
            b"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 100000\r\n\r\n"
        )
        answer = b""
        for _ in range(40):
            try:
                raw.sendall(b"-")
                raw.settimeout(0.1)
                answer += raw.recv(4096)
            except TimeoutError:
                continue
            except OSError:
                break
            if b" 408 " in answer:
                break
        assert b" 408 " in answer


def test_a_flood_from_one_address_is_turned_away_and_goes_by(strict):
    flood = [connected(strict) for _ in range(60)]
    try:
        busy = [raw for raw in flood if select.select([raw], [], [], 0.05)[0]]
        assert len(busy) >= 40
        assert b" 503 " in read_all(busy[-1])
    finally:
        for raw in flood:
            raw.close()
    assert strict.http.get("/api/v1/info").status_code == 200, "and the door is open again"


def test_wrong_tokens_from_one_address_have_to_wait(automatic_only, tmp_path):
    """Whoever guesses learns nothing for a while, not even of a right guess."""
    with running(models=(str(automatic_only),), state=tmp_path, token=SECRET, wrong_tokens=5) as server:
        for _ in range(5):
            assert server.http.get("/api/v1/info", headers={"Authorization": "Bearer wrong-one"}).status_code == 401
        right = {"Authorization": f"Bearer {SECRET}", "X-Forwarded-For": "203.0.113.9"}
        held = server.http.get("/api/v1/info", headers=right)
        assert (held.status_code, held.json()["code"]) == (429, "wrong-tokens"), "a header changes nobody's address"
        assert 0 < int(held.headers["retry-after"]) <= 60


def test_one_user_cannot_fill_the_server_for_all(strict, ct):
    mine, yours = {"X-OpenVISTA-Owner": "somebody-with-secrets"}, {"X-OpenVISTA-Owner": "another-with-secrets"}
    content = ct.read_bytes()

    def send(headers):
        return strict.http.post("/api/v1/scans", headers=headers, files={"file": ("ct.nii.gz", content)})

    assert [send(mine).status_code for _ in range(3)] == [201, 201, 429]
    assert send(yours).status_code == 201


@pytest.mark.slow
def test_a_file_that_takes_long_holds_up_its_owner_only(automatic_only, tmp_path, ct):
    """A gigabyte of zeros takes seconds to unpack; somebody else's upload does not wait for it."""
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("a.nii", bytes(1 << 30))
    with running(models=(str(automatic_only),), state=tmp_path / "state", voxels=1 << 28) as server:

        def slow(owner: str) -> float:
            headers = {"X-OpenVISTA-Owner": owner}
            server.http.post("/api/v1/scans", headers=headers, files={"file": ("a.zip", bomb.getvalue())})
            return time.monotonic()

        with ThreadPoolExecutor(3) as pool:
            bombs = [pool.submit(slow, "somebody-with-secrets") for _ in range(3)]
            while server.app.state.service.sandbox.busy == 0:
                time.sleep(0.01)
            server.upload(ct, httpx.Client(base_url=server.url, headers={"X-OpenVISTA-Owner": "another-with-secrets"}))
            mine = time.monotonic()
        assert mine < min(done.result() for done in bombs)


def test_a_refusal_calls_the_file_as_its_user_does(server):
    answer = post_file(server, "Scan of Monday.nii.gz", b"\x1f\x8bnothing")
    assert "Scan of Monday.nii.gz: " in answer.json()["detail"]
    assert "00000" not in answer.json()["detail"]


# --- behind a proxy -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def public(automatic_only, tmp_path_factory):
    """A server behind a proxy with TLS and a path; the requests of tests come from the proxy's address."""
    state = tmp_path_factory.mktemp("public")
    url = "https://ct.hospital.example/openvista"
    with running(models=(str(automatic_only),), state=state, token=SECRET, public_url=url) as started:
        yield started


def test_the_public_page_may_send_and_its_cookies_are_secure_and_its_own(public, ct):
    welcome = public.http.get("/openvista/", params={"token": SECRET}, headers={"Host": "ct.hospital.example"})
    assert (welcome.status_code, welcome.headers["location"]) == (303, "/openvista/")
    assert "Secure" in welcome.headers["set-cookie"]
    assert "Path=/openvista/" in welcome.headers["set-cookie"]
    cookie = {"Cookie": welcome.headers["set-cookie"].split(";")[0]}
    for host in ("ct.hospital.example", "127.0.0.1"):  # a proxy passes the host on, or does not
        for path in ("/openvista/api/v1/scans", "/api/v1/scans"):  # and the path, or not
            headers = {"Origin": "https://ct.hospital.example", "Host": host} | cookie
            answer = public.http.post(path, headers=headers, files={"file": ("ct.nii.gz", ct.read_bytes())})
            assert answer.status_code == 201, answer.text
    other = public.http.post("/api/v1/scans", headers={"Origin": "https://evil.example"} | cookie)
    assert (other.status_code, other.json()["code"]) == (403, "origin")


def test_a_trusted_proxy_says_who_asks(public):
    """Guesses count for the address behind the proxy, and not for all who come through it."""
    for _ in range(30):
        public.http.get("/api/v1/info", headers={"Authorization": "Bearer no", "X-Forwarded-For": "203.0.113.9"})
    right = {"Authorization": f"Bearer {SECRET}"}
    assert public.http.get("/api/v1/info", headers=right | {"X-Forwarded-For": "203.0.113.9"}).status_code == 429
    assert public.http.get("/api/v1/info", headers=right | {"X-Forwarded-For": "203.0.113.10"}).status_code == 200


@pytest.mark.parametrize("url", ["ct.hospital.example", "ftp://x", "https://x/?a", "https://user@x/", "https://x y"])
def test_a_public_address_that_is_none(url):
    with pytest.raises(InputError, match="public_url"):
        make_settings(public_url=url)


def test_a_server_behind_a_proxy_makes_itself_a_token():
    """It listens on this machine only, but whoever reaches the proxy reaches it."""
    settings = with_token(make_settings(public_url="https://ct.hospital.example/openvista/"))
    secret = settings.token.get_secret_value()
    assert public_address_of(settings) == f"https://ct.hospital.example/openvista/?token={secret}"
    assert with_token(make_settings()).token is None
