"""Three steps that overlap give what they give one after another; what goes wrong with an item stays with it."""

import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from openvista.memory import free_host_memory
from openvista.pipeline import UNSHARED, Pipeline, Room

TOO_MUCH = 2**62
"""Bytes that no machine has."""


class Work:
    """Turns n into n squared, and notes when each step begins and ends."""

    def __init__(self, needed: int = 0, seconds: float = 0.01) -> None:
        self.needed, self.seconds = needed, seconds
        self.notes: list[tuple[str, int, float, float]] = []
        self.results: list[int] = []
        self.ended: list[tuple[int, str]] = []
        self.early: list[bool] = []
        self.begun: set[tuple[str, int]] = set()
        self.beside: dict[tuple[str, int], set[tuple[str, int]]] = {}
        self.wrong: dict[tuple[str, int], list[BaseException]] = {}
        self.pipeline = Pipeline(
            self.read, self.compute, self.write, self.end, lambda error: type(error) is MemoryError
        )

    def step(self, name: str, item: int) -> None:
        began = time.monotonic()
        self.begun.add((name, item))
        time.sleep(self.seconds)
        until = began + 10
        while not self.beside.get((name, item), set()) <= self.begun:
            assert time.monotonic() < until, f"{self.beside[name, item]} does not begin while {name} is at {item}"
            time.sleep(0.001)
        self.notes.append((name, item, began, time.monotonic()))
        if errors := self.wrong.get((name, item)):
            raise errors.pop()

    def read(self, item: int, room: Room) -> int:
        room.wait(self.needed)
        self.early.append(room.allows(self.needed))
        self.step("read", item)
        return item

    def compute(self, item: int) -> tuple[int, int]:
        self.step("compute", item)
        return item, item**2

    def write(self, computed: tuple[int, int]) -> None:
        self.step("write", computed[0])
        self.results.append(computed[1])

    def end(self, item: int, error: Exception | None) -> None:
        self.ended.append((item, "" if error is None else type(error).__name__))

    def of(self, name: str) -> dict[int, tuple[float, float]]:
        return {item: (began, ended) for step, item, began, ended in self.notes if step == name}


def test_one_is_read_and_one_written_while_one_is_computed():
    work = Work()
    work.beside = {("compute", item): {("read", item + 1), ("write", item - 1)} for item in range(1, 5)}
    work.pipeline.run(range(6))
    assert work.results == [0, 1, 4, 9, 16, 25]
    assert work.ended == [(item, "") for item in range(6)]
    read, computed, written = work.of("read"), work.of("compute"), work.of("write")
    for item in range(4):
        assert read[item + 2][0] >= computed[item][1], "one ahead, not two"
        assert computed[item + 2][0] >= written[item][1], "one behind, not two"


@pytest.mark.skipif(sys.platform != "linux", reason="threads have no priority of their own")
def test_what_works_beside_the_network_leaves_it_the_cores():
    def cores() -> tuple[int, int]:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id()), torch.get_num_threads()

    threads, here = torch.get_num_threads(), cores()
    torch.set_num_threads(4)
    try:
        seen: list[list[tuple[int, int]]] = []
        Pipeline(
            lambda item, room: [cores()], lambda found: [*found, cores()], lambda found: seen.append([*found, cores()]),
            lambda item, error: None,
        ).run(range(2))  # fmt: skip
        assert seen == [[(10, 2), (here[0], 4), (10, 2)]] * 2
        assert cores() == (here[0], 4)
        with ThreadPoolExecutor(1) as later:
            assert later.submit(cores).result() == (here[0], 4)
    finally:
        torch.set_num_threads(threads)


def test_without_threads_the_results_are_the_same():
    work = Work(needed=TOO_MUCH)
    work.pipeline.one_by_one(range(3))
    assert work.results == [0, 1, 4]
    assert work.early == [False] * 3
    assert [note[:2] for note in work.notes] == [
        (step, item) for item in range(3) for step in ("read", "compute", "write")
    ]


def test_a_scan_is_read_ahead_only_if_it_fits():
    work = Work(needed=TOO_MUCH)
    work.pipeline.run(range(4))
    assert work.results == [0, 1, 4, 9]
    assert work.early == [True] * 4, "alone, each may do all at once"
    read, written = work.of("read"), work.of("write")
    assert all(read[item + 1][0] >= written[item][1] for item in range(3))
    assert UNSHARED.wait(TOO_MUCH) is None


def test_a_quarter_of_the_free_memory_may_be_taken_ahead():
    work = Work(needed=free_host_memory() // 8)
    work.beside["compute", 0] = {("read", 1)}
    work.pipeline.run(range(3))
    assert work.results == [0, 1, 4]


@pytest.mark.parametrize("step", ["read", "compute", "write"])
def test_what_goes_wrong_stays_with_its_item(step):
    work = Work()
    work.wrong[step, 1] = [ValueError()]
    work.pipeline.run(range(4))
    assert work.ended == [(0, ""), (1, "ValueError"), (2, ""), (3, "")]
    assert work.results == [0, 4, 9]


def test_what_found_no_memory_is_tried_again_alone():
    work = Work()
    work.wrong["compute", 0] = [MemoryError(), MemoryError()]
    work.wrong["compute", 1] = [MemoryError()]
    work.pipeline.run(range(3))
    assert work.ended == [(2, ""), (0, "MemoryError"), (1, "")]
    assert work.results == [4, 1]


@pytest.mark.parametrize("needed", [0, TOO_MUCH])
def test_ctrl_c_ends_it_with_nothing_half_written(needed):
    work = Work(needed)
    work.wrong["compute", 2] = [KeyboardInterrupt()]
    with pytest.raises(KeyboardInterrupt):
        work.pipeline.run(range(100))
    assert work.results == [0, 1]
    assert len(work.of("read")) <= 4
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith(("read", "write"))] == []


def test_whoever_waits_for_items_gets_what_is_done():
    """As a worker does, that is given the next scan when the last one has come back."""
    work = Work()
    done = threading.Condition()

    def items():
        for item in range(3):
            with done:
                assert done.wait_for(lambda: len(work.results) == item, timeout=10), "the last one never came"  # noqa: B023
            yield item

    def write(computed):
        with done:
            work.write(computed)
            done.notify_all()

    Pipeline(work.read, work.compute, write, work.end).run(items())
    assert work.results == [0, 1, 4]
