"""What a kept session says of itself while a thread works in it."""

import asyncio
from datetime import datetime, timezone

from openvista.serve.kept_session import KeptSession


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
