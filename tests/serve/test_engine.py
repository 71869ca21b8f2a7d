"""Queues: waiting, refusing, cancelling, telling."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from serving import SECONDS, Running, running

from openvista.io.session_file import read_session


@pytest.fixture(scope="module")
def small(two_branches, tmp_path_factory) -> Iterator[Running]:
    """A server whose queue holds two jobs."""
    state = tmp_path_factory.mktemp("small")
    with running(
        models=(str(two_branches),), precision="float32", state=state, queue=2, queue_per_session=2
    ) as started:
        yield started


@pytest.fixture
def session(small, ct) -> str:
    return open_session(small, ct)


def open_session(server: Running, ct) -> str:
    scan = server.upload(ct)["id"]
    return f"/api/v1/sessions/{server.http.post('/api/v1/sessions', json={'scan_id': scan}).json()['id']}"


@contextmanager
def device_busy(server: Running) -> Iterator[threading.Event]:
    """The device computes something else until the event is set."""
    done = threading.Event()
    server.app.state.service.engine.lanes[0]._executor.submit(done.wait, SECONDS)
    try:
        yield done
    finally:
        done.set()


def until(server: Running, address: str, *states: str) -> dict:
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        job = server.http.get(address).json()
        if job["state"] in states:
            return job
        time.sleep(0.02)
    raise AssertionError(f"the job is {job['state']}, not {states}")


def begin(server: Running, session: str, classes: list[str]) -> httpx.Response:
    return server.http.post(f"{session}/classes", params={"wait": False}, json={"classes": classes})


def test_a_job_that_nobody_waits_for(small, session):
    with device_busy(small):
        accepted = begin(small, session, ["liver"])
        assert accepted.status_code == 202
        job = f"{session}/jobs/{accepted.json()['id']}"
        assert small.http.get(job).json()["state"] == "queued"
    assert until(small, job, "done", "failed")["state"] == "done"
    assert [item["name"] for item in small.http.get(session).json()["objects"]] == ["liver"]


def test_a_full_queue_says_when_to_come_again(small, ct):
    one, two, three = (open_session(small, ct) for _ in range(3))
    with device_busy(small):
        first, second = begin(small, one, ["liver"]), begin(small, two, ["liver"])
        refused = small.http.post(f"{three}/classes", json={"classes": ["liver"]})
        also = begin(small, three, ["liver"])
        for answer in (refused, also):
            assert answer.status_code == 429
            assert answer.json()["code"] == "queue-full"
            assert int(answer.headers["retry-after"]) >= 1
        assert "openvista_jobs_refused_total 2.0" in small.http.get("/metrics").text
    until(small, f"{one}/jobs/{first.json()['id']}", "done")
    until(small, f"{two}/jobs/{second.json()['id']}", "done")
    assert small.http.post(f"{three}/classes", json={"classes": ["liver"]}).status_code == 200


def test_one_session_cannot_fill_the_queue_of_all(small, session):
    with device_busy(small):
        assert begin(small, session, ["liver"]).status_code == 202
        assert begin(small, session, ["brainstem"]).status_code == 202
        refused = begin(small, session, ["spinal cord"])
        assert refused.status_code == 429
        assert refused.json()["code"] == "session-queue-full"


def test_cancelling_what_waits_leaves_the_session_as_it_was(small, session):
    with device_busy(small):
        running_job = begin(small, session, ["liver"]).json()["id"]
        waiting = begin(small, session, ["brainstem"]).json()["id"]
        assert small.http.post(f"{session}/cancel").json() == {"cancelled": 2}
    for job in (running_job, waiting):
        ended = until(small, f"{session}/jobs/{job}", "cancelled", "done")
        assert ended["state"] == "cancelled"
        assert ended["problem"]["code"] == "cancelled"
    assert small.http.get(session).json()["objects"] == []
    assert small.http.post(f"{session}/cancel").json() == {"cancelled": 0}


def test_cancelling_what_runs_stops_it_at_the_next_step(small, session):
    """The running job is stopped in its own progress report, which is where a long one looks."""
    kept = small.app.state.service.sessions.get(session.rsplit("/", 1)[-1], None)
    workspace_used = threading.Event()

    def slow(workspace, report):
        from openvista.inference.progress import Progress

        for step in range(2000):
            workspace_used.set()
            report(Progress("encode", step, 2000))
            time.sleep(0.01)

    job = kept.new_job("slow")
    sessions = small.app.state.service.sessions
    future = asyncio.run_coroutine_threadsafe(sessions.compute(kept, job, slow), small.loop)
    assert workspace_used.wait(SECONDS)
    assert until(small, f"{session}/jobs/{job.id}", "running")["progress"]["total"] == 2000
    assert small.http.post(f"{session}/cancel").json() == {"cancelled": 1}
    with pytest.raises(Exception, match="cancelled"):
        future.result(SECONDS)


def test_events_tell_of_jobs_progress_and_changes(small, session):
    heard: list[tuple[str, dict]] = []
    listening = threading.Event()

    def listen() -> None:
        with httpx.stream("GET", f"{small.url}{session}/events", timeout=SECONDS) as stream:
            assert stream.headers["content-type"].startswith("text/event-stream")
            event = ""
            for line in stream.iter_lines():
                listening.set()
                if line.startswith("event: "):
                    event = line.removeprefix("event: ")
                elif line.startswith("data: "):
                    heard.append((event, json.loads(line.removeprefix("data: "))))
                    if event == "change":
                        return

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    assert listening.wait(SECONDS)
    small.http.post(f"{session}/classes", json={"classes": ["liver"]})
    listener.join(SECONDS)
    assert not listener.is_alive()
    states = [data["state"] for event, data in heard if event == "job"]
    assert states[0] == "running"
    assert states[-1] == "done"
    assert any(data.get("progress") for _, data in heard)
    assert heard[-1] == ("change", {"revision": 1})


def test_what_goes_wrong_in_a_job_is_told_by_it(small, session):
    accepted = begin(small, session, ["lever"])
    ended = until(small, f"{session}/jobs/{accepted.json()['id']}", "failed", "done")
    assert ended["problem"]["code"] == "class"
    assert "'liver'" in ended["problem"]["detail"]
    assert small.http.get(f"{session}/jobs/unknown").status_code == 404


def test_requests_of_one_session_are_answered_in_order(small, session):
    """Ten threads, one session: each click is there afterwards, and the revisions count them."""
    small.http.post(f"{session}/objects", json={"name": "lesion"})

    def click(number: int) -> None:
        for _ in range(100):
            content = {"object": "lesion", "clicks": [{"voxel": [number, 5, 5]}], "grow": False}
            answer = httpx.post(f"{small.url}{session}/clicks", json=content, timeout=SECONDS)
            if answer.status_code == 200:
                return
            assert answer.status_code == 429
            time.sleep(0.05)

    threads = [threading.Thread(target=click, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    info = small.http.get(session).json()
    assert info["revision"] == 7
    assert sorted(click["voxel"][0] for click in info["objects"][0]["clicks"]) == [0, 1, 2, 3, 4, 5]


def test_numbers_for_prometheus(small, session):
    text = small.http.get("/metrics").text
    assert 'openvista_requests_total{method="POST",route="/api/v1/scans",status="201"}' in text
    assert 'openvista_queue_length{device="auto"} 0.0' in text
    assert "openvista_sessions " in text
    assert "openvista_session_bytes " in text
    assert session.rsplit("/", 1)[-1] not in text


def test_what_was_accepted_is_done_before_a_stop(two_branches, tmp_path, ct):
    """Three jobs wait when the server is told to stop, one of them behind another of its session: all had their 202."""
    with running(models=(str(two_branches),), precision="float32", state=tmp_path) as server:
        one, two = open_session(server, ct), open_session(server, ct)
        done = threading.Event()
        server.app.state.service.engine.lanes[0]._executor.submit(done.wait, SECONDS)
        asked = [(one, "liver"), (two, "liver"), (one, "brainstem")]
        assert [begin(server, session, [name]).status_code for session, name in asked] == [202, 202, 202]
        threading.Timer(0.5, done.set).start()
    for session, expected in ((one, {1, 133}), (two, {1})):
        saved = read_session(tmp_path / "sessions" / session.rsplit("/", 1)[1] / "session.ovsession")
        assert {item["id"] for item in saved.manifest["items"]} == expected


def test_what_takes_longer_than_the_drain_is_told_to_stop(two_branches, tmp_path, ct):
    with running(models=(str(two_branches),), state=tmp_path, drain_seconds=0.1) as server:
        session = open_session(server, ct)
        done = threading.Event()
        server.app.state.service.engine.lanes[0]._executor.submit(done.wait, SECONDS)
        assert begin(server, session, ["liver"]).status_code == 202
        job = server.app.state.service.sessions._kept[session.rsplit("/", 1)[1]].active_job
        threading.Timer(1.5, done.set).start()
    assert job.state.value == "cancelled"
