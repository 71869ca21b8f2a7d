"""Finding a class by any of its names."""

from collections.abc import Iterable

from openvista.anatomy.catalogue import AnatomyClass
from openvista.anatomy.words import WordKey, joined_keys, reading_keys, word_key
from openvista.errors import AnatomyError


def labels_of(item: AnatomyClass) -> tuple[str, ...]:
    """Name and aliases."""
    return (item.name, *item.aliases)


class NameIndex:
    """Names and aliases of some classes, filed so that spelling habits do not matter.

    Raises:
        AnatomyError: two classes share a name, or a name has no letter or digit.
    """

    def __init__(self, classes: Iterable[AnatomyClass]) -> None:
        self._by_words: dict[WordKey, AnatomyClass] = {}
        self._by_joined: dict[WordKey, AnatomyClass] = {}
        for item in classes:
            for label in labels_of(item):
                self._file(label, item)

    def find(self, text: str) -> int | None:
        """The id of the class that is called so, or None."""
        for key in reading_keys(text):
            found = self._by_words.get(key) or self._by_joined.get(key)
            if found is not None:
                return found.id
        return None

    def _file(self, label: str, item: AnatomyClass) -> None:
        key = word_key(label)
        if not key:
            raise AnatomyError(f"class {item.id} cannot be called {label!r}: a name needs letters or digits")
        other = self._by_words.setdefault(key, item)
        if other.id != item.id:
            raise AnatomyError(
                f"'{label}' names both class {other.id} '{other.name}' and class {item.id} '{item.name}': rename one"
            )
        for joined in joined_keys(label):
            self._by_joined.setdefault(joined, item)
