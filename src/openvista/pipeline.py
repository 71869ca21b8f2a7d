"""While the network works on one scan, the next is read and the last one is written, each by a thread of its own."""

import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

from openvista.memory import free_host_memory

Item = TypeVar("Item")
Loaded = TypeVar("Loaded")
Computed = TypeVar("Computed")

_SHARE = 4
"""What is read ahead may take a quarter of the free memory: the scan that is computed meanwhile needs more as it goes
on."""
_LOOK_S = 0.2
_POLITE = 10
"""How much less than the network's threads the others matter (``nice``)."""


class Room:
    """Memory for a scan, as its reading asks for it. This room has no end: nothing else is in hand."""

    def wait(self, needed: int) -> None:
        """Return when so many bytes can be had, or when there is nothing left to wait for."""

    def allows(self, needed: int) -> bool:
        """Whether to do early what could be done later, and takes so many bytes."""
        return False


UNSHARED = Room()


class _SharedRoom(Room):
    """Room beside scans that are computed or written; told when one begins (``enter``) and ends (``leave``)."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._in_hand, self._stopped = 0, False

    def enter(self) -> None:
        with self._changed:
            self._in_hand += 1

    def leave(self) -> None:
        with self._changed:
            self._in_hand -= 1
            self._changed.notify_all()

    def stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def wait(self, needed: int) -> None:
        with self._changed:
            while not (self._stopped or self.allows(needed)):
                self._changed.wait(_LOOK_S)

    def allows(self, needed: int) -> bool:
        return not self._in_hand or needed <= free_host_memory() // _SHARE


@contextmanager
def _leaving_the_cores(*names: str) -> Iterator[list[ThreadPoolExecutor]]:
    """Threads that leave the cores to the network: they use half as many, and wait where both want one."""
    import torch  # late: commands that only show their help come here, too

    threads = torch.get_num_threads()

    def stand_back() -> None:
        torch.set_num_threads(max(1, threads // 2))
        if sys.platform == "linux":  # elsewhere, threads have no priority of their own
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _POLITE)

    try:
        with ExitStack() as stack:
            yield [stack.enter_context(ThreadPoolExecutor(1, name, stand_back)) for name in names]
    finally:
        torch.set_num_threads(threads)  # of threads that begin later


@dataclass
class _Read(Generic[Item, Loaded]):
    item: Item
    loaded: Loaded | None = None
    error: Exception | None = None


class Pipeline(Generic[Item, Loaded, Computed]):
    """Work in three steps; of three items in a row, one is at each step. More are never in hand.

    Results are those of :meth:`one_by_one`: each step sees one item at a time, in order, and items share nothing.

    Args:
        read: item to what computing needs. It asks the room before it takes memory.
        compute: runs in the thread that calls :meth:`run`, so that Ctrl-C ends it.
        write: what comes last.
        ended: told of each item, in order, with the exception that ended it; what it raises ends the run.
        again: whether an exception may be the fault of others in hand; then the item is tried again at the end, alone.
    """

    def __init__(
        self,
        read: Callable[[Item, Room], Loaded],
        compute: Callable[[Loaded], Computed],
        write: Callable[[Computed], None],
        ended: Callable[[Item, Exception | None], None],
        again: Callable[[Exception], bool] = lambda error: False,
    ) -> None:
        self._read, self._compute, self._write = read, compute, write
        self._ended, self._again = ended, again

    def run(self, items: Iterable[Item]) -> None:
        """Work on all items. However it ends, nothing is half done: a scan that is being written is written."""
        room, repeated = _SharedRoom(), list[Item]()
        with _leaving_the_cores("read", "write") as (reader, writer):
            try:
                self._overlap(iter(items), room, reader, writer, repeated)
            finally:
                room.stop()
        self.one_by_one(repeated)

    def one_by_one(self, items: Iterable[Item]) -> None:
        """The same work without threads."""
        for item in items:
            error = None
            try:
                self._write(self._compute(self._read(item, UNSHARED)))
            except Exception as found:  # noqa: BLE001 (told to whoever asked for the work)
                error = found
            self._ended(item, error)

    def _overlap(
        self,
        source: Iterator[Item],
        room: _SharedRoom,
        reader: ThreadPoolExecutor,
        writer: ThreadPoolExecutor,
        repeated: list[Item],
    ) -> None:
        def finish(item: Item, written: "Future[None]") -> None:
            error = written.exception()
            if isinstance(error, Exception) and self._again(error):
                repeated.append(item)
            else:
                self._ended(item, error if isinstance(error, Exception) else None)

        behind: tuple[Item, Future[None]] | None = None
        ahead = reader.submit(self._taken, source, room)
        while (taken := ahead.result()) is not None:
            room.enter()
            ahead = reader.submit(self._taken, source, room)
            written = self._computed(taken, room, writer)
            if behind is not None:
                finish(*behind)
            behind = taken.item, written
        if behind is not None:
            finish(*behind)

    def _taken(self, source: Iterator[Item], room: Room) -> "_Read[Item, Loaded] | None":
        for item in source:
            taken = _Read[Item, Loaded](item)
            try:
                taken.loaded = self._read(item, room)
            except Exception as error:  # noqa: BLE001 (of one item; told when its turn has come)
                taken.error = error
            return taken
        return None

    def _computed(self, taken: "_Read[Item, Loaded]", room: _SharedRoom, writer: ThreadPoolExecutor) -> "Future[None]":
        """Compute what was read, and have it written; keeps nothing of it."""
        loaded, taken.loaded = taken.loaded, None
        failed = Future[None]()
        try:
            if taken.error is not None:
                raise taken.error
            return writer.submit(self._written, self._compute(loaded), room)  # type: ignore[arg-type]
        except Exception as error:  # noqa: BLE001 (of one item; told when its turn has come)
            failed.set_exception(error)
            room.leave()
        return failed

    def _written(self, computed: Computed, room: _SharedRoom) -> None:
        try:
            self._write(computed)
        finally:
            room.leave()
