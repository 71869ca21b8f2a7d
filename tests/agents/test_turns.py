"""One job at a time, cancelled where it reports, bounded."""

import asyncio
import threading
import time
from collections.abc import Iterator

import pytest

from openvista.agents.turns import MOST_WAITING, Turns
from openvista.errors import ScanError, ServiceError
from openvista.inference.progress import Progress

SECONDS = 15.0


async def nobody(_: Progress) -> None:
    pass


@pytest.fixture
def turns() -> Iterator[Turns]:
    made = Turns()
    yield made
    made.close()


def until_cancelled(report) -> str:
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        report(Progress("encode", 1, 2))
        time.sleep(0.005)
    return "not cancelled"


def test_jobs_run_one_after_the_other_and_waiting_ones_are_bounded(turns):
    gate, running = threading.Event(), []

    def work(report) -> int:
        running.append(1)
        gate.wait(SECONDS)
        most = len(running)
        running.pop()
        return most

    kept = [turns.submit("hold", work) for _ in range(MOST_WAITING + 1)]
    with pytest.raises(ServiceError, match="8 jobs wait already"):
        turns.submit("hold", work)
    assert kept[1].job.state == "queued"
    gate.set()
    assert [turn.future.result(SECONDS) for turn in kept] == [1] * len(kept)


def test_a_running_job_ends_where_it_reports(turns):
    turn = turns.submit("segment", until_cancelled)
    told = []

    async def tell(progress: Progress) -> None:
        told.append(progress)
        turn.cancel()

    asyncio.run(turn.wait(SECONDS, tell))
    assert told == [Progress("encode", 1, 2)]
    assert turn.job.info().state == "cancelled"
    with pytest.raises(ServiceError, match="cancelled"):
        turn.answer()


def test_who_does_not_wait_any_more_cancels(turns):
    async def give_up() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(turns.run("click", until_cancelled, nobody), 0.3)

    asyncio.run(give_up())
    assert asyncio.run(asyncio.wait_for(turns.run("click", lambda _: "next", nobody), SECONDS / 3)) == "next"


def test_a_failure_is_told_in_one_line_and_the_next_job_runs(turns, caplog):
    def refuse(report) -> str:
        raise ScanError("ct.nii.gz: damaged; export it again")

    def break_down(report) -> str:
        raise RuntimeError("secret")

    with pytest.raises(ServiceError, match=r"ct\.nii\.gz: damaged; export it again"):
        asyncio.run(turns.run("segment", refuse, nobody))
    with pytest.raises(ServiceError, match="the server failed; its log says why"):
        asyncio.run(turns.run("segment", break_down, nobody))
    assert "secret" in caplog.text
    with pytest.raises(ServiceError, match="no such job 'x'"):
        turns.find("x")
