"""The fields of a data list, checked one by one: a wrong type is a clear line, never a traceback."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from openvista.datalist.case import SliceRange
from openvista.errors import DataListError

ENTRY_FIELDS = frozenset(
    {"image", "label", "fold", "annotated", "label_slices", "pseudo_label", "label_sv", "pseudo_label_reliability"}
)
LIST_FIELDS = frozenset(
    {"training", "testing", "test", "validation", "labels", "label_dict", "label_mapping", "label_mappings"}
    | {"root", "pseudo_label_root", "label_sv_root"}
)
_DIGITS = re.compile(r"\s*[0-9]{1,5}\s*")  # Python refuses to read numbers of thousands of digits
_NAME_FIELDS = ("label_dict", "labels", "original_label_dict")
"""First that is there wins: research lists rephrase ``original_label_dict`` in ``label_dict``."""


def as_file_name(value: Any, key: str, path: Path) -> str:
    """A path as text.

    Raises:
        DataListError: anything else, such as MONAI's list of several channels.
    """
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, list):
        raise DataListError(
            f"data list {path}: '{key}' has {len(value)} files: give one CT per case, not {value!r:.90}"
        )
    if not isinstance(value, str) or not value or "\0" in value:
        raise DataListError(f"data list {path}: '{key}' must be a file name, not {value!r:.60}")
    return value


def as_fold(value: Any, image: Path, path: Path) -> int | None:
    """A fold's number.

    Raises:
        DataListError: neither a whole number from 0 nor absent.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise DataListError(f"data list {path}, case {image.name}: 'fold' must be a number from 0, not {value!r:.30}")
    return value


def as_label_names(content: Mapping[str, Any], path: Path) -> dict[int, str]:
    """Label value to name, without background, from MSD's {value: name}, nnU-Net's {name: value}, or a list of names.

    Raises:
        DataListError: values that are no numbers from 0 to 65535, or regions of several values.
    """
    table: Any = next((content[key] for key in _NAME_FIELDS if content.get(key)), {})
    if isinstance(table, list):
        table = dict(enumerate(table))
    if not isinstance(table, dict):
        raise DataListError(f"data list {path}: 'labels' must be {{value: name}}, not {table!r:.60}")
    names: dict[int, str] = {}
    for key, item in table.items():
        value, name = (item, key) if _is_value(item) and not _is_value(key) else (key, item)
        if isinstance(item, (list, dict)) or not _is_value(value):
            raise DataListError(
                f"data list {path}: label {key!r}: {item!r:.40} is no pair of one value and one name; "
                "write each value once, as in {'1': 'liver'}"
            )
        names[int(value)] = str(name).strip()
    return {value: name for value, name in sorted(names.items()) if value != 0}


def as_values(listed: Any, names: Mapping[int, str], where: str) -> frozenset[int]:
    """Label values given as numbers or by the list's own names.

    Raises:
        DataListError: something else.
    """
    if not isinstance(listed, list):
        raise DataListError(f"{where}: 'annotated' must be a list of label values, not {listed!r:.60}")
    value_of = {name: value for value, name in names.items()}
    values = set()
    for item in listed:
        value = value_of.get(item, item) if isinstance(item, str) else item
        if not _is_value(value):
            raise DataListError(f"{where}: 'annotated' names {item!r:.40}, which is no label value of the list")
        values.add(int(value))
    return frozenset(values)


def as_label_slices(table: Any, where: str) -> dict[int, SliceRange]:
    """Label value to first and last slice.

    Raises:
        DataListError: not {value: [first, last]} with 0 <= first <= last.
    """
    slices = {}
    for key, pair in _pairs(table, f"{where}: 'label_slices'"):
        ends = pair if isinstance(pair, list) and len(pair) == 2 and all(_is_value(end) for end in pair) else None
        if ends is None or not _is_value(key) or int(ends[0]) > int(ends[1]):
            raise DataListError(f"{where}: 'label_slices' has {key!r}: {pair!r:.40}; write {{value: [first, last]}}")
        slices[int(key)] = (int(ends[0]), int(ends[1]))
    return slices


def as_label_mapping(table: Any, path: Path) -> dict[int, int | str]:
    """Label value to class, from {value: class} or [[value, class], ...]; classes are ids or names.

    Raises:
        DataListError: something else.
    """
    mapping: dict[int, int | str] = {}
    for value, item in _pairs(table, f"data list {path}: the label mapping"):
        if not _is_value(value) or not (_is_value(item) or isinstance(item, str)):
            raise DataListError(
                f"data list {path}: the label mapping has {value!r}: {item!r:.40}; write [value, class]"
            )
        if int(value) != 0:
            mapping[int(value)] = int(item) if _is_value(item) else item
    return mapping


def _pairs(table: Any, what: str) -> Iterable[tuple[Any, Any]]:
    if isinstance(table, dict):
        return table.items()
    if isinstance(table, list) and all(isinstance(pair, list) and len(pair) == 2 for pair in table):
        return [(first, second) for first, second in table]
    raise DataListError(f"{what} must be {{value: ...}} or a list of pairs, not {table!r:.60}")


def _is_value(item: Any) -> bool:
    """A whole number that a label map can hold, or its digits."""
    if isinstance(item, str):
        return _DIGITS.fullmatch(item) is not None and int(item) <= 65535
    return isinstance(item, int) and not isinstance(item, bool) and 0 <= item <= 65535
