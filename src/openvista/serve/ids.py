"""Ids and secrets that nobody guesses, and what an owner may find by them. Scans and sessions are kept alike."""

import secrets
from collections.abc import Collection, Iterable, Mapping
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


def require_room(kept: Collection[Owned], owner: str | None, most: int, most_owned: int, kinds: str) -> None:
    """Say so when a server keeps as many scans or sessions as it may, in all or of one user.

    Args:
        kept: all of them.
        owner: who wants to add one; those who do not say count together.
        most, most_owned: in all, and of one user.
        kinds: "scans" or "sessions".

    Raises:
        ServiceError: 429.
    """
    if sum(item.owner == owner for item in kept) >= most_owned:
        message = f"you keep {most_owned} {kinds}, the most of one user; delete one"
        raise ServiceError(message, status=429, code=f"many-{kinds}", retry_after=60)
    if len(kept) >= most:
        message = f"the server keeps {most} {kinds}, its most; delete one"
        raise ServiceError(message, status=429, code=f"many-{kinds}", retry_after=60)


def no_such(kind: str) -> ServiceError:
    """404 for a scan, a session or a job."""
    return ServiceError(f"there is no such {kind}", status=404, code="not-found")
