"""From the label values of a data list to the classes of a model, as users write it: "spleen=spleen", "1=spleen"."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from openvista.anatomy.catalogue import LAST_OFFICIAL_ID
from openvista.anatomy.spelling import nearest, word_key
from openvista.anatomy.vocabulary import Vocabulary
from openvista.datalist.case import DataList
from openvista.errors import AnatomyError, DataListError

_NEW = "new"


@dataclass(frozen=True)
class LabelMapping:
    """Which class each label value is.

    Attributes:
        classes: label value to class id.
        new_names: ids that the model does not have yet, all above 132, and their names.
    """

    classes: dict[int, int]
    new_names: dict[int, str]


def parse_mapping(
    items: Iterable[str], list_names: Mapping[int, str], vocabulary: Vocabulary, *, groups: bool = False
) -> LabelMapping:
    """Read mappings of label values to classes.

    An item is ``LABEL=CLASS``. LABEL is a value of the label maps ("1") or its name in the data list. CLASS is a
    name, alias or id that the model knows; "new" for a structure it does not know, called as in the list; or
    "new:NAME". New structures get the lowest ids above 132 that are free. Several values may be one class.
    "spleen" alone means "spleen=spleen".

    Args:
        items: the mappings.
        list_names: label value to name in the data list; empty where it names none, then values only.
        vocabulary: what the model knows.
        groups: a label may be a group of classes ("kidney"), as an answer is that of its parts; it cannot be learnt.

    Raises:
        DataListError: a label the list does not have, a value mapped twice, or no item at all.
        AnatomyError: a class the model does not know, with the nearest it does.
    """
    classes: dict[int, int] = {}
    new_ids: dict[str, int] = {}
    free = (number for number in itertools.count(LAST_OFFICIAL_ID + 1) if number not in vocabulary.ids)
    for item in items:
        left, equals, right = (part.strip() for part in item.partition("="))
        right = right if equals else left
        if not left or not right:
            raise DataListError(f"mapping {item!r}: write LABEL=CLASS, for example 'spleen=spleen' or '1=spleen'")
        value = _label_value(left, list_names)
        new_name = _new_name(right, value, left, list_names)
        if new_name is None:
            class_id = _known_class(item, right, vocabulary, groups)
        else:
            _check_new(item, new_name, vocabulary)
            class_id = new_ids[new_name] if new_name in new_ids else new_ids.setdefault(new_name, next(free))
        if classes.setdefault(value, class_id) != class_id:
            raise DataListError(f"mapping {item!r}: label {value} is already class {classes[value]}; map it once")
    if not classes:
        raise DataListError("no label is mapped to a class: write LABEL=CLASS, for example '1=spleen'")
    return LabelMapping(dict(sorted(classes.items())), {class_id: name for name, class_id in new_ids.items()})


def map_labels(listed: DataList, items: Iterable[str], vocabulary: Vocabulary, *, groups: bool = False) -> LabelMapping:
    """The mapping a user asks for; without any, the list's own; without that, each label by its name.

    Raises:
        DataListError, AnatomyError: as :func:`parse_mapping`.
    """
    asked = list(items)
    if not asked and listed.label_mapping:  # VISTA3D's mappings also map values that their list does not name
        names = {value: f"label {value}" for value in listed.label_mapping} | listed.label_names
        own = [f"{value}={item}" for value, item in listed.label_mapping.items()]
        return parse_mapping(own, names, vocabulary, groups=groups)
    if not asked and not listed.label_names:
        raise DataListError(f"{listed.path} names no labels: say what they are, for example '1=spleen'")
    return parse_mapping(
        asked or [f"{v}={name}" for v, name in listed.label_names.items()],
        listed.label_names,
        vocabulary,
        groups=groups,
    )


def pair_label_sets(label_set: Sequence[int], mapped_label_set: Sequence[int]) -> dict[int, int]:
    """Label value to class id from two lists side by side, as the original's configs have them.

    What is the background (0) in either list is left out.

    Raises:
        DataListError: the lists differ in length, contradict themselves, or map nothing.
    """
    if len(label_set) != len(mapped_label_set):
        raise DataListError(
            f"label set and mapped label set have {len(label_set)} and {len(mapped_label_set)} values: "
            "write the class of each label at the same place"
        )
    classes: dict[int, int] = {}
    for value, class_id in zip(label_set, mapped_label_set, strict=True):
        if min(value, class_id) < 0 or (value == 0 and class_id != 0):
            raise DataListError(f"label set and mapped label set: label {value} cannot be class {class_id}")
        if classes.setdefault(value, class_id) != class_id:
            raise DataListError(
                f"label set and mapped label set: label {value} is class {classes[value]} and {class_id}"
            )
    classes = {value: class_id for value, class_id in sorted(classes.items()) if class_id != 0}
    if not classes:
        raise DataListError("label set and mapped label set map nothing but the background")
    return classes


def _label_value(text: str, names: Mapping[int, str]) -> int:
    shown = ", ".join(f"{value} '{name}'" for value, name in itertools.islice(sorted(names.items()), 12))
    if text.isdecimal():
        if len(text) > 5:  # Python refuses to read thousands of digits
            raise DataListError(f"label {text[:20]} cannot be: values of label maps lie between 0 and 65535")
        value = int(text)
        if value == 0:
            raise DataListError("label 0 is the background and cannot be mapped to a class")
        if names and value not in names:
            raise DataListError(f"the data list has no label {value}; it has {shown}")
        return value
    if not names:
        raise DataListError(f"the data list names no labels, so {text!r} is unknown; write its value, as in '1=spleen'")
    exact = [value for value, name in names.items() if name == text]
    found = exact or [value for value, name in names.items() if word_key(name) == word_key(text)]
    if len(found) > 1:
        raise DataListError(f"labels {found} of the data list are all called {text!r}; write their values")
    if not found:
        near = ", ".join(f"'{names[value]}'" for value in nearest(text, {key: [name] for key, name in names.items()}))
        raise DataListError(f"the data list has no label called {text!r}; nearest: {near}")
    return found[0]


def _new_name(right: str, value: int, left: str, names: Mapping[int, str]) -> str | None:
    """What to call a new structure; ``None`` when the class is not asked for as new."""
    keyword, colon, name = (part.strip() for part in right.partition(":"))
    if keyword.casefold() != _NEW:
        return None
    chosen = name if colon else names.get(value, "" if left.isdecimal() else left)
    if not chosen:
        raise DataListError(f"mapping '{left}={right}': name the new structure, as in '{left}=new:my structure'")
    return chosen


def _known_class(item: str, right: str, vocabulary: Vocabulary, groups: bool) -> int:
    try:
        class_id = vocabulary.resolve(right)
    except AnatomyError as error:
        left = item.partition("=")[0].strip()
        raise AnatomyError(f"mapping {item!r}: {error}; for a structure of your own write '{left}=new'") from None
    parts = vocabulary.expand([class_id])
    # groups give way to their parts when asked for, so one trained as a class is never seen
    if parts != [class_id] and not groups:
        shown = ", ".join(f"'{vocabulary.name(part)}'" for part in parts[:6]) + (", ..." if len(parts) > 6 else "")
        problem = f"'{vocabulary.name(class_id)}' is a group of {shown}"
        raise AnatomyError(f"mapping {item!r}: {problem}; name one of these, or your own as in '=new:both kidneys'")
    return class_id


def _check_new(item: str, name: str, vocabulary: Vocabulary) -> None:
    """A new structure must not hide one the model knows, and must be a name that can be asked for."""
    same = next(
        (one for one in vocabulary.classes() if word_key(name) in map(word_key, (one.name, *one.aliases))), None
    )
    if same is not None:
        raise AnatomyError(f"mapping {item!r}: the model knows '{name}' as class {same.id}; map to it, or rename yours")
    if not word_key(name) or "," in name or name.isdecimal() or name.casefold() in ("all", "everything"):
        raise AnatomyError(f"mapping {item!r}: {name!r} is no usable name: it needs letters, no comma, and not 'all'")
