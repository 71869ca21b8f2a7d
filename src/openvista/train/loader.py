"""Samples ahead of time: threads cut the patches of the next steps while the network learns from this one.

Threads are enough, since nearly all of the work is inside torch, which lets other threads run; and they share the
prepared scans. What is drawn does not depend on who draws it (:mod:`openvista.train.samples`).
"""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

import torch

from openvista.train.samples import Sample

AHEAD = 2
"""Steps that are prepared before they are needed."""


class SampleLoader:
    """Draws samples in the background, in order.

    Args:
        draw: step and index to sample.
        groups: indices of this process's samples in each step, in groups that go through the network together.
        threads: how many draw.

    Attributes:
        waited: seconds that :meth:`take` has waited for samples.
    """

    def __init__(self, draw: Callable[[int, int], Sample], groups: list[list[int]], threads: int) -> None:
        self._draw = draw
        self._groups = groups
        self._pool = ThreadPoolExecutor(threads, "patches", initializer=torch.set_num_threads, initargs=(1,))
        self._pending: dict[int, list[list[Future[Sample]]]] = {}
        self.waited = 0.0

    def take(self, step: int) -> list[list[Sample]]:
        """The samples of a step, group by group; steps are taken one after the other."""
        for wanted in range(step, step + 1 + AHEAD):
            if wanted not in self._pending:
                self._pending[wanted] = [
                    [self._pool.submit(self._draw, wanted, index) for index in group] for group in self._groups
                ]
        started = time.monotonic()
        samples = [[future.result() for future in group] for group in self._pending.pop(step)]
        self.waited += time.monotonic() - started
        return samples

    def __enter__(self) -> "SampleLoader":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)


def sample_groups(rank: int, ranks: int, patches_per_step: int, accumulate: int) -> list[list[int]]:
    """Which samples of a step a process takes: the same ones, altogether, however many processes share them.

    Args:
        rank, ranks: this process, of how many.
        patches_per_step: samples that go through the network together.
        accumulate: groups of them per step and process.
    """
    groups = [(turn * ranks + rank) * patches_per_step for turn in range(accumulate)]
    return [list(range(first, first + patches_per_step)) for first in groups]
