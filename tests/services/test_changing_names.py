"""Names whose addresses change between the check and the fetch: a name server, file servers and a network of its own.

The network is a namespace of Linux (root makes it) in which 93.184.216.34, a public number, is on the loopback device.
The system's own resolver asks our name server there.
"""

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from openvista.errors import ServiceError
from openvista.serve.fetch import fetch
from openvista.serve.settings import make_settings

PUBLIC, OURS = "93.184.216.34", "127.0.0.1"
PORT = 8080
IN_NAMESPACE = "OPENVISTA_TEST_NETWORK"

outside = pytest.mark.skipif(
    IN_NAMESPACE in os.environ or os.name != "posix" or os.geteuid() != 0 or not shutil.which("ip"),
    reason="needs root and ip to make a network",
)
inside = pytest.mark.skipif(IN_NAMESPACE not in os.environ, reason="runs in a network of its own")


@outside
def test_names_that_change(tmp_path: Path) -> None:
    """Runs the tests below where nothing but our servers can be reached."""
    (tmp_path / "resolv.conf").write_text(f"nameserver {OURS}\n")
    (tmp_path / "hosts").write_text("")
    network = f"ip link set lo up && ip address add {PUBLIC}/32 dev lo"
    files = " && ".join(f"mount --bind {tmp_path}/{name} /etc/{name}" for name in ("resolv.conf", "hosts"))
    tests = f"exec {sys.executable} -m pytest -q --noconftest -p no:cacheprovider {__file__}"
    command = ["unshare", "--mount", "--net", "bash", "-c", f"{network} && {files} && {tests}"]
    environment = os.environ | {IN_NAMESPACE: "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=300)
    if "Operation not permitted" in done.stderr:
        pytest.skip("no namespaces here")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 passed" in done.stdout


class Names(threading.Thread):
    """A name server whose answer to each question is the next of a list, and then the last one again.

    Attributes:
        answers: addresses by name.
        asked: how often each name was asked for, IPv4 only.
    """

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.answers: dict[str, list[str]] = {}
        self.asked: dict[str, int] = {}
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((OURS, 53))

    def run(self) -> None:
        while True:
            question, client = self._socket.recvfrom(512)
            self._socket.sendto(self._answer(question), client)

    def _answer(self, question: bytes) -> bytes:
        """RFC 1035: the question again, and an A record that may be kept for 0 s."""
        end, labels = 12, []
        while length := question[end]:
            labels.append(question[end + 1 : end + 1 + length].decode())
            end += 1 + length
        name, kind = ".".join(labels), question[end + 1 : end + 3]
        addresses = self.answers.get(name, []) if kind == b"\0\1" else []
        head = question[:2] + b"\x81\x80" + question[4:6]
        if not addresses:
            return head + bytes(6) + question[12 : end + 5]
        turn = self.asked[name] = self.asked.get(name, 0) + 1
        address = socket.inet_aton(addresses[min(turn, len(addresses)) - 1])
        return head + b"\0\1" + bytes(4) + question[12 : end + 5] + b"\xc0\x0c\0\1\0\1\0\0\0\0\0\4" + address


class _Files(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.server.asked.append(self.path)  # type: ignore[attr-defined]
        where = self.path.partition("?to=")[2]
        self.send_response(302 if where else 200)
        if where:
            self.send_header("Location", where)
        self.end_headers()
        self.wfile.write(self.server.server_address[0].encode())  # type: ignore[union-attr]

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def names() -> Names:
    started = Names()
    started.start()
    return started


@pytest.fixture
def private() -> Iterator[ThreadingHTTPServer]:
    """The file server that must not be asked; beside it runs the public one."""
    servers = []
    for address in (PUBLIC, OURS):
        server = ThreadingHTTPServer((address, PORT), _Files)
        server.asked = []  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
    yield servers[1]
    for server in servers:
        server.shutdown()
        server.server_close()


def get(url: str, target: Path) -> str:
    settings = make_settings(url_hosts=("*.example",), url_seconds=10.0)
    asyncio.run(fetch(url, target, settings))
    return target.read_text()


def refusal(url: str, target: Path) -> str:
    with pytest.raises(ServiceError) as caught:
        get(url, target)
    return caught.value.code


@inside
def test_a_second_look_up_is_not_made(names: Names, private: ThreadingHTTPServer, tmp_path: Path) -> None:
    names.answers["once.example"] = [PUBLIC, OURS]
    assert get(f"http://once.example:{PORT}/ct.nii", tmp_path / "ct.nii") == PUBLIC
    assert names.asked["once.example"] == 1
    assert private.asked == []  # type: ignore[attr-defined]


@inside
def test_a_name_that_is_ours_by_then(names: Names, private: ThreadingHTTPServer, tmp_path: Path) -> None:
    """Public at first, which is fetched; the same address again is judged anew."""
    names.answers["later.example"] = [PUBLIC, OURS]
    assert get(f"http://later.example:{PORT}/ct.nii", tmp_path / "ct.nii") == PUBLIC
    assert refusal(f"http://later.example:{PORT}/ct.nii", tmp_path / "ct.nii") == "url-private"
    assert private.asked == []  # type: ignore[attr-defined]


@inside
def test_a_redirect_to_the_name_that_has_changed(names: Names, private: ThreadingHTTPServer, tmp_path: Path) -> None:
    names.answers["round.example"] = [PUBLIC, OURS]
    here = f"http://round.example:{PORT}/ct.nii"
    assert refusal(f"{here}?to={here}", tmp_path / "ct.nii") == "url-private"
    assert names.asked["round.example"] == 2
    assert private.asked == []  # type: ignore[attr-defined]


@inside
def test_a_redirect_to_a_private_address(names: Names, private: ThreadingHTTPServer, tmp_path: Path) -> None:
    names.answers["public.example"] = [PUBLIC]
    names.answers["private.example"] = [OURS]
    here, there = (f"http://{name}.example:{PORT}/ct.nii" for name in ("public", "private"))
    assert refusal(f"{here}?to={there}", tmp_path / "ct.nii") == "url-private"
    assert refusal(f"{here}?to=http://{OURS}:{PORT}/ct.nii", tmp_path / "ct.nii") == "url-host"
    assert private.asked == []  # type: ignore[attr-defined]
