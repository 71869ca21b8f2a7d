"""Structures that people want as one: lobes as lung, vertebrae as spine."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from openvista.anatomy.catalogue import CATALOGUE, GROUPS
from openvista.anatomy.spelling import word_key
from openvista.anatomy.vocabulary import Vocabulary
from openvista.errors import AnatomyError

COMBINATIONS: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {CATALOGUE[group].name: parts for group, parts in GROUPS.items()}
    | {
        "left lung": (28, 29),
        "right lung": (30, 31, 32),
        "vertebrae": (*range(33, 57), 127),
        "ribs": tuple(range(63, 87)),
        "pelvis": (95, 96, 97),
        "adrenal glands": (8, 9),
    }
)
"""Kidney, lung and bone are groups of the class list."""


@dataclass(frozen=True)
class Combination:
    """Structures that become one.

    Attributes:
        id: label id of the whole.
        name: of the whole.
        parts: label ids.
    """

    id: int
    name: str
    parts: tuple[int, ...]


def combinations(texts: Iterable[str], vocabulary: Vocabulary, asked: Sequence[int]) -> list[Combination]:
    """What is to be combined.

    Args:
        texts: names of :data:`COMBINATIONS` in any spelling, or ``NAME=CLASS+CLASS``.
        vocabulary: of the model.
        asked: ids that will be in the result; parts that are not among them are left out.

    Raises:
        AnatomyError: there is no such combination or class, none of the parts was asked for, or two combinations share
            a part.
    """
    found: list[Combination] = []
    for text in texts:
        name, _, listed = text.partition("=")
        name, parts = (name.strip(), vocabulary.expand(listed.split("+"))) if listed else _known(name)
        parts = [part for part in parts if part in asked]
        if not parts:
            raise AnatomyError(f"{text}: none of its parts is among the classes asked for")
        for other in found:
            if shared := set(other.parts) & set(parts):
                which = vocabulary.name(min(shared))
                raise AnatomyError(f"{other.name} and {name} share {which}; combine them in two runs")
        whole = [item.id for item in CATALOGUE.values() if item.name == name and item.id not in asked]
        found.append(Combination(whole[0] if whole else parts[0], name, tuple(parts)))
    return found


def _known(name: str) -> tuple[str, list[int]]:
    for known, parts in COMBINATIONS.items():
        if word_key(known) == word_key(name):
            return known, list(parts)
    raise AnatomyError(f"no combination {name!r}: there is {', '.join(COMBINATIONS)}; or write NAME=CLASS+CLASS")
