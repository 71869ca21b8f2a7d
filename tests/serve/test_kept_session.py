"""What a kept session says of itself while a thread works in it."""

import asyncio
from datetime import datetime, timezone

from openvista.serve import kept_session
from openvista.serve.kept_session import KeptSession, Streams


class Workspace:
    """One whose size may be asked for only when nobody is at work, as real ones are."""

    def __init__(self, kept: KeptSession) -> None:
        self.kept = kept
        self.size = 10

    @property
    def nbytes(self) -> int:
        assert not self.kept.lock.locked()
        return self.size


def test_a_session_at_work_is_as_large_as_before(tmp_path):
    async def use() -> list[int]:
        kept = KeptSession("id", "owner", "scan", "model", datetime.now(timezone.utc), tmp_path, 4)
        kept.workspace = Workspace(kept)
        sizes = [kept.nbytes]
        async with kept.lock:
            kept.workspace.size = 20
            sizes.append(kept.nbytes)
        return [*sizes, kept.nbytes]

    assert asyncio.run(use()) == [10, 10, 20]


def test_listeners_get_events_and_signs_of_life(monkeypatch):
    """Byte by byte as it goes over the wire."""
    monkeypatch.setattr(kept_session, "_HEARTBEAT_SECONDS", 0.05)
    streams, sent = Streams(), []

    async def receive() -> dict:
        await asyncio.sleep(3600)
        return {"type": "http.disconnect"}

    async def send(message: dict) -> None:
        sent.append(message)

    async def listen() -> None:
        end = asyncio.get_running_loop().time() + 0.3
        answer = streams.open(lambda: asyncio.get_running_loop().time() > end)
        streams.publish("change", {"revision": 2})
        await answer({"type": "http", "method": "GET"}, receive, send)

    asyncio.run(listen())
    assert (b"content-type", b"text/event-stream; charset=utf-8") in sent[0]["headers"]
    bodies = [message["body"] for message in sent[1:]]
    assert bodies[:2] == [b": listening\n\n", b'event: change\ndata: {"revision": 2}\n\n']
    assert b": still here\n\n" in bodies
    assert not streams._queues, "who has gone is forgotten"
