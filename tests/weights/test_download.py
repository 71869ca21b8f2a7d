"""Downloads, in processes of their own (the hub's library reads HF_ENDPOINT when imported), against a local server."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from openvista.errors import ModelError
from openvista.weights import find_model
from openvista.weights.download import download_model, official_source
from openvista.weights.files import write_file
from openvista.weights.official import Checkpoint, to_naming
from openvista.weights.store import load_network

COMMIT = "0123456789abcdef0123456789abcdef01234567"
SCRIPT = """
import sys
from openvista.errors import OpenVistaError
from openvista.weights.download import download_model
try:
    download_model("vista3d", accept_licence=True)
except OpenVistaError as error:
    print(type(error).__name__, error)
    sys.exit(error.exit_code)
"""


class Hub(BaseHTTPRequestHandler):
    """The two addresses of the hub that a download needs."""

    content = b""
    announced = ""
    breaks = 0
    requests = 0

    def do_HEAD(self) -> None:
        self._file(send_body=False)

    def do_GET(self) -> None:
        if self.path.startswith("/api/models/nvidia/NV-Segment-CT"):
            lfs = {"sha256": self.announced, "size": len(self.content), "pointerSize": 134}
            name = official_source("vista3d").file
            body = {"id": "nvidia/NV-Segment-CT", "sha": COMMIT, "siblings": [{"rfilename": name, "lfs": lfs}]}
            self._answer(200, json.dumps(body).encode(), {"Content-Type": "application/json"})
        else:
            self._file(send_body=True)

    def _file(self, send_body: bool) -> None:
        server = type(self)
        if self.path != f"/nvidia/NV-Segment-CT/resolve/{COMMIT}/{official_source('vista3d').file}":
            self._answer(404, b"", {})
            return
        headers = {"ETag": f'"{self.announced}"', "X-Repo-Commit": COMMIT}
        cut = None if send_body else 0
        if send_body:
            server.requests += 1
            if server.breaks:
                server.breaks -= 1
                cut = len(self.content) // 2
        self._answer(200, self.content, headers, cut)

    def _answer(self, status: int, body: bytes, headers: dict[str, str], cut: int | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[:cut])
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Tests print nothing."""


@pytest.fixture
def hub(checkpoint: Checkpoint, tmp_path: Path) -> Iterator[tuple[type[Hub], str]]:
    path = tmp_path / "served.safetensors"
    write_file(to_naming(checkpoint, "hf"), path)
    content = path.read_bytes()
    handler = type(
        "TestHub",
        (Hub,),
        {"content": content, "announced": hashlib.sha256(content).hexdigest(), "breaks": 0, "requests": 0},
    )
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield handler, f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def download(endpoint: str, home: Path) -> subprocess.CompletedProcess[str]:
    """Run a download as a user would."""
    environment = {
        **os.environ,
        "HF_ENDPOINT": endpoint,
        "HF_HOME": str(home / "hf"),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "OPENVISTA_HOME": str(home),
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
    }
    for offline in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_TOKEN"):
        environment.pop(offline, None)
    return subprocess.run(
        [sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=False, timeout=120
    )


def test_download_survives_a_broken_connection_and_becomes_a_model(hub: tuple[type[Hub], str], home: Path) -> None:
    handler, endpoint = hub
    handler.breaks = 1
    result = download(endpoint, home)
    assert result.returncode == 0, result.stdout + result.stderr
    assert handler.requests == 2
    model = find_model("vista3d", home)
    assert load_network(model).preset.filters == 8
    assert model.card.provenance["repository"] == "nvidia/NV-Segment-CT"
    assert model.card.provenance["revision"] == COMMIT
    assert model.card.provenance["file_sha256"] == handler.announced
    assert "verify" in model.card.licence
    assert not (home / "downloads" / "vista3d").exists()
    with pytest.raises(ModelError, match="is here already"):
        download_model("vista3d", accept_licence=True, home=home)


def test_another_file_than_announced_is_refused(hub: tuple[type[Hub], str], home: Path) -> None:
    handler, endpoint = hub
    handler.announced = "0" * 64
    result = download(endpoint, home)
    assert result.returncode == 2
    assert "WeightsError the download of model.safetensors is damaged" in result.stdout
    assert not (home / "models").exists()


def test_no_connection_is_one_line_with_the_remedy(home: Path) -> None:
    result = download("http://127.0.0.1:9", home)
    assert result.returncode == 2
    lines = result.stdout.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("ModelError cannot get nvidia/NV-Segment-CT from http://127.0.0.1:9")
    assert "openvista models import FILE --name vista3d" in lines[0]
    assert result.stderr == ""


def test_the_licence_must_be_accepted_before_anything_happens(home: Path) -> None:
    with pytest.raises(ModelError, match=r"licence .* not accepted: read https://.*--accept-licence"):
        download_model("vista3d", accept_licence=False, home=home)
    assert not home.exists()


def test_the_licence_text_says_that_the_sources_contradict() -> None:
    text = official_source("vista3d").licence_text
    for word in ("Open Model License", "Noncommercial", "contradict", "huggingface.co/nvidia/NV-Segment-CT"):
        assert word in text


def test_unknown_names(home: Path) -> None:
    with pytest.raises(ModelError, match=r"no official model 'starter' .* there is vista3d, vista3d-ctmr"):
        download_model("starter", accept_licence=True, home=home)
