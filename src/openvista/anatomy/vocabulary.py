"""The classes that one model knows, and from what a user writes to their ids."""

import operator
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import SupportsIndex

from openvista.anatomy.catalogue import CATALOGUE, EVERYTHING_IDS, GROUPS, LAST_OFFICIAL_ID, SUPPORTED_IDS, AnatomyClass
from openvista.anatomy.codes import structure_code
from openvista.anatomy.colours import Colour, colour_for, right_of
from openvista.anatomy.ctmr import MODALITIES
from openvista.anatomy.sides import mirrored_pairs
from openvista.anatomy.spelling import NameIndex, labels_of, nearest, stems
from openvista.errors import AnatomyError

EVERYTHING_WORDS = frozenset({"all", "everything"})
"""What asks for every class, and so cannot name one."""

ClassItem = str | SupportsIndex
"""How a class is asked for: name, alias, digits, or a whole number of any integer type."""

_ID_DIGITS = re.compile(r"\s*[+-]?[0-9]{1,9}\s*")
_LONGEST_QUOTE = 60
_RELATED: Mapping[int, tuple[int, ...]] = {16: (118, 15), 18: (62,), 129: (116, 117), 130: (26,), 131: (33, 127)}
"""What to offer instead of an official class that no official model was trained on."""


class Vocabulary:
    """The classes one model knows, by any of their names.

    Letter case, ``_`` and ``-``, plural, word order, and British or American spelling do not matter: "kidney_right",
    "Right Kidneys" and "right kidney" are one name. What the model knows comes first: a model's own "rectum" hides
    the official class 18, which no official model supports.

    Args:
        ids: official ids (1..132) the model knows; own ids too, when ``extra`` names them.
        extra: the model's own classes: {id above 132: name}.
        extra_aliases: further names, {id: names}, of any id the model knows.
        model_name: for hints in messages, as in ``openvista classes --model NAME``.
        everything: ids that "all" stands for; those that the model does not know are left out. By default the official
            "everything" and the model's own; none (an empty one) where nobody can say, and "all" is refused.

    Attributes:
        everything: ids that "all" stands for, in their order.

    Raises:
        AnatomyError: an id without a name, an own id below 133, an unusable name, or one name for two classes.
    """

    def __init__(
        self,
        ids: Iterable[int],
        extra: Mapping[int, str] | None = None,
        extra_aliases: Mapping[int, Sequence[str]] | None = None,
        *,
        model_name: str | None = None,
        everything: Iterable[int] | None = None,
    ) -> None:
        self._model_name = model_name
        self._known = known_classes(set(ids), extra or {}, extra_aliases or {})
        if everything is None:
            usual = tuple(i for i in self._known if i in EVERYTHING_IDS or i > LAST_OFFICIAL_ID)
            self.everything = usual or tuple(self._known)
        else:
            self.everything = tuple(i for i in everything if i in self._known)
        groups = {i: CATALOGUE[i] for i in GROUPS if i not in self._known and self._parts(i)}
        self._nameable = self._known | groups
        self._names = NameIndex(self._nameable.values())

    @property
    def ids(self) -> tuple[int, ...]:
        """Every id the model knows, ascending: official ones, then its own."""
        return tuple(self._known)

    def classes(self) -> list[AnatomyClass]:
        """Every class the model knows, in order of id."""
        return list(self._known.values())

    def name(self, class_id: int) -> str:
        """The name of an id: the model's own class, or any official one, known to the model or not.

        Raises:
            AnatomyError: the id is neither.
        """
        found = self._known.get(class_id) or CATALOGUE.get(class_id)
        if found is None:
            raise AnatomyError(self._no_such_id(class_id))
        return found.name

    def colour(self, class_id: int) -> Colour:
        """Red, green, blue (0..255); defined for every id, also one the model does not know."""
        found = self._known.get(class_id)
        return found.colour if found else colour_for(class_id)

    def resolve(self, item: ClassItem) -> int:
        """The id of one class or group, given as id, digits, name or alias.

        Raises:
            AnatomyError: nothing is called so (with the three nearest names), no official model supports the class,
                this model does not know it, or the id is out of range.
        """
        if not isinstance(item, str):
            return self._resolve_id(_whole_number(item))
        if _ID_DIGITS.fullmatch(item):
            return self._resolve_id(int(item))
        found = self._names.find(item)
        if found is not None:
            return found
        official = _official_names().find(item)
        if official is not None:
            raise AnatomyError(self._not_known(official, item))
        raise AnatomyError(self._no_such_name(item))

    def expand(self, items: ClassItem | Iterable[ClassItem] | None = None) -> list[int]:
        """The ids to segment for a request, in its order and without duplicates; groups give way to their parts.

        Args:
            items: ids and names; a string may hold several, separated by commas. None, "all" and "everything" mean
                the classes of the official "everything" that the model knows, and all its own. (A model that knows
                none of these, such as one for lesions only, gives all it knows.)

        Raises:
            AnatomyError: as :meth:`resolve`; or nothing is asked for; or "all", where nobody can say what that is.
        """
        if items is None:
            return self._everything()
        ids: list[int] = []
        for item in _single_items(items):
            if isinstance(item, str) and item.casefold() in EVERYTHING_WORDS:
                ids += self._everything()
            else:
                class_id = self.resolve(item)
                ids += self._parts(class_id) or [class_id]
        if not ids:
            raise AnatomyError("no class is named: give names or ids separated by commas, or 'all'")
        return list(dict.fromkeys(ids))

    def search(self, query: str) -> list[AnatomyClass]:
        """Classes the model knows whose id, name or aliases fit, best first; the three nearest if none does.

        An empty query gives all. Words may be beginnings ("liv", "rib 1") or, ranked lower, middles of words.
        """
        if not stems(query):
            return self.classes()
        ranks = {class_id: _search_rank(query, item) for class_id, item in self._known.items()}
        fitting = {class_id: rank for class_id, rank in ranks.items() if rank is not None}
        best_first = sorted(fitting, key=lambda class_id: (fitting[class_id], class_id))
        return [self._known[class_id] for class_id in best_first or nearest(query, _labels(self._known))]

    def _everything(self) -> list[int]:
        if not self.everything:
            raise AnatomyError(
                f"what 'all' is depends on the image: name the classes, or the modality ({', '.join(MODALITIES)})"
            )
        return list(self.everything)

    def _parts(self, class_id: int) -> list[int]:
        return [part for part in GROUPS.get(class_id, ()) if part in self._known]

    def _resolve_id(self, class_id: int) -> int:
        if class_id in self._nameable:
            return class_id
        if class_id in CATALOGUE:
            raise AnatomyError(self._not_known(class_id, CATALOGUE[class_id].name))
        raise AnatomyError(self._no_such_id(class_id))

    def _not_known(self, class_id: int, asked: str) -> str:
        official = CATALOGUE[class_id]
        if official.supported:
            problem = f"this model does not know class {class_id} '{official.name}'"
            return f"{problem}; nearest it knows: {self._nearest(asked)}; {self._hint()}"
        problem = f"class {class_id} '{official.name}' is in the official list, but no official model supports it"
        related = [f"'{self._known[i].name}'" for i in _RELATED[class_id] if i in self._known]
        instead = f"; related: {', '.join(related)}" if related else ""
        return f"{problem}{instead}; {self._hint()}"

    def _no_such_name(self, asked: str) -> str:
        quoted = repr(asked if len(asked) <= _LONGEST_QUOTE else asked[:_LONGEST_QUOTE] + "...")
        return f"no class is called {quoted}; nearest: {self._nearest(asked)}; {self._hint()}"

    def _no_such_id(self, class_id: int) -> str:
        if class_id == 0:
            return f"0 is the background, not a class; {self._hint()}"
        own = "".join(f", {some}" for some in _ranges([i for i in self._known if i > LAST_OFFICIAL_ID]))
        return f"no class has id {class_id}: ids are 1 to {LAST_OFFICIAL_ID}{own}; {self._hint()}"

    def _nearest(self, asked: str) -> str:
        return ", ".join(f"'{self._nameable[i].name}'" for i in nearest(asked, _labels(self._nameable))) or "nothing"

    def _hint(self) -> str:
        model = f" --model {self._model_name}" if self._model_name else ""
        return f"'openvista classes{model}' lists what can be asked"


@cache
def official_vocabulary() -> Vocabulary:
    """What the official models know: the 127 supported classes."""
    return Vocabulary(SUPPORTED_IDS)


@cache
def _official_names() -> NameIndex:
    return NameIndex(CATALOGUE.values())


def known_classes(
    ids: set[int], extra: Mapping[int, str], extra_aliases: Mapping[int, Sequence[str]]
) -> dict[int, AnatomyClass]:
    """The classes of a model by id, ascending: catalogue entries for ``ids``, new ones for ``extra``.

    Raises:
        AnatomyError: an id without a name, an own id below 133, or a name that could not be asked for.
    """
    left_of = dict(mirrored_pairs(extra))
    own = {class_id: _own_class(class_id, name, left_of.get(class_id)) for class_id, name in sorted(extra.items())}
    for class_id in sorted(ids - own.keys()):
        if class_id not in CATALOGUE:
            raise AnatomyError(
                f"class id {class_id} has no name: the catalogue ends at {LAST_OFFICIAL_ID}, name it as the model's own"
            )
    known = {class_id: _supported(CATALOGUE[class_id]) for class_id in sorted(ids - own.keys())} | own
    for class_id, aliases in extra_aliases.items():
        if class_id not in known:
            raise AnatomyError(f"aliases for class id {class_id}, which the model does not know: {', '.join(aliases)}")
        known[class_id] = _with_aliases(known[class_id], aliases)
    return known


def _supported(item: AnatomyClass) -> AnatomyClass:
    """A class as a model knows it that was trained on it, whatever the official models are."""
    return item if item.supported else replace(item, supported=True)


def _own_class(class_id: int, name: str, left_id: int | None) -> AnatomyClass:
    """A model's own class; a right structure takes a darker shade of its left twin, as in the catalogue."""
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
        colour=colour_for(class_id) if left_id is None else right_of(colour_for(left_id)),
        snomed=structure_code(name),
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


def _whole_number(item: SupportsIndex) -> int:
    problem = f"{item!r} is neither a class name nor an id: give a name such as 'liver' or an id such as 1"
    if isinstance(item, bool):
        raise AnatomyError(problem)
    try:
        return operator.index(item)
    except TypeError:
        raise AnatomyError(problem) from None


def _single_items(items: ClassItem | Iterable[ClassItem]) -> Iterator[ClassItem]:
    """Strings split at commas and stripped, empty pieces left out."""
    if isinstance(items, str):
        yield from (piece.strip() for piece in items.split(",") if piece.strip())
    elif isinstance(items, Iterable):
        for item in items:
            yield from _single_items(item) if isinstance(item, str) else (item,)
    else:
        yield items


def _ranges(ids: Sequence[int]) -> list[str]:
    """Rising ids, those that follow each other as "214 to 345"."""
    starts = [i for i in ids if i - 1 not in ids]
    stops = [i for i in ids if i + 1 not in ids]
    return [str(a) if a == b else f"{a} to {b}" for a, b in zip(starts, stops, strict=True)]


def _labels(classes: Mapping[int, AnatomyClass]) -> dict[int, tuple[str, ...]]:
    return {class_id: labels_of(item) for class_id, item in classes.items()}


def _search_rank(query: str, item: AnatomyClass) -> int | None:
    """0 the id or a whole label, 1 beginnings of words of one label, 2 a piece of a label, None no fit."""
    words = stems(query)
    label_words = [stems(label) for label in labels_of(item)]
    if query.strip() == str(item.id) or any(sorted(words) == sorted(label) for label in label_words):
        return 0
    if any(all(_begins_any(word, label) for word in words) for label in label_words):
        return 1
    piece = query.strip().casefold()
    return 2 if any(piece in label.casefold() for label in labels_of(item)) else None


def _begins_any(word: str, label: list[str]) -> bool:
    return any(other.startswith(word) for other in label)
