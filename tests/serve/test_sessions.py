"""Sessions go to disk and come back: for room, for idleness, over restarts, and after the worst."""

import time

import numpy as np
import pytest
from serving import Running, ct_file, labels, open_session, running, work


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
