"""Connections that send nothing, or as little as they can: uvicorn waits for ever for a header, and for every peer.

A connection has so many seconds for each request's header, and a peer so many connections; :class:`BodyLimit` sees to
the body. What a trusted proxy opens is the proxy's to limit.
"""

import asyncio
import ipaddress
import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from uvicorn.protocols.http.auto import AutoHTTPProtocol

from openvista.serve.settings import Settings


def _answer(status: str, code: str, detail: str) -> bytes:
    """An answer for a connection that has asked nothing yet, and so has no request to be answered."""
    body = json.dumps({"detail": detail, "code": code})
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return f"{head}Retry-After: 10\r\nConnection: close\r\n\r\n{body}".encode()


_BUSY = _answer("503 Service Unavailable", "connections", "too many connections from your address; close some")
_LATE = _answer("408 Request Timeout", "slow-request", "the request's header took too long")


class Peers:
    """Who is connected how often.

    Args:
        most: connections of one address.
        trusted: addresses and networks of proxies, which are not counted.
    """

    def __init__(self, most: int, trusted: Sequence[str]) -> None:
        self._most, self._trusted = most, trusted
        self._open: Counter[str] = Counter()

    def enter(self, address: str) -> bool:
        """Count a connection; False when there are too many from there."""
        if is_trusted(address, self._trusted):
            return True
        if self._open[address] >= self._most:
            return False
        self._open[address] += 1
        return True

    def leave(self, address: str) -> None:
        """A connection that was counted is gone."""
        if self._open[address] > 1:
            self._open[address] -= 1
        else:
            self._open.pop(address, None)


def is_trusted(address: str, trusted: Sequence[str]) -> bool:
    """Whether an address is one of these, or lies in one of these networks."""
    try:
        peer = ipaddress.ip_address(address)
        return any(peer in ipaddress.ip_network(each, strict=False) for each in trusted)
    except ValueError:
        return False


def bounded_protocol(settings: Settings) -> type[asyncio.Protocol]:
    """uvicorn's protocol with these limits; one class for each server, since its peers are its own."""
    peers = Peers(settings.peer_connections, settings.proxies)
    seconds = settings.header_seconds

    class Bounded(AutoHTTPProtocol):  # type: ignore[misc, valid-type]
        """A connection that ends when it asks for nothing."""

        peer: str | None = None
        deadline: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            address = (transport.get_extra_info("peername") or ("",))[0]
            if not peers.enter(address):
                transport.write(_BUSY)
                transport.close()
                return
            self.peer = address
            self._expect_header()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self._asks():
                self._stop_waiting()
            elif self.deadline is None:  # a header began and is not complete
                self._expect_header()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop_waiting()
            if self.peer is not None:
                peers.leave(self.peer)
                self.peer = None
            super().connection_lost(exc)

        def _asks(self) -> bool:
            cycle = getattr(self, "cycle", None)
            return cycle is not None and not cycle.response_complete

        def _expect_header(self) -> None:
            self.deadline = asyncio.get_running_loop().call_later(seconds, self._too_late)

        def _stop_waiting(self) -> None:
            if self.deadline is not None:
                self.deadline.cancel()
                self.deadline = None

        def _too_late(self) -> None:
            self.deadline = None
            if not self._asks() and not self.transport.is_closing():
                self.transport.write(_LATE)
                self.transport.close()

    return Bounded
