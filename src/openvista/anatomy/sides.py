"""Left and right: which classes swap when a patch is mirrored."""

from collections.abc import Mapping

from openvista.anatomy.spelling import WordKey, word_key

_OTHER = {"left": "right", "right": "left"}


def mirrored_pairs(names: Mapping[int, str]) -> tuple[tuple[int, int], ...]:
    """Pairs of classes that swap in a mirror, right and left; what has no twin among the names is in none.

    Args:
        names: class id to name.
    """
    by_key = {word_key(name): class_id for class_id, name in names.items()}
    return tuple(
        (class_id, by_key[_twin(key)])
        for key, class_id in by_key.items()
        if _is_sided(key) and "right" in key and _twin(key) in by_key
    )


def sided(names: Mapping[int, str]) -> set[int]:
    """Classes of one side of the body, by their names; those that name both sides or none are not."""
    return {class_id for class_id, name in names.items() if side_of(name)}


def side_of(name: str) -> str | None:
    """The side that a name says, "left" or "right" of the patient; ``None`` where it names both or none."""
    found = _OTHER.keys() & set(word_key(name))
    return found.pop() if len(found) == 1 else None


def _is_sided(key: WordKey) -> bool:
    return len(_OTHER.keys() & set(key)) == 1


def _twin(key: WordKey) -> WordKey:
    return tuple(sorted(_OTHER.get(word, word) for word in key))
