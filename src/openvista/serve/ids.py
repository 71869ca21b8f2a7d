"""Ids and secrets that nobody guesses, and what an owner may find by them. Scans and sessions are kept alike."""

import secrets
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Protocol, TypeVar

from openvista.errors import ServiceError


class Owned(Protocol):
    """What a server keeps for somebody: ``owner`` is ``None`` where whoever knows the id may use it."""

    @property
    def owner(self) -> str | None: ...
    @property
    def created(self) -> datetime: ...


T = TypeVar("T", bound=Owned)


def new_secret() -> str:
    """256 random bits, for tokens and owners; ids take half of that."""
    return secrets.token_urlsafe(32)


def new_id() -> str:
    """128 random bits: an id that nobody guesses."""
    return secrets.token_urlsafe(16)


def find_owned(kept: Mapping[str, T], item_id: str, owner: str | None, kind: str) -> T:
    """What an owner keeps under an id.

    Raises:
        ServiceError: 404, there is none, or it is somebody else's.
    """
    item = kept.get(item_id)
    if item is None or (item.owner is not None and item.owner != owner):
        raise no_such(kind)
    return item


def list_owned(kept: Iterable[T], owner: str | None) -> list[T]:
    """What an owner keeps, newest first; nothing for nobody."""
    mine = [item for item in kept if owner is not None and item.owner == owner]
    return sorted(mine, key=lambda item: item.created, reverse=True)


def require_room(count: int, most: int, kinds: str) -> None:
    """Say so when a server keeps as many scans or sessions as it may.

    Raises:
        ServiceError: 429.
    """
    if count >= most:
        message = f"the server keeps {most} {kinds}, its most; delete one"
        raise ServiceError(message, status=429, code=f"many-{kinds}", retry_after=60)


def no_such(kind: str) -> ServiceError:
    """404 for a scan, a session or a job."""
    return ServiceError(f"there is no such {kind}", status=404, code="not-found")
