"""Server-sent events: what happens in a session, told to who listens (HTML standard, "Server-sent events")."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

from openvista.errors import ServiceError

_MOST_LISTENERS = 16
_MOST_WAITING = 200
_HEARTBEAT_SECONDS = 15.0
_LOOK_SECONDS = 0.5
"""So often a listener looks whether the server stops."""


class Streams:
    """The listeners of one session."""

    def __init__(self) -> None:
        self._queues: set[asyncio.Queue[str]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None

    def publish(self, event: str, data: dict[str, Any]) -> None:
        """Tell everybody; from any thread."""
        if self._loop is None or not self._queues:
            return
        text = f"event: {event}\ndata: {json.dumps(data)}\n\n"
        self._loop.call_soon_threadsafe(self._deliver, text)

    def _deliver(self, text: str) -> None:
        for queue in self._queues:
            if queue.full():  # a listener that does not read loses the oldest, and the server no memory
                queue.get_nowait()
            queue.put_nowait(text)

    def open(self, over: Callable[[], bool]) -> AsyncIterator[str]:
        """A new listener's events, until it leaves or the server stops.

        Args:
            over: tells when to end.

        Raises:
            ServiceError: 429, too many listen.
        """
        if len(self._queues) >= _MOST_LISTENERS:
            message = f"{_MOST_LISTENERS} listen to this session already"
            raise ServiceError(message, status=429, code="many-listeners", retry_after=5)
        self._loop = asyncio.get_running_loop()
        queue: asyncio.Queue[str] = asyncio.Queue(_MOST_WAITING)
        self._queues.add(queue)
        return self._events(queue, over)

    async def _events(self, queue: "asyncio.Queue[str]", over: Callable[[], bool]) -> AsyncIterator[str]:
        heard = time.monotonic()
        try:
            yield ": listening\n\n"
            while not over():
                try:
                    yield await asyncio.wait_for(queue.get(), _LOOK_SECONDS)
                    heard = time.monotonic()
                except (TimeoutError, asyncio.TimeoutError):
                    if time.monotonic() - heard > _HEARTBEAT_SECONDS:
                        heard = time.monotonic()
                        yield ": still here\n\n"
        finally:
            self._queues.discard(queue)
