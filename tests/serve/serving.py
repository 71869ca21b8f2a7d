"""A real server on loopback, in a thread, with small real models."""

import asyncio
import base64
import gzip
import io
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import nibabel as nib
import numpy as np
import torch
import uvicorn

from openvista.network import Preset, build
from openvista.serve.app import create_app
from openvista.serve.run import server_config
from openvista.serve.settings import Settings, make_settings
from openvista.weights import ModelCard
from openvista.weights.store import save_model

AFFINE = np.diag([-2.0, -2.0, 2.5, 1.0])
SECONDS = 240.0  # that tests wait at most: for a machine that does much else
CLICK = {"voxel": [8.0, 7.0, 6.0]}
SHAPE = (16, 15, 13)  # one window of the network: what is tested here is the server


def make_model(folder: Path, name: str, branches: tuple[str, ...]) -> Path:
    """A model folder with a small random network that finds every class somewhere."""
    preset = Preset(
        name=name,
        filters=8,
        blocks_per_level=(1, 1),
        window=(16, 16, 16),
        spacing=(2.0, 2.0, 2.0),
        class_rows=140,
        branches=branches,
    )
    network = build(preset, seed=3)
    if "automatic" in branches:
        with torch.no_grad():
            network.class_head.linear2.weight *= 5
    card = ModelCard.from_preset(
        preset, classes=(1, 5, 14, 121), extra_classes={133: "brainstem"}, licence="Apache-2.0"
    )
    return save_model(network, card, folder / name).path


def ct_file(path: Path, seed: int = 0, shape: tuple[int, int, int] = SHAPE, affine: np.ndarray = AFFINE) -> Path:
    """A CT of smooth random tissue."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand((1, 1, *(max(n // 3, 1) for n in shape)), generator=generator)
    voxels = torch.nn.functional.interpolate(coarse, size=shape, mode="trilinear")[0, 0] * 1800 - 900
    nib.save(nib.Nifti1Image(voxels.numpy().astype(np.int16), affine), path)
    return path


def read_nifti(content: bytes) -> nib.Nifti1Image:
    """A gzip NIfTI from an answer."""
    return nib.Nifti1Image.from_bytes(gzip.decompress(content))


class Running:
    """A running server.

    Attributes:
        url: where.
        app: its application; ``app.state.service`` are its parts.
        loop: what it runs in.
        http: a client without any cookies of others.
    """

    def __init__(self, settings: Settings, url: str, app: Any, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.settings = settings
        self.url = url
        self.app = app
        self.http = httpx.Client(base_url=url, timeout=SECONDS)

    def upload(self, path: Path, http: httpx.Client | None = None) -> dict[str, Any]:
        """Upload a scan and return what the server says about it."""
        with path.open("rb") as file:
            answer = (http or self.http).post("/api/v1/scans", files={"file": (path.name, file)})
        assert answer.status_code == 201, answer.text
        return answer.json()


class Session:
    """What a viewer does: asks, and keeps a label map of its own."""

    def __init__(self, server: Running, scan_id: str, model: str | None = None, shape=SHAPE) -> None:
        answer = server.http.post("/api/v1/sessions", json={"scan_id": scan_id, "model": model})
        assert answer.status_code == 201, answer.text
        self.http = server.http
        self.info = answer.json()
        self.address = f"/api/v1/sessions/{self.info['id']}"
        self.labels = np.zeros(shape, dtype=np.uint16)

    def post(self, path: str, content=None, **options) -> httpx.Response:
        return self.http.post(f"{self.address}/{path}", json=content, **options)

    def change(self, path: str, content=None, method: str = "POST") -> dict:
        answer = self.http.request(method, f"{self.address}/{path}", json=content)
        assert answer.status_code == 200, answer.text
        self.apply(answer.json())
        return answer.json()

    def apply(self, change: dict) -> None:
        self.info = change["session"]
        if change["labels"] is not None:
            (x, u), (y, v), (z, w) = change["labels"]["box"]
            raw = gzip.decompress(base64.b64decode(change["labels"]["data"]))
            values = np.frombuffer(raw, np.dtype(change["labels"]["dtype"]).newbyteorder("<"))
            self.labels[x:u, y:v, z:w] = values.reshape((u - x, v - y, w - z), order="F")

    def served(self) -> np.ndarray:
        return labels(self.http, self.address)

    def object(self, name: str) -> dict:
        return next(item for item in self.info["objects"] if item["name"] == name)


@contextmanager
def running(**choices: Any) -> Iterator[Running]:
    """Start a server with these settings, wait until it is ready, stop it afterwards."""
    settings = make_settings(**choices)
    app = create_app(settings)
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(server_config(app, settings.model_copy(update={"drain_seconds": 5.0})))
    loops: list[asyncio.AbstractEventLoop] = []

    async def serve() -> None:
        loops.append(asyncio.get_running_loop())
        await server.serve(sockets=[listener])

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    try:
        wait_until_ready(url)
        yield Running(settings, url, app, loops[0])
    finally:
        server.should_exit = True
        thread.join(SECONDS)
        listener.close()
    assert not thread.is_alive()


@contextmanager
def process(model: Path | str, state: Path, *options: str) -> Iterator[tuple[subprocess.Popen, httpx.Client]]:
    """``openvista serve`` as users start it."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENVISTA_SERVE_PRECISION": "float32"}
    command = [sys.executable, "-m", "openvista", "serve", "--port", "0", "--model", str(model), "--state", str(state)]
    started = subprocess.Popen(
        [*command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )
    try:
        line = started.stdout.readline()
        url = line.split(" at ")[1].strip().split("?")[0].rstrip("/")
        wait_until_ready(url)
        with httpx.Client(base_url=url, timeout=SECONDS) as http:
            yield started, http
    finally:
        started.terminate()
        started.communicate(timeout=SECONDS)


def post_file(server: Running, name: str, content: bytes) -> httpx.Response:
    """Upload a scan of this name."""
    return server.http.post("/api/v1/scans", files={"file": (name, content)})


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def wait_until_ready(url: str, seconds: float = SECONDS) -> None:
    """Ask until the server says that it is ready."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if httpx.get(f"{url}/v1/health/ready", timeout=30).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    raise AssertionError("the server did not become ready")


def gzip_bytes(content: bytes) -> bytes:
    """Compressed as gzip."""
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb") as stream:
        stream.write(content)
    return buffer.getvalue()


def open_session(http: httpx.Client, ct: Path) -> str:
    with ct.open("rb") as file:
        scan = http.post("/api/v1/scans", files={"file": (ct.name, file)}).json()["id"]
    return f"/api/v1/sessions/{http.post('/api/v1/sessions', json={'scan_id': scan}).json()['id']}"


def work(http: httpx.Client, session: str, seed: int = 0) -> np.ndarray:
    """A class, a click, something undone: a session with a past and a future."""
    http.post(f"{session}/classes", json={"classes": ["liver", "brainstem"]}).raise_for_status()
    click = {"voxel": [5.0 + seed, 7.0, 6.0]}
    http.post(f"{session}/clicks", json={"object": 5, "clicks": [click]}).raise_for_status()
    http.post(f"{session}/clicks", json={"object": 5, "clicks": [CLICK]}).raise_for_status()
    http.post(f"{session}/undo").raise_for_status()
    return labels(http, session)


def labels(http: httpx.Client, session: str) -> np.ndarray:
    answer = http.get(f"{session}/segmentation")
    answer.raise_for_status()
    return np.asarray(read_nifti(answer.content).dataobj)


def wait_until_saved(http: httpx.Client, session: str) -> None:
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        time.sleep(1.2)  # asking keeps it from being quiet
        info = http.get(session).json()
        if info["saved_revision"] == info["revision"]:
            return
    raise AssertionError("the session was not saved")
