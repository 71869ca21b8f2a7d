"""Samples in the background: in order, the same whoever draws, and waiting is counted."""

import threading
import time

import pytest

from openvista.train.loader import SampleLoader, sample_groups


def test_steps_come_in_order_and_ahead_of_time():
    drawn = []

    def draw(step, index):
        drawn.append((step, index, threading.current_thread().name))
        return step, index

    with SampleLoader(draw, [[0, 1], [4, 5]], threads=3) as loader:
        assert loader.take(7) == [[(7, 0), (7, 1)], [(7, 4), (7, 5)]]
        assert loader.take(8) == [[(8, 0), (8, 1)], [(8, 4), (8, 5)]]
    assert {step for step, _, _ in drawn} >= {7, 8, 9}  # more was begun
    assert all(name.startswith("patches") for _, _, name in drawn)


def test_waiting_is_counted():
    with SampleLoader(lambda step, index: time.sleep(0.05), [[0]], threads=1) as loader:
        loader.take(0)
        assert loader.waited >= 0.04


def test_an_error_of_the_background_comes_to_the_front():
    def draw(step, index):
        raise ValueError("no patch")

    with SampleLoader(draw, [[0]], threads=1) as loader, pytest.raises(ValueError, match="no patch"):
        loader.take(0)


@pytest.mark.parametrize(("processes", "accumulate"), [(1, 4), (2, 2), (4, 1)])
def test_processes_and_groups_share_the_same_samples(processes, accumulate):
    taken = [
        index for rank in range(processes) for group in sample_groups(rank, processes, 3, accumulate) for index in group
    ]
    assert sorted(taken) == list(range(12))
