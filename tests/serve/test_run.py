"""The parent, its worker, and what becomes of one without the other."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import numpy as np
import pytest
from serving import CLICK, SECONDS, labels, open_session, process, wait_until_saved, work

from openvista.io.session_file import read_session


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


@pytest.mark.slow
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


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc to find the worker")
def test_a_worker_ends_with_its_parent(automatic_only, tmp_path):
    """Otherwise it would hold the port and the state folder, and nobody could start another."""
    with process(automatic_only, tmp_path / "state") as (started, http):
        worker = worker_of(started.pid)
        started.kill()
        end = time.monotonic() + SECONDS
        while time.monotonic() < end and Path(f"/proc/{worker}").exists():
            time.sleep(0.1)
        assert not Path(f"/proc/{worker}").exists()
        with pytest.raises(httpx.TransportError):
            http.get("/v1/health/live")


@pytest.mark.slow
def test_a_worker_that_cannot_start_is_not_started_again(automatic_only, tmp_path):
    with process(automatic_only, tmp_path / "state"):
        command = [sys.executable, "-m", "openvista", "serve", "--port", "0", "--model", str(automatic_only)]
        second = subprocess.run(
            [*command, "--state", str(tmp_path / "state")], capture_output=True, text=True, timeout=SECONDS
        )
    assert second.returncode == 2
    assert second.stderr.count("another server uses it") == 1


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
