"""Fetching from addresses: what must be refused, with real servers on loopback."""

import asyncio
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

pytest.importorskip("httpx")

from openvista.errors import ServiceError
from openvista.serve import fetch as fetching
from openvista.serve.settings import make_settings


class _Handler(BaseHTTPRequestHandler):
    """A file server of the other side, with tricks."""

    asked: list[str]

    def do_GET(self) -> None:
        self.server.asked.append(f"{self.headers['Host']}{self.path}")  # type: ignore[attr-defined]
        port = self.server.server_address[1]
        if self.path == "/hop":
            self._redirect("/ct.nii.gz")
        elif self.path == "/round":
            self._redirect("/round")
        elif self.path == "/inward":
            self._redirect("http://169.254.169.254/latest/meta-data")
        elif self.path == "/other-host":
            self._redirect(f"http://localhost:{port}/ct.nii.gz")
        elif self.path == "/file":
            self._redirect("file:///etc/passwd")
        elif self.path == "/slow":
            self.send_response(200)
            self.end_headers()
            threading.Event().wait(3)
        elif self.path == "/endless":
            self._send(bytes(3 << 20))
        elif self.path == "/missing":
            self.send_error(404)
        else:
            self._send(b"the scan")

    def _redirect(self, where: str) -> None:
        self.send_response(302)
        self.send_header("Location", where)
        self.end_headers()

    def _send(self, content: bytes) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def files() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.asked = []  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()


def fetch(files: ThreadingHTTPServer, target: Path, path: str, **choices: object) -> str:
    given = {"url_hosts": ("127.0.0.1",), "url_private": True, "upload_mb": 1, "url_seconds": 1.0} | choices
    address = path if "://" in path else f"http://127.0.0.1:{files.server_address[1]}{path}"
    return asyncio.run(fetching.fetch(address, target, make_settings(**given)))


def refused(files: ThreadingHTTPServer, target: Path, path: str, **choices: object) -> str:
    with pytest.raises(ServiceError) as caught:
        fetch(files, target, path, **choices)
    return caught.value.code


def test_what_is_allowed_is_fetched_under_its_name(files, tmp_path):
    assert fetch(files, tmp_path / "a", "/folder/ct.nii.gz?signature=x") == "ct.nii.gz"
    assert (tmp_path / "a").read_bytes() == b"the scan"
    assert fetch(files, tmp_path / "b", "/hop") == "ct.nii.gz"


def test_off_by_default(files, tmp_path):
    assert refused(files, tmp_path / "a", "/ct.nii.gz", url_hosts=()) == "urls-off"


def test_loopback_is_private_unless_said_otherwise(files, tmp_path):
    before = len(files.asked)
    assert refused(files, tmp_path / "a", "/ct.nii.gz", url_private=False) == "url-private"
    assert len(files.asked) == before


@pytest.mark.parametrize(
    "url",
    [
        "http://evil.example/ct.nii.gz",
        "http://127.0.0.1.evil.example/",
        "http://evil.example#@127.0.0.1/",
        "http://evil.example?127.0.0.1",
    ],
)
def test_hosts_that_are_not_allowed(files, tmp_path, url):
    assert refused(files, tmp_path / "a", url) == "url-host"


@pytest.mark.parametrize(
    "url",
    ["file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://127.0.0.1", "http://", "nonsense", "http://u:p@127.0.0.1/"],
)
def test_addresses_that_are_none(files, tmp_path, url):
    assert refused(files, tmp_path / "a", url) == "url"


def test_redirects_are_judged_like_addresses(files, tmp_path):
    assert refused(files, tmp_path / "a", "/inward") == "url-host"
    assert refused(files, tmp_path / "a", "/other-host") == "url-host"
    assert refused(files, tmp_path / "a", "/file") == "url"
    assert refused(files, tmp_path / "a", "/round") == "url"


def test_size_time_and_status(files, tmp_path):
    assert refused(files, tmp_path / "a", "/endless") == "too-large"
    assert refused(files, tmp_path / "a", "/slow", url_seconds=0.3) == "url-slow"
    assert refused(files, tmp_path / "a", "/missing") == "url"
    assert refused(files, tmp_path / "a", "http://127.0.0.1:1/") == "url"


def test_the_number_that_was_judged_is_the_number_that_is_asked(files, tmp_path, monkeypatch):
    """A name that resolves to a public address first and to ours later must not get us to ask ourselves."""
    answers = iter([["127.0.0.1"]])

    async def resolve(host: str, port: int) -> list[str]:
        return next(answers)  # a second look-up would fail the test

    monkeypatch.setattr(fetching, "_resolve", resolve)
    port = files.server_address[1]
    assert fetch(files, tmp_path / "a", f"http://scans.example:{port}/ct.nii", url_hosts=("*.example",)) == "ct.nii"
    assert files.asked[-1] == f"scans.example:{port}/ct.nii"


@pytest.mark.parametrize(
    "number",
    [
        *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.0.1", "169.254.169.254", "0.0.0.0", "100.64.0.1"),
        *("224.0.0.1", "255.255.255.255", "::1", "fe80::1", "fc00::1", "::ffff:10.0.0.1", "64:ff9b::a00:1"),
        *("2002:a00:1::", "::"),
    ],
)
def test_private_numbers_in_every_disguise(files, tmp_path, monkeypatch, number):
    async def resolve(host: str, port: int) -> list[str]:
        return ["93.184.216.34", number]  # one public number does not excuse a private one

    monkeypatch.setattr(fetching, "_resolve", resolve)
    code = refused(files, tmp_path / "a", "http://scans.example/ct.nii", url_hosts=("*",), url_private=False)
    assert code == "url-private"


@pytest.mark.parametrize("written", ["0x7f.1", "2130706433", "0177.0.0.1", "127.1", "[::1]", "localhost"])
def test_loopback_in_every_spelling(files, tmp_path, written):
    code = refused(files, tmp_path / "a", f"http://{written}/ct.nii", url_hosts=("*",), url_private=False)
    assert code in ("url-private", "url")
