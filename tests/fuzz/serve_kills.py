"""kill -9 and Ctrl-C at random moments of ``openvista serve``: a part of ``make kills``.

Alone: ``PYTHONPATH=tests:tests/serve python tests/fuzz/serve_kills.py --kills 100``.

A client works in a session: classes, clicks, undo, label maps. What it was told is safe (``saved_revision``) is there
after a kill -9, and after Ctrl-C everything is; the label map of a revision is the one that was seen of it. Nine kills
of ten hit a worker that is a fork of this process, the tenth a server that was started as users do.
"""

import argparse
import hashlib
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
from serving import CLICK, ct_file, labels, make_model

from openvista.io.session_file import read_session
from openvista.serve.run import listen, serve_here, set_up_logging
from openvista.serve.settings import make_settings

_SAVED_AFTER = 1.0  # seconds after a change, says docs/serving.md
_PATIENCE = 120.0


@dataclass
class Session:
    """What a client knows of its session.

    Attributes:
        address: of the session.
        seen: digest of the label map by revision.
        safe: the newest revision that the server called saved.
        killed: with -9, since we looked: what was not saved may be lost.
    """

    address: str
    seen: dict[int, str] = field(default_factory=dict)
    safe: int = 0
    killed: bool = False

    def look(self, http: httpx.Client) -> int:
        """Ask for revision and label map."""
        told = http.get(self.address)
        told.raise_for_status()
        self.safe = max(self.safe, told.json()["saved_revision"])
        revision = int(told.json()["revision"])
        self.seen[revision] = hashlib.sha256(labels(http, self.address).tobytes()).hexdigest()
        return revision

    def check(self, http: httpx.Client) -> None:
        """After another start: nothing safe is lost, and nothing is another thing than it was."""
        known, safe = dict(self.seen), self.safe
        revision = self.look(http)
        least = safe if self.killed else max(known, default=0)
        if revision < least:
            raise AssertionError(f"{self.address}: revision {least} was safe, now there is {revision}")
        if known.get(revision, self.seen[revision]) != self.seen[revision]:
            raise AssertionError(f"{self.address}: the label map of revision {revision} is another one")
        self.killed = False
        self.seen = {revision: self.seen[revision]}  # later revisions that were lost get their numbers again


class Server:
    """One start of the server on a state folder.

    Attributes:
        url: where it answers.
        pid: what is killed.
    """

    def __init__(self, model: Path, state: Path, as_users_do: bool) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._workers: list[psutil.Process] = []
        choices = {"models": (str(model),), "state": state, "precision": "float32", "drain_seconds": 20.0}
        if as_users_do:
            command = [sys.executable, "-m", "openvista", "serve", "--port", "0", "--quiet"]
            command += ["--model", str(model), "--state", str(state)]
            environment = os.environ | {"OPENVISTA_SERVE_PRECISION": "float32", "OPENVISTA_SERVE_DRAIN_SECONDS": "20"}
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
            assert self._process.stdout is not None
            self.url, self.pid = "http://" + self._process.stdout.readline().split("http://")[1].split()[0], 0
            self.pid = self._process.pid
            return
        settings = make_settings(port=0, **choices)
        listener = listen(settings)
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self.pid = os.fork()
        if self.pid == 0:
            _serve(settings, listener)
        listener.close()

    def kill(self, how: signal.Signals) -> None:
        """The signal that this process gets when somebody presses Ctrl-C, or kill -9."""
        if self._process is not None:
            self._workers = psutil.Process(self.pid).children()
        elif how == signal.SIGINT:
            how = signal.SIGTERM  # a worker gets it from its parent
        os.kill(self.pid, how)

    def wait(self, how: signal.Signals) -> None:
        """Until it is gone, with the exit status that belongs to the signal."""
        if self._process is not None:
            status = self._process.wait(_PATIENCE)
            psutil.wait_procs(self._workers, _PATIENCE)
        else:
            end = time.monotonic() + _PATIENCE
            while (ended := os.waitpid(self.pid, os.WNOHANG)) == (0, 0):
                assert time.monotonic() < end, f"still runs {_PATIENCE:g} s after {how.name}"
                time.sleep(0.01)
            status = os.waitstatus_to_exitcode(ended[1])
        wanted = (-signal.SIGKILL,) if how == signal.SIGKILL else (0, -signal.SIGTERM)
        assert status in wanted, f"ended with {status} after {how.name}"


def _serve(settings: object, listener: socket.socket) -> None:
    """In the child: what ``openvista.serve.worker`` does, and end."""
    status = 1
    set_up_logging(-1)
    try:
        serve_here(settings, listener)  # type: ignore[arg-type]
        status = 0
    finally:
        os._exit(status)


def work(http: httpx.Client, session: Session, draw: random.Random, doing: list[str]) -> None:
    """What users do, without end."""
    while True:
        doing[0] = draw.choice(["click", "click", "classes", "undo", "export", "wait"])
        if doing[0] == "wait":
            time.sleep(_SAVED_AFTER + 0.3)
        elif doing[0] == "export":
            http.get(f"{session.address}/export", params={"format": "ovsession"}).raise_for_status()
        elif doing[0] == "classes":
            http.post(f"{session.address}/classes", json={"classes": ["liver", "brainstem"]}).raise_for_status()
        elif doing[0] == "click":
            voxel = [draw.uniform(2, 12), *CLICK["voxel"][1:]]
            http.post(f"{session.address}/clicks", json={"object": 5, "clicks": [{"voxel": voxel}]})
        else:
            http.post(f"{session.address}/undo")
        session.look(http)


@contextmanager
def killed_after(server: Server, how: signal.Signals, seconds: float) -> Iterator[threading.Event]:
    """Killed so long after now; the event says that it has been."""
    done = threading.Event()

    def kill() -> None:
        done.set()
        server.kill(how)

    timer = threading.Timer(seconds, kill)
    timer.start()
    try:
        yield done
    finally:
        timer.join()
        server.wait(how)


def check_whole(state: Path) -> None:
    """Every session on disk is whole."""
    for path in state.rglob("*.ovsession"):
        if not path.name.startswith("."):
            read_session(path)


def open_session(http: httpx.Client, ct: Path) -> Session:
    with ct.open("rb") as file:
        uploaded = http.post("/api/v1/scans", files={"file": (ct.name, file)})
    uploaded.raise_for_status()
    opened = http.post("/api/v1/sessions", json={"scan_id": uploaded.json()["id"]})
    opened.raise_for_status()
    session = Session(f"/api/v1/sessions/{opened.json()['id']}")
    session.look(http)
    return session


def one_life(server: Server, how: signal.Signals, seconds: float, known: list[Session], ct: Path,
             draw: random.Random) -> str:  # fmt: skip
    """Start, look at what is there, work until the kill; what was going on then."""
    doing = ["start"]
    headers = {"X-OpenVISTA-Owner": "somebody-with-secrets"}
    with (
        httpx.Client(base_url=server.url, timeout=_PATIENCE, headers=headers) as http,
        killed_after(server, how, seconds) as killed,
    ):
        try:
            while http.get("/v1/health/ready").status_code != 200:
                time.sleep(0.05)
            doing[0] = "look"
            for session in known:
                session.check(http)
            if len(known) < 2:
                doing[0] = "upload"
                known.append(open_session(http, ct))
            work(http, draw.choice(known), draw, doing)
        except (httpx.TransportError, httpx.HTTPStatusError):
            end = time.monotonic() + 5
            while not killed.is_set() and time.monotonic() < end and doing[0] == "start":
                time.sleep(0.01)
            if not killed.is_set():
                raise
    return doing[0]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=6.0, help="the kill comes at most so long after a start")
    given = parser.parse_args()
    draw, where, how_often, began = random.Random(given.seed), Counter[str](), Counter[str](), time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        model, ct = make_model(Path(folder), "tiny", ("automatic", "point")), ct_file(Path(folder) / "ct.nii.gz")
        state, known = Path(folder) / "state", list[Session]()
        for number in range(given.kills):
            how = draw.choice([signal.SIGKILL, signal.SIGINT])
            server = Server(model, state, as_users_do=number % 10 == 9)
            where[one_life(server, how, draw.uniform(0, given.seconds), known, ct, draw)] += 1
            how_often[how.name] += 1
            check_whole(state)
            for session in known:
                session.killed |= how == signal.SIGKILL
            if number % 25 == 24:
                known.clear()
        server = Server(model, state, as_users_do=False)
        one_life(server, signal.SIGINT, given.seconds, known, ct, draw)
    kinds = f"{how_often['SIGKILL']} kill -9, {how_often['SIGINT']} Ctrl-C"
    phases = ", ".join(f"{count} {text}" for text, count in where.most_common())
    spent = f"{time.monotonic() - began:.0f} s, {sum(os.times()[:4]):.0f} s of a processor"
    sys.stdout.write(f"serve: {kinds}; during: {phases}; {spent}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
