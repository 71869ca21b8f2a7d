"""Leases: who works through nnInteractive's protocol, on which image, and until when. Each is one session of ours."""

import asyncio
import hashlib
import time
from dataclasses import dataclass, field
from datetime import timedelta

from openvista.errors import ServiceError
from openvista.geometry.grid import Axis3
from openvista.prompts import Click
from openvista.serve.ids import new_secret
from openvista.serve.kept_session import KeptSession
from openvista.serve.service import Service

LIVENESS_SECONDS = 60.0
"""A client that is heard of less often is gone; the stock client tells every 30 s that it is there."""
_SWEEP_SECONDS = 10.0
_CLAIM_AGAIN_SECONDS = 10


@dataclass(eq=False)
class Lease:
    """One client's place.

    Attributes:
        token: its secret.
        kept: its session, once it has sent an image.
        shape: of its image, in the order of its array.
        grow: whether masks go on into neighbouring windows ("auto-zoom"); ``None`` for the profile's choice.
        pending: prompts that wait for a prediction, each as its clicks.
        steps: what can be undone, each as its number of the session's steps.
        revision: of the session when the client last got voxels; -1 when it has none.
        used: when it last did something, on the monotonic clock.
        heard: when it was last heard of.
    """

    token: str = field(default_factory=new_secret, repr=False)
    kept: KeptSession | None = None
    shape: Axis3 = (0, 0, 0)
    grow: bool | None = None
    pending: list[list[Click]] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    revision: int = -1
    used: float = field(default_factory=time.monotonic)
    heard: float = field(default_factory=time.monotonic)

    @property
    def owner(self) -> str:
        """Whose its scan and session are: nobody finds them without the lease's token."""
        return hashlib.sha256(self.token.encode()).hexdigest()

    @property
    def busy(self) -> bool:
        """Whether somebody is at work in its session."""
        return self.kept is not None and self.kept.lock.locked()

    def forget_prompts(self) -> None:
        """Nothing waits, and nothing can be undone."""
        self.pending.clear()
        self.steps.clear()


class Leases:
    """All leases of a server. A lease that nobody uses or hears of ends, and its image and session are deleted.

    Args:
        service: the server's.

    Attributes:
        most: how many there may be: together they leave others their scans and sessions, and stay in memory.
        idle_seconds: a lease ends that nobody uses for so long.
        scan_life: of an image since it was last used. The lease deletes it earlier, unless the server was restarted.
    """

    def __init__(self, service: Service) -> None:
        settings = service.settings
        self._service = service
        self._leases: dict[str, Lease] = {}
        self.most = min(settings.open_sessions, settings.most_owner_scans, settings.most_owner_sessions)
        self.idle_seconds = settings.idle_minutes * 60
        self.scan_life = timedelta(seconds=2 * self.idle_seconds)
        service.metrics.watch("openvista_nninteractive_leases", "Clients of nnInteractive", lambda: len(self._leases))

    async def claim(self) -> Lease:
        """A new lease.

        Raises:
            ServiceError: 503, there are as many as there may be.
        """
        await self.sweep()
        if len(self._leases) >= self.most:
            message = f"the server is at capacity: {self.most} clients work on it; try again later"
            raise ServiceError(message, status=503, code="many-leases", retry_after=_CLAIM_AGAIN_SECONDS)
        lease = Lease()
        self._leases[lease.token] = lease
        return lease

    def find(self, token: str | None) -> Lease:
        """A lease by its token; its client was heard of.

        Raises:
            ServiceError: 410, it has ended, or never was.
        """
        lease = self._leases.get(token or "")
        if lease is None or self._is_over(lease):
            raise _gone()
        lease.heard = time.monotonic()
        return lease

    def remaining_seconds(self, lease: Lease) -> float:
        """Until it ends if nobody uses it."""
        return max(0.0, lease.used + self.idle_seconds - time.monotonic())

    async def hold(self, lease: Lease, kept: KeptSession, shape: Axis3) -> None:
        """Give a lease its session on a new image.

        Raises:
            ServiceError: 410, it has ended meanwhile.
        """
        old, lease.kept, lease.shape, lease.revision = lease.kept, kept, shape, -1
        lease.forget_prompts()
        for gone in (old, None if lease.token in self._leases else kept):
            if gone is not None:
                await self._service.remove_scan(gone.scan_id)
        if lease.token not in self._leases:
            raise _gone()

    def session_of(self, lease: Lease) -> KeptSession:
        """The session that a lease works in.

        Raises:
            ServiceError: 422, no image yet; 410, somebody has deleted it.
        """
        if lease.kept is None:
            raise ServiceError("there is no image: set one first", code="no-image")
        try:
            self._service.scans.prolong(lease.kept.scan_id, self.scan_life)
            self._service.sessions.get(lease.kept.id, lease.owner)
        except ServiceError:
            raise _gone() from None
        lease.used = time.monotonic()
        return lease.kept

    async def end(self, token: str | None) -> None:
        """End a lease; nothing happens where there is none."""
        lease = self._leases.pop(token or "", None)
        if lease is not None and lease.kept is not None:
            await self._service.remove_scan(lease.kept.scan_id)

    async def sweep(self) -> None:
        """End those that are over."""
        for lease in [lease for lease in self._leases.values() if self._is_over(lease)]:
            await self.end(lease.token)

    async def keep_house(self) -> None:
        """Sweep now and then, until cancelled."""
        while True:
            await asyncio.sleep(min(_SWEEP_SECONDS, self.idle_seconds / 2))
            await self.sweep()

    async def close(self) -> None:
        """End all."""
        for token in list(self._leases):
            await self.end(token)

    def _is_over(self, lease: Lease) -> bool:
        now = time.monotonic()
        silent = now - lease.heard > LIVENESS_SECONDS or now - lease.used > self.idle_seconds
        return silent and not lease.busy


def _gone() -> ServiceError:
    return ServiceError("the lease has ended, or never was: claim another", status=410, code="lease")
