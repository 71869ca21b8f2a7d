"""The names nearest to what somebody typed."""

from collections.abc import Iterable, Mapping
from difflib import SequenceMatcher

from openvista.anatomy.words import stems

_LONGEST_QUERY = 80
"""Characters that are compared; no name is longer, and comparing costs time with the square of the length."""


def _likeness(query: list[str], label: list[str]) -> float:
    """0 to 2: how alike the letters are, plus which share of the query's words the label has."""
    letters = SequenceMatcher(None, " ".join(query), " ".join(label)).ratio()
    return letters + sum(word in label for word in query) / max(len(query), 1)


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
