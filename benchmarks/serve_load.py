"""Several users click at the same time on one server: errors, mix-ups, memory, and seconds per click.

Starts `openvista serve` as users do, uploads a real CT (examples/data) and three made-up ones, and lets every user
work in a session of their own: classes, clicks, undo, and after a while the next session; every second one begins
with the scan closed (it and its sessions are deleted) and uploaded again. A user's label map follows
by the boxes that the server sends, and its hash is noted after every step. Afterwards every session is done again,
alone and without a server, step by step: equal hashes mean that nothing was mixed up, lost on the way to disk and
back, or applied in another order.

The network is small and has random weights, whose masks reach everywhere, so clicks do not grow into other windows:
what is measured is the server.

    python benchmarks/serve_load.py                       # 8 users, 120 s
    python benchmarks/serve_load.py --users 4 --seconds 20 --session-memory-mb 200
"""

import argparse
import hashlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import httpx
import nibabel as nib
import numpy as np
import torch
from numpy.typing import NDArray

from openvista import load_model, read_scan
from openvista.client import Client, RemoteSession
from openvista.errors import ServiceError
from openvista.model import Model
from openvista.network import Preset, build
from openvista.prompts import Click
from openvista.session.session import Session
from openvista.weights import ModelCard
from openvista.weights.store import save_model

DATA = Path(__file__).parents[1] / "examples" / "data"
CLASSES = (22, 121)
SIZE = Preset(name="load", filters=8, blocks_per_level=(1, 1), window=(16, 16, 16), spacing=(8.0, 8.0, 8.0))
"""Answers a click in some hundredths of a second of a processor."""
STEPS_PER_SESSION = 12
"""Then a user goes on to the next session: with ever more clicks on one object, work and memory would grow for ever."""
SESSIONS_PER_SCAN = 2
SAMPLE_SECONDS = 2.0


@dataclass
class Step:
    """One thing a user does.

    Attributes:
        kind: open, classes, click or undo.
        object: class id, for a click.
        voxel, positive: of the click.
    """

    kind: str
    object: int = 0
    voxel: tuple[int, int, int] = (0, 0, 0)
    positive: bool = True


@dataclass
class Diary:
    """What a user did, and what the label map was after each step; what it cost; how many scans were closed."""

    scan: int
    steps: list[Step] = field(default_factory=list)
    hashes: list[str] = field(default_factory=list)
    click_seconds: list[float] = field(default_factory=list)
    closed: int = 0
    errors: list[str] = field(default_factory=list)


def main() -> None:
    arguments = parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model, scans = random_model(folder), [*real_scans(), *made_up_scans(folder)]
        with server(model, folder / "state", arguments) as (url, worker):
            memory = Memory(worker)
            diaries = work(url, scans, arguments, memory)
            numbers = metrics(url)
        report(diaries, memory, numbers, arguments)
        wrong = check(diaries, load_model(str(model), "cpu", "float32"), scans)
    sys.stdout.flush()
    print(f"label maps that differ from the same work done alone: {wrong}")
    sys.exit(1 if wrong or any(diary.errors for diary in diaries) else 0)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--session-memory-mb", type=int, default=16, help="what is over goes to disk")
    parser.add_argument("--queue", type=int, default=6, help="jobs that wait or run; fewer than users, so 429 comes up")
    return parser.parse_args()


# --- what is asked ------------------------------------------------------------------------------------------------


def random_model(folder: Path) -> Path:
    """Both branches; the class head is made to find every class somewhere."""
    network = build(SIZE, seed=3)
    with torch.no_grad():
        network.class_head.linear2.weight *= 5
    return save_model(network, ModelCard.from_preset(SIZE, name="random", classes=CLASSES), folder / "random").path


def real_scans() -> list[Path]:
    return [DATA / "case_092_ct.nii.gz"]


def made_up_scans(folder: Path) -> list[Path]:
    """Smooth random tissue."""
    paths = []
    for seed, shape in enumerate(((64, 56, 48), (48, 48, 64), (56, 64, 40))):
        generator = torch.Generator().manual_seed(seed)
        coarse = torch.rand((1, 1, *(n // 4 for n in shape)), generator=generator)
        voxels = torch.nn.functional.interpolate(coarse, size=shape, mode="trilinear")[0, 0] * 1000 - 400
        path = folder / f"made up {seed}.nii.gz"
        nib.save(nib.Nifti1Image(voxels.numpy().astype(np.int16), np.diag([-4.0, -4.0, 3.0, 1.0])), path)
        paths.append(path)
    return paths


def script(user: int, shape: tuple[int, int, int]) -> Iterator[Step]:
    """Endless, and the same every time: a session, the classes, then clicks in the scan's inner half, every sixth taken
    back; and again. The session before stays open, as a browser's tab does."""
    random = np.random.default_rng(user)
    for number in count():
        if number % STEPS_PER_SESSION == 0:
            yield Step("open")
            yield Step("classes")
        if number % 6 == 5:
            yield Step("undo")
            continue
        x, y, z = (int(random.integers(n // 4, n - n // 4)) for n in shape)
        yield Step("click", int(random.choice(CLASSES)), (x, y, z), bool(random.random() < 0.7))


def digest(labels_XYZ: NDArray[np.unsignedinteger]) -> str:
    return hashlib.sha256(np.asfortranarray(labels_XYZ.astype(np.uint16)).tobytes(order="F")).hexdigest()


# --- the users ----------------------------------------------------------------------------------------------------


def work(url: str, scans: list[Path], arguments: argparse.Namespace, memory: "Memory") -> list[Diary]:
    """All users at once, until the time is over."""
    diaries = [Diary(user % len(scans)) for user in range(arguments.users)]
    end = time.monotonic() + arguments.seconds
    with memory, ThreadPoolExecutor(arguments.users) as pool:
        for user, diary in enumerate(diaries):
            pool.submit(one_user, url, user, diary, scans[diary.scan], end)
    return diaries


def one_user(url: str, user: int, diary: Diary, scan: Path, end: float) -> None:
    try:
        with Client(url, patience=600) as client:
            uploaded = client.upload(scan)
            for step in script(user, read_scan(scan).grid.shape):
                if time.monotonic() > end:
                    return
                if step.kind == "open":
                    opened = sum(one.kind == "open" for one in diary.steps)
                    if opened and opened % SESSIONS_PER_SCAN == 0:
                        client.remove(uploaded)
                        uploaded = client.upload(scan)
                        diary.closed += 1
                    session = client.open(uploaded)
                    diary.steps.append(step)
                    continue
                began = time.perf_counter()
                told = do_remotely(session, step)
                if step.kind == "click":
                    diary.click_seconds.append(time.perf_counter() - began)
                diary.steps.append(step)
                diary.hashes.append(told + digest(session.labels))
    except Exception as error:  # noqa: BLE001 any failure of a user is what the benchmark looks for
        diary.errors.append(f"{type(error).__name__}: {error}")


def do_remotely(session: RemoteSession, step: Step) -> str:
    """The code of a refusal that belongs to the question, such as a click in air; else nothing."""
    try:
        if step.kind == "classes":
            session.segment(list(CLASSES))
        elif step.kind == "undo":
            session.undo()
        else:
            session.click(step.voxel, step.object, step.positive, grow=False)
    except ServiceError as error:
        if error.code != "prompt":
            raise
        return "refused "
    return ""


def do_alone(session: Session, step: Step) -> str:
    if step.kind == "classes":
        session.segment(list(CLASSES))
    elif step.kind == "undo":
        session.undo()
    elif not session.clicks([Click(step.voxel, step.positive)], step.object, grow=False).clicks:
        return "refused "
    return ""


def check(diaries: list[Diary], model: Model, scans: list[Path]) -> int:
    """How many label maps are others when the same is done alone."""
    wrong = 0
    for diary in diaries:
        scan, hashes = read_scan(scans[diary.scan]), iter(diary.hashes)
        for step in diary.steps:
            if step.kind == "open":
                session = model.open(scan)
                continue
            told = do_alone(session, step)
            wrong += told + digest(session.segmentation().labels) != next(hashes)
    return wrong


# --- the server ---------------------------------------------------------------------------------------------------


@contextmanager
def server(model: Path, state: Path, arguments: argparse.Namespace) -> Iterator[tuple[str, int]]:
    """Its address, and the process id of its worker."""
    choices = {"PRECISION": "float32", "DEVICES": "cpu", "QUEUE": str(arguments.queue)}
    choices["SESSION_MEMORY_MB"] = str(arguments.session_memory_mb)
    environment = os.environ | {f"OPENVISTA_SERVE_{name}": value for name, value in choices.items()}
    command = [sys.executable, "-m", "openvista", "serve", "--quiet", "--port", "0"]
    command += ["--model", str(model), "--state", str(state)]
    started = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        assert started.stdout is not None
        url = started.stdout.readline().split(" at ")[1].strip().rstrip("/")
        while not ready(url):
            time.sleep(0.1)
        children = Path(f"/proc/{started.pid}/task/{started.pid}/children").read_text().split()
        yield url, int(children[0])
    finally:
        started.terminate()
        started.wait()


def ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/v1/health/ready", timeout=60).status_code == 200
    except httpx.TransportError:
        return False


def metrics(url: str) -> dict[str, float]:
    """The server's own numbers."""
    lines = httpx.get(f"{url}/metrics", timeout=60).text.splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return {name: float(value) for name, value in pairs}


class Memory:
    """Resident memory of a process over time, in MB."""

    def __init__(self, process: int) -> None:
        self._status = Path(f"/proc/{process}/status")
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.samples: list[tuple[float, float]] = []

    def __enter__(self) -> "Memory":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        began = time.monotonic()
        while not self._done.wait(SAMPLE_SECONDS if self.samples else 0):
            kilobytes = next(line for line in self._status.read_text().splitlines() if line.startswith("VmRSS"))
            self.samples.append((time.monotonic() - began, int(kilobytes.split()[1]) / 1024))


def report(diaries: list[Diary], memory: Memory, numbers: dict[str, float], arguments: argparse.Namespace) -> None:
    seconds = np.array([each for diary in diaries for each in diary.click_seconds] or [np.nan])
    print(f"{arguments.users} users, 4 scans, {arguments.seconds:g} s: {sum(len(d.hashes) for d in diaries)} steps")
    refused = sum(text.startswith("refused") for diary in diaries for text in diary.hashes)
    print(f"clicks: {len(seconds)}, p50 {np.quantile(seconds, 0.5):.2f} s, p95 {np.quantile(seconds, 0.95):.2f} s")
    print(f"refused as no usable click: {refused}")
    print(f"scans uploaded: {len(diaries) + sum(d.closed for d in diaries)}, closed: {sum(d.closed for d in diaries)}")
    for diary in diaries:
        for error in diary.errors:
            print("ERROR:", error)
    busy = sum(value for name, value in numbers.items() if "requests_total" in name and 'status="429"' in name)
    failed = sum(
        value
        for name, value in numbers.items()
        if "requests_total" in name and 'status="5' in name and "health" not in name
    )
    print(f"errors: {sum(len(d.errors) for d in diaries)}, answers 429: {busy:.0f}, answers 5xx: {failed:.0f}")
    for name in ("evicted", "returned", "saved"):
        print(f"sessions {name}: {numbers[f'openvista_sessions_{name}_total']:.0f}")
    print(f"memory of open sessions at the end: {numbers['openvista_session_bytes'] / 2**20:.0f} MB")
    every = max(1, len(memory.samples) // 12)
    print("resident MB at seconds:", ", ".join(f"{t:.0f}: {mb:.0f}" for t, mb in memory.samples[::every]))
    print(f"resident MB at most: {max(mb for _, mb in memory.samples):.0f}")


if __name__ == "__main__":
    main()
