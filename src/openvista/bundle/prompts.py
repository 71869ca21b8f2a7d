"""What a bundle is asked: the keys of ``input_dict``, read, checked and turned into classes and clicks."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from openvista.anatomy.catalogue import GROUPS, LAST_OFFICIAL_ID, SPECIAL_IDS
from openvista.anatomy.vocabulary import Vocabulary
from openvista.errors import AnatomyError, PromptError
from openvista.prompts import Click

KEYS = ("label_prompt", "points", "point_labels")
"""The keys of an ``input_dict`` that ask for something."""
OTHER_KEYS = ("image", "label", "fold", "annotated", "label_slices")
"""What else data lists have, and ``input_dict`` may."""
LAST_ID = 254
"""Of the official bundle; its ids above those of the classes stand for structures that a model was never taught (bundle
facts §4)."""

_POSITIVE = {0: False, 1: True, 2: False, 3: True}
_IGNORED = -1


@dataclass(frozen=True)
class Prompt:
    """What is asked about one scan.

    Attributes:
        class_ids: to segment; empty for everything, or where only clicks say what is meant.
        clicks: in voxels of the file; with them there is at most one class.
        zero_shot: the clicks are on something that the network was never taught.
        special: the clicks are marked as those of a class with click labels of its own.
    """

    class_ids: tuple[int, ...] = ()
    clicks: tuple[Click, ...] = ()
    zero_shot: bool = False
    special: bool = False


@dataclass
class PromptTransformd:
    """The step of ``preprocessing`` that takes the prompt out of an item, as text that every data loader can carry.

    Attributes:
        keys: of the image; not looked at.
        subclass: group id to the ids that are segmented in its place.
        labels_dict: id to name, as in ``channel_def`` of the metadata: names that prompts may use.
        allow_missing_keys: not looked at; MONAI's transforms have it.
    """

    keys: str | Sequence[str] = "image"
    subclass: Mapping[str, Sequence[int]] | None = None
    labels_dict: Mapping[str, str] | None = None
    allow_missing_keys: bool = True

    def __call__(self, item: Mapping[str, Any]) -> dict[str, Any]:
        left = {key: value for key, value in item.items() if key not in KEYS}
        asked = {key: _plain(item[key]) for key in KEYS if item.get(key) is not None}
        names = dict(self.labels_dict or {})
        subclass = {str(key): list(parts) for key, parts in (self.subclass or {}).items()}
        return left | {"prompt": json.dumps({"asked": asked, "subclass": subclass, "names": names})}


def check_item(item: Mapping[str, Any], image_key: str = "image") -> None:
    """Refuse an item whose keys nobody would read.

    Raises:
        PromptError: it has no image, or an unknown key.
    """
    if not item.get(image_key):
        raise PromptError(f"input_dict has no {image_key!r}: name the file of the scan, as in {{'image': 'ct.nii.gz'}}")
    known = (image_key, *KEYS, *OTHER_KEYS)
    if unknown := [str(key) for key in item if key not in known]:
        raise PromptError(f"input_dict has a key {unknown[0]!r} that nobody reads: there is {', '.join(known[:4])}")


def read_prompt(text: str, vocabulary: Vocabulary) -> Prompt:
    """What :class:`PromptTransformd` wrote, checked against what a model knows.

    Raises:
        AnatomyError: a class that the model does not know.
        PromptError: classes and clicks that do not go together.
    """
    content = json.loads(text)
    names = {name.casefold(): int(id_) for id_, name in content["names"].items()}
    groups = {int(group): parts for group, parts in content["subclass"].items()}
    return parse_prompt(content["asked"], vocabulary, groups, names)


def parse_prompt(
    item: Mapping[str, Any],
    vocabulary: Vocabulary,
    groups: Mapping[int, Sequence[int]] = GROUPS,
    names: Mapping[str, int] | None = None,
) -> Prompt:
    """The prompt of an item.

    Args:
        item: ``label_prompt``: ids or names; ``points``: [N, 3] voxels of the file; ``point_labels``: [N], -1 (left
            out), 0 and 1 (negative, positive), 2 and 3 (the same for a class with click labels of its own).
        vocabulary: what the model knows.
        groups: id to the ids in its place.
        names: further names in lower case, and their ids.

    Raises:
        AnatomyError: a class that the model does not know.
        PromptError: classes and clicks that do not go together.
    """
    clicks, special = _clicks(item.get("points"), item.get("point_labels"))
    asked = item.get("label_prompt")
    asked = [asked] if isinstance(asked, (int, str)) else list(asked or ())
    ids = [_as_id(one, vocabulary, names or {}, bool(clicks)) for one in asked]
    if clicks and len(ids) > 1:
        raise PromptError(f"label_prompt {asked} with points: clicks describe one structure; give one label or none")
    if clicks and ids and ids[0] in groups:
        raise PromptError(f"label_prompt {asked} with points: clicks cannot be on a group; give one of its parts")
    if clicks and ids and ids[0] not in vocabulary.ids:
        return Prompt((), clicks, zero_shot=True)
    if special and (not ids or ids[0] not in SPECIAL_IDS):
        which = ", ".join(map(str, SPECIAL_IDS))
        raise PromptError(f"point_labels 2 and 3 are for the classes {which}: give one of them as label_prompt, or 0/1")
    return Prompt(tuple(dict.fromkeys(_parts(ids, groups, vocabulary))), clicks, special=special)


def _clicks(points: Any, labels: Any) -> tuple[tuple[Click, ...], bool]:
    """The clicks without those to be left out, and whether they are marked as those of a special class."""
    points, labels = list(points or ()), list(labels or ())
    if len(points) != len(labels):
        raise PromptError(f"{len(points)} points and {len(labels)} point_labels: give one label for each point")
    if wrong := [label for label in labels if label not in (*_POSITIVE, _IGNORED)]:
        raise PromptError(f"point_labels: {wrong[0]!r} is none of -1, 0, 1, 2, 3")
    clicks = []
    for point, label in zip(points, labels, strict=True):
        try:
            x, y, z = (float(part) for part in point)
        except (TypeError, ValueError):
            raise PromptError(f"points: {point!r} is no voxel; give three numbers, as in [128, 128, 16]") from None
        if label != _IGNORED:
            clicks.append(Click((x, y, z), _POSITIVE[label]))
    if points and not any(click.positive for click in clicks):
        raise PromptError("points has no positive click: mark at least one voxel of the structure with label 1")
    return tuple(clicks), any(label in (2, 3) for label in labels)


def _as_id(asked: Any, vocabulary: Vocabulary, names: Mapping[str, int], clicked: bool) -> int:
    if isinstance(asked, (list, tuple)):
        raise PromptError(f"label_prompt: {asked!r} is no label; give ids or names, as in [1, 'spleen']")
    if isinstance(asked, str) and asked.casefold() in names:
        asked = names[asked.casefold()]
    whole = isinstance(asked, int) and not isinstance(asked, bool)
    if whole and asked not in vocabulary.ids and LAST_OFFICIAL_ID < asked <= LAST_ID:
        if clicked:
            return int(asked)
        raise PromptError(f"label_prompt {asked} stands for something the model was never taught: give points with it")
    return vocabulary.resolve(asked)


def _parts(ids: Iterable[int], groups: Mapping[int, Sequence[int]], vocabulary: Vocabulary) -> Iterable[int]:
    for class_id in ids:
        if class_id not in groups:
            yield class_id
            continue
        known = [part for part in groups[class_id] if part in vocabulary.ids]
        if not known:
            raise AnatomyError(f"label_prompt {class_id}: the model knows none of its parts {list(groups[class_id])}")
        yield from known


def _plain(value: Any) -> Any:
    """Tensors and arrays as lists."""
    return value.tolist() if hasattr(value, "tolist") else value
