"""The classes of one model: its part of the catalogue, and its own."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from openvista.anatomy.catalogue import CATALOGUE, LAST_OFFICIAL_ID, AnatomyClass
from openvista.anatomy.colours import Colour, colour_for, right_of
from openvista.anatomy.words import word_key
from openvista.errors import AnatomyError

EVERYTHING_WORDS = frozenset({"all", "everything"})
"""What asks for every class, and so cannot name one."""


def known_classes(
    ids: set[int], extra: Mapping[int, str], extra_aliases: Mapping[int, Sequence[str]]
) -> dict[int, AnatomyClass]:
    """The classes of a model by id, ascending: catalogue entries for ``ids``, new ones for ``extra``.

    Raises:
        AnatomyError: an id without a name, an own id below 133, or a name that could not be asked for.
    """
    own = {class_id: _own_class(class_id, name, extra) for class_id, name in sorted(extra.items())}
    for class_id in sorted(ids - own.keys()):
        if class_id not in CATALOGUE:
            raise AnatomyError(
                f"class id {class_id} has no name: the catalogue ends at {LAST_OFFICIAL_ID}, name it as the model's own"
            )
    known = {class_id: CATALOGUE[class_id] for class_id in sorted(ids - own.keys())} | own
    for class_id, aliases in extra_aliases.items():
        if class_id not in known:
            raise AnatomyError(f"aliases for class id {class_id}, which the model does not know: {', '.join(aliases)}")
        known[class_id] = _with_aliases(known[class_id], aliases)
    return known


def _own_class(class_id: int, name: str, extra: Mapping[int, str]) -> AnatomyClass:
    if class_id <= LAST_OFFICIAL_ID:
        raise AnatomyError(
            f"own class '{name}' has id {class_id}: ids up to {LAST_OFFICIAL_ID} are official, take a higher one"
        )
    _check_askable(class_id, name)
    return AnatomyClass(
        id=class_id,
        name=name,
        supported=True,
        special=False,
        group=None,
        aliases=(),
        colour=_own_colour(class_id, name, extra),
        snomed=None,
    )


def _with_aliases(item: AnatomyClass, aliases: Sequence[str]) -> AnatomyClass:
    if isinstance(aliases, str):
        raise AnatomyError(f"aliases of class {item.id} '{item.name}' must be a list of names, not {aliases!r}")
    for alias in aliases:
        _check_askable(item.id, alias)
    return replace(item, aliases=tuple(dict.fromkeys((*item.aliases, *aliases))))


def _check_askable(class_id: int, name: str) -> None:
    if "," in name or name.strip().isdecimal() or name.strip().casefold() in EVERYTHING_WORDS:
        raise AnatomyError(
            f"class {class_id} cannot be called {name!r}: a name has no comma, is no number and not 'all'"
        )


def _own_colour(class_id: int, name: str, extra: Mapping[int, str]) -> Colour:
    """The computed colour; a right structure takes a darker shade of its left twin, as in the catalogue."""
    key = word_key(name)
    if "right" in key:
        twin = tuple(sorted("left" if word == "right" else word for word in key))
        for other_id, other_name in extra.items():
            if word_key(other_name) == twin:
                return right_of(colour_for(other_id))
    return colour_for(class_id)
