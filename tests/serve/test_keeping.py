"""Sessions go to disk and come back: for room, for idleness, over restarts, and after the worst."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import numpy as np
import pytest
from serving import SECONDS, Running, ct_file, process, read_nifti, running

from openvista.io.session_file import read_session

CLICK = {"voxel": [8.0, 7.0, 6.0]}


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


def test_sessions_beyond_the_bound_go_to_disk_and_come_back(two_branches, tmp_path):
    choices = {"models": (str(two_branches),), "precision": "float32", "state": tmp_path / "state"}
    with running(**choices, open_sessions=2) as server:
        scans = [ct_file(tmp_path / f"{number}.nii.gz", seed=number) for number in range(4)]
        sessions = [open_session(server.http, scan) for scan in scans]
        before = [work(server.http, session, seed) for seed, session in enumerate(sessions)]
        for _ in range(1200):
            if "openvista_sessions_open 2.0" in server.http.get("/metrics").text:
                break
            time.sleep(0.05)
        assert "openvista_sessions_open 2.0" in server.http.get("/metrics").text
        for session, labels_XYZ in zip(sessions, before, strict=True):
            assert np.array_equal(labels(server.http, session), labels_XYZ)
            redone = server.http.post(f"{session}/redo")
            assert redone.status_code == 200, "the future came back as well"
        assert "openvista_sessions_returned_total 0.0" not in server.http.get("/metrics").text


def test_memory_stays_within_its_bound(two_branches, tmp_path):
    """Even a bound that holds next to nothing changes no result: everything is made again when needed."""
    choices = {"models": (str(two_branches),), "precision": "float32"}
    ct = ct_file(tmp_path / "ct.nii.gz")
    with running(**choices, state=tmp_path / "roomy") as server:
        expected = work(server.http, open_session(server.http, ct))
    with running(**choices, state=tmp_path / "narrow") as server:
        server.app.state.service.sessions._most_bytes = 10_000
        session = open_session(server.http, ct)
        assert np.array_equal(work(server.http, session), expected)
        assert np.array_equal(labels(server.http, session), expected)


def test_idle_sessions_go_to_disk(two_branches, tmp_path, ct):
    with running(models=(str(two_branches),), state=tmp_path / "state", idle_minutes=0.005) as server:
        session = open_session(server.http, ct)
        before = work(server.http, session)
        for _ in range(600):
            time.sleep(0.1)
            if "openvista_sessions_open 0.0" in server.http.get("/metrics").text:
                break
        assert "openvista_sessions_open 0.0" in server.http.get("/metrics").text
        assert np.array_equal(labels(server.http, session), before)


def test_old_sessions_and_scans_are_deleted(two_branches, tmp_path, ct):
    state = tmp_path / "state"
    with running(models=(str(two_branches),), state=state, keep_hours=0.0001, idle_minutes=0.001) as server:
        session = open_session(server.http, ct)
        for _ in range(600):
            time.sleep(0.1)
            if not list((state / "sessions").iterdir()) and not list((state / "scans").iterdir()):
                break
        assert server.http.get(session).status_code == 404
        assert list((state / "scans").iterdir()) == []


def test_a_restart_keeps_everything(two_branches, tmp_path, ct):
    choices = {"models": (str(two_branches),), "precision": "float32", "state": tmp_path / "state"}
    owner = {"X-OpenVISTA-Owner": "the owner before and after"}
    with running(**choices) as server:
        server.http.headers.update(owner)
        session = open_session(server.http, ct)
        before = work(server.http, session)
    with running(**choices) as server:
        assert server.http.get(session).status_code == 404, "it is still its owner's alone"
        server.http.headers.update(owner)
        assert np.array_equal(labels(server.http, session), before)
        info = server.http.get(session).json()
        assert (info["can_undo"], info["can_redo"]) == (True, True)
        assert [item["name"] for item in server.http.get("/api/v1/scans").json()["scans"]] == [ct.name[:-7]]


def test_damaged_leftovers_do_not_stop_the_start(two_branches, tmp_path, ct):
    choices = {"models": (str(two_branches),), "state": tmp_path / "state"}
    with running(**choices) as server:
        session = open_session(server.http, ct)
        work(server.http, session)
    for name in ("scans", "sessions"):
        broken = tmp_path / "state" / name / "broken"
        broken.mkdir()
        (broken / "record.json").write_text("{")
    saved = next((tmp_path / "state" / "sessions").glob("*/session.ovsession"))
    saved.write_bytes(saved.read_bytes()[:100])
    with running(**choices) as server:
        answer = server.http.get(session)
        assert answer.status_code == 422
        assert str(tmp_path) not in answer.text
        assert not (tmp_path / "state" / "scans" / "broken").exists()


def test_two_servers_do_not_share_a_folder(two_branches, tmp_path):
    from openvista.errors import InputError

    choices = {"models": (str(two_branches),), "state": tmp_path / "state"}
    with running(**choices), pytest.raises(InputError, match="another server"), running(**choices):
        pass


def test_the_folder_is_this_users_alone(server: Running):
    assert server.settings.state.stat().st_mode & 0o077 == 0


# --- as processes -------------------------------------------------------------------------------------------------


def worker_of(parent: int) -> int:
    """The worker's process id."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if int(fields[1]) == parent and b"openvista.serve.worker" in command:
                return int(entry.name)
    raise AssertionError("no worker")


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc to find the worker")
def test_a_killed_worker_is_replaced_and_a_stopped_one_finishes(two_branches, tmp_path, ct):
    """kill -9: 503 or a wait, then everything is there again. SIGTERM: what runs is finished and written."""
    with process(two_branches, tmp_path / "state") as (started, http):
        session = open_session(http, ct)
        before = work(http, session)
        wait_until_saved(http, session)
        os.kill(worker_of(started.pid), signal.SIGKILL)
        statuses = set()
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            try:
                answer = http.get(f"{session}/segmentation")
            except httpx.TransportError:  # the connection that was open died with the worker
                continue
            statuses.add(answer.status_code)
            if answer.status_code == 200:
                break
            assert answer.status_code == 503
            assert int(answer.headers["retry-after"]) >= 1
            time.sleep(0.05)
        assert 200 in statuses
        assert np.array_equal(labels(http, session), before)
        accepted = http.post(f"{session}/clicks", params={"wait": False}, json={"object": 14, "clicks": [CLICK]})
        assert accepted.status_code == 202
        started.send_signal(signal.SIGTERM)
        assert started.wait(SECONDS) == 0
    saved = read_session(tmp_path / "state" / "sessions" / session.rsplit("/", 1)[1] / "session.ovsession")
    assert 14 in [item["id"] for item in saved.manifest["items"]], "what was accepted before SIGTERM was done and kept"


def test_a_server_for_others_makes_a_token_and_prints_it_once(automatic_only, tmp_path):
    command = [sys.executable, "-m", "openvista", "serve", "--host", "0.0.0.0", "--port", "0"]
    command += ["--model", str(automatic_only), "--state", str(tmp_path / "state")]
    started = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    token = started.stdout.readline().strip().partition("?token=")[2]
    assert len(token) >= 32
    started.terminate()
    out, errors = started.communicate(timeout=SECONDS)
    assert token not in out + errors
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not [path for path in files if token.encode() in path.read_bytes()]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--model", "no-such-model"], "no model 'no-such-model'"),
        (["--root", "/no/such/folder"], "no such folder"),
        (["--token", "short"], "at least 8"),
        (["--model", "starter", "--train"], "--datastore FOLDER"),
        (["--host", "203.0.113.1"], "cannot listen"),
    ],
)
def test_what_cannot_work_is_said_at_once(options, message, tmp_path):
    from typer.testing import CliRunner

    from openvista.cli.main import app

    outcome = CliRunner().invoke(app, ["serve", "--state", str(tmp_path), *options])
    assert message in str(outcome.exception)
    assert outcome.exception.exit_code == 2
