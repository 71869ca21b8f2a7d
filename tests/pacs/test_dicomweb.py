"""DICOMweb: addresses, and what servers answer that do not do what they are asked. Real ones: tests/services."""

import json
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import ClassVar

import numpy as np
import pytest

from openvista.errors import InputError, OutputError, ScanError
from openvista.pacs.credentials import Credentials
from openvista.pacs.dicomweb import Address, DicomWeb, parse_address
from small_series import ct_series


class Answer(BaseHTTPRequestHandler):
    """Answers everything with what a test says."""

    status: ClassVar[int] = 200
    headers_sent: ClassVar[dict[str, str]] = {}
    body: ClassVar[bytes] = b""
    asked: ClassVar[list[tuple[str, str | None]]] = []

    def do_GET(self) -> None:
        self.asked.append((self.path, self.headers.get("Authorization")))
        self.send_response(self.status)
        for name, value in {"Content-Length": str(len(self.body)), **self.headers_sent}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(self.body)

    def do_POST(self) -> None:
        if "Content-Length" in self.headers:
            self.rfile.read(int(self.headers["Content-Length"]))
        else:
            while size := int(self.rfile.readline().strip() or b"0", 16):
                self.rfile.read(size + 2)
        self.do_GET()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    Answer.asked.clear()
    with HTTPServer(("127.0.0.1", 0), Answer) as started:
        thread = threading.Thread(target=started.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{started.server_port}/dicom-web"
        started.shutdown()
        thread.join()


def answer(status: int, body: bytes | dict | list = b"", **headers: str) -> None:
    Answer.status = status
    Answer.body = body if isinstance(body, bytes) else json.dumps(body).encode()
    kind = {} if isinstance(body, bytes) else {"Content-Type": "application/dicom+json"}
    Answer.headers_sent = kind | headers


def test_addresses():
    base = "https://pacs.example:8443/rs/dicom-web"
    assert parse_address(f"{base}/studies/1.2/series/3.4") == Address(base, "1.2", "3.4")
    assert parse_address(f"{base}/studies/1.2/") == Address(base, "1.2")


@pytest.mark.parametrize(
    "text",
    [
        "https://pacs.example/dicom-web",
        "https://pacs.example/studies/1.2/series/a.b",
        "https://pacs.example/studies/1.2/series/3.4/instances/5",
        "https://pacs.example/studies/1.2?token=secret",
        "https://me:secret@pacs.example/studies/1.2",
        "https:///studies/1.2",
        "https://pacs.example:port/studies/1.2",
        "ftp://pacs.example/studies/1.2",
    ],
)
def test_what_is_no_address_of_a_series(text):
    with pytest.raises(InputError):
        parse_address(text)


def test_only_this_machine_is_asked_without_encryption_in_silence(caplog):
    with caplog.at_level(logging.WARNING):
        DicomWeb("http://127.0.0.1/dicom-web", Credentials())
        DicomWeb("https://pacs.example/dicom-web", Credentials())
        assert caplog.text == ""
        DicomWeb("http://pacs.example/dicom-web", Credentials())
    assert "not encrypted" in caplog.text


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (401, b"", "OPENVISTA_DICOMWEB_TOKEN"),
        (403, b"", "answers 403"),
        (500, b"<html>", "answers 500"),
        (200, b"<html>no</html>", "not DICOMweb"),
    ],
)
def test_a_server_that_refuses(server, status, body, said):
    answer(status, body, **{"Content-Type": "application/dicom+json"})
    with pytest.raises(ScanError, match=said) as refused:
        DicomWeb(server, Credentials.bearer("a-secret-token")).series_of("1.2")
    assert len(str(refused.value).splitlines()) == 1
    assert "a-secret-token" not in str(refused.value)
    assert Answer.asked[-1][1] == "Bearer a-secret-token"


def test_a_study_of_three_series_is_listed_once(server):
    """Even by servers that give the same answer to every question."""
    answer(200, [{"0020000E": {"vr": "UI", "Value": [f"1.2.{number}"]}} for number in range(3)])
    assert [one.uid for one in DicomWeb(server, Credentials()).series_of("1.2")] == ["1.2.0", "1.2.1", "1.2.2"]


def test_nobody_is_sent_elsewhere(server):
    answer(302, Location="http://127.0.0.1:1/elsewhere")
    with pytest.raises(ScanError, match="redirects"):
        DicomWeb(server, Credentials.bearer("secret")).series_of("1.2")


def test_a_store_that_is_refused_in_part_is_an_error(server):
    instances = ct_series(np.zeros((4, 4, 2), np.int16))
    stored = [{"00081155": {"vr": "UI", "Value": [one.SOPInstanceUID]}} for one in instances]
    failed = [stored[1] | {"00081197": {"vr": "US", "Value": [0xA700]}}]
    pacs = DicomWeb(server, Credentials())
    answer(200, {"00081199": {"vr": "SQ", "Value": stored}, "00081198": {"vr": "SQ"}})
    pacs.store(instances)
    answer(200, {"00081199": {"vr": "SQ", "Value": stored[:1]}, "00081198": {"vr": "SQ", "Value": failed}})
    with pytest.raises(OutputError, match=r"1 of 2 objects .reason 0xA700"):
        pacs.store(instances)
    answer(200, {"00081199": {"vr": "SQ", "Value": stored[:1]}})
    with pytest.raises(OutputError, match="does not say that it stored 1 of 2"):
        pacs.store(instances)
    answer(200)
    with pytest.raises(OutputError, match="does not say"):
        pacs.store(instances)
