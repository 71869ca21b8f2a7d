"""Many files at once, but not too many."""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

MOST_WORKERS = 4
"""Each holds a scan and its label maps in memory; unpacking and counting run outside Python's lock."""


def in_parallel(
    work: Callable[[Item], Result],
    items: Iterable[Item],
    workers: int | None = None,
    done: Callable[[], None] = lambda: None,
) -> list[Result]:
    """The results of ``work`` in the order of ``items``; on an error, or Ctrl-C, what has not begun is dropped.

    Args:
        work: called in a thread.
        items: what to work on.
        workers: threads; default is one per core, at most four.
        done: called after each item, in its order.
    """
    count = workers or min(MOST_WORKERS, os.cpu_count() or 1)
    pool = ThreadPoolExecutor(max_workers=count)
    try:
        results = []
        for result in pool.map(work, items):
            results.append(result)
            done()
        return results
    finally:
        pool.shutdown(cancel_futures=True)
