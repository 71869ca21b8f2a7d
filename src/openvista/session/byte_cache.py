"""A cache that is bounded by bytes and forgets what was not used for longest."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, Protocol, TypeVar


class Sized(Protocol):
    """Something that knows its size."""

    @property
    def nbytes(self) -> int:
        """Memory it takes."""


V = TypeVar("V", bound=Sized)


class ByteCache(Generic[V]):
    """Values by key. Whatever is asked for is made if it is not there, so forgetting costs time and nothing else.

    Args:
        limit: bytes to keep at most. The value used last stays even if it is larger by itself.

    Attributes:
        made: how many values had to be made.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.made = 0
        self._values: OrderedDict[Hashable, V] = OrderedDict()

    def __contains__(self, key: Hashable) -> bool:
        return key in self._values

    def __len__(self) -> int:
        return len(self._values)

    @property
    def nbytes(self) -> int:
        """Memory of all values."""
        return sum(value.nbytes for value in self._values.values())

    def get(self, key: Hashable, make: Callable[[], V]) -> V:
        """The value of a key, made now if it is not there."""
        if key in self._values:
            self._values.move_to_end(key)
            return self._values[key]
        value = make()
        self.made += 1
        self.put(key, value)
        return value

    def put(self, key: Hashable, value: V) -> None:
        """Keep a value; others may have to go."""
        self._values[key] = value
        self._values.move_to_end(key)
        while len(self._values) > 1 and self.nbytes > self.limit:
            self._values.popitem(last=False)

    def clear(self) -> None:
        """Forget everything."""
        self._values.clear()
