"""When two spellings mean the same name, which names are nearest to a wrong one, and how TotalSegmentator spells them.

Case, separators, plural, word order, and British or American spelling do not count.
"""

import re
from collections.abc import Iterable, Mapping
from difflib import SequenceMatcher

from openvista.anatomy.catalogue import AnatomyClass
from openvista.errors import AnatomyError

WordKey = tuple[str, ...]
"""The words of a name, each reduced to its stem, sorted: equal keys mean the same name."""

_SAME_WORD = {
    "oesophagus": "esophagus",
    "oesophageal": "esophageal",
    "tumour": "tumor",
    "neoplasm": "tumor",
    "haemorrhage": "hemorrhage",
    "oedema": "edema",
    "vertebrae": "vertebra",
    "pancreases": "pancreas",
    "iliopsoases": "iliopsoas",
    "scapulae": "scapula",
    "claviculae": "clavicula",
    "femora": "femur",
    "humeri": "humerus",
    "clavicle": "clavicula",
    "vena": "vein",
    "suprarenal": "adrenal",
    "ureteric": "ureteral",
    "l": "left",
    "lt": "left",
    "r": "right",
    "rt": "right",
}
_TOTALSEGMENTATOR_NAMES = {"bladder": "urinary bladder"}
_LONGEST_QUERY = 80
"""Characters that are compared; no name is longer, and comparing costs time with the square of the length."""
_FILLERS = frozenset({"the", "of"})
_SEPARATORS = re.compile(r"[\W_]+")
_CAMEL_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z0-9])|(?<=[0-9])(?=[A-Z])")


def stem(word: str) -> str:
    """A word without its plural, in one spelling. For comparing only: "pancreas" becomes "pancrea"."""
    word = _SAME_WORD.get(word, word)
    if len(word) > 4 and word.endswith("ies"):
        word = word[:-3] + "y"
    elif len(word) > 5 and word.endswith(("sses", "xes", "ches", "uses")):
        word = word[:-2]
    if len(word) > 3 and word.endswith("s") and not word.endswith("ss"):
        word = word[:-1]
    return _SAME_WORD.get(word, word)


def stems(text: str) -> list[str]:
    """The stems of a text's words in their order, without "the" and "of"."""
    words = _words(text)
    return [stem(word) for word in words if word not in _FILLERS] or words


def word_key(text: str) -> WordKey:
    """The key under which a name is filed."""
    return tuple(sorted(stems(text)))


def joined_keys(text: str) -> set[WordKey]:
    """The keys of a name when its words are written as one, as in "spinalcord" or "leftkidneys"."""
    return {("".join(stems(text)),), (stem("".join(_words(text))),)}


def reading_keys(text: str) -> list[WordKey]:
    """The keys to try for what a user typed: as it is, then "SpinalCord" taken as two words."""
    keys = (word_key(text), word_key(_CAMEL_HUMP.sub(" ", text)))
    return [key for key in dict.fromkeys(keys) if key]


def nearest(text: str, labels: Mapping[int, Iterable[str]], count: int = 3) -> list[int]:
    """The ids whose labels are most like ``text``, best first; equally good ones in order of id.

    Args:
        text: what was typed.
        labels: names and aliases by id.
        count: how many ids to return at most.
    """
    query = stems(text[:_LONGEST_QUERY])
    scores = {
        class_id: max((_likeness(query, stems(name)) for name in names), default=0.0)
        for class_id, names in labels.items()
    }
    return sorted(scores, key=lambda class_id: (-scores[class_id], class_id))[:count]


def labels_of(item: AnatomyClass) -> tuple[str, ...]:
    """Name and aliases."""
    return (item.name, *item.aliases)


class NameIndex:
    """Names and aliases of some classes, filed so that the spelling does not matter.

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


def _words(text: str) -> list[str]:
    return [word for word in _SEPARATORS.split(text.casefold()) if word]


def _likeness(query: list[str], label: list[str]) -> float:
    """0 to 2: how alike the letters are, plus which share of the query's words the label has."""
    letters = SequenceMatcher(None, " ".join(query), " ".join(label)).ratio()
    return letters + sum(word in label for word in query) / max(len(query), 1)


def totalsegmentator_name(name: str) -> str:
    """What TotalSegmentator (version 2, task "total") calls a structure: ``rib_left_4``, ``lung_upper_lobe_left``.

    Structures that it does not know are spelled the same way.
    """
    words = _TOTALSEGMENTATOR_NAMES.get(name, name).split()
    side = [word for word in words if word in ("left", "right")]
    rest = [word for word in words if word not in side]
    place = 1 if rest[:1] == ["rib"] else len(rest)
    return "_".join([*rest[:place], *side, *rest[place:]])
