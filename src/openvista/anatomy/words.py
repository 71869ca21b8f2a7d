"""When two spellings mean the same name: case, separators, plural, word order, British and American do not count."""

import re

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


def _words(text: str) -> list[str]:
    return [word for word in _SEPARATORS.split(text.casefold()) if word]
