"""Data lists: which scans there are, which structures somebody marked in each, and where."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openvista.errors import DataListError

SliceRange = tuple[int, int]
_OPTIONAL_FILES = ("pseudo_label", "label_sv")


@dataclass(frozen=True)
class Case:
    """One labelled scan of a data list.

    Attributes:
        image: the CT file.
        label: the label map on the same grid.
        fold: cross-validation fold, ``None`` where the list has none.
        annotated: label values somebody marked here; any other value is unknown, not absent.
        label_slices: label value to its first and last slice (inclusive) of the file's third axis.
        pseudo_label: a model's label map on the same grid, ``None`` where there is none.
        supervoxels: a supervoxel map on the same grid (``label_sv`` in the file), ``None`` where there is none.
    """

    image: Path
    label: Path
    fold: int | None
    annotated: frozenset[int]
    label_slices: dict[int, SliceRange]
    pseudo_label: Path | None = None
    supervoxels: Path | None = None

    @property
    def name(self) -> str:
        """The image's file name without extensions."""
        return self.image.name.split(".")[0]


@dataclass(frozen=True)
class DataList:
    """A data list in the style of the Medical Segmentation Decathlon, with the extra fields of design §4.

    Attributes:
        path: the JSON file.
        label_names: label value to name, without background.
        training: cases to learn from, by folds.
        testing: cases to score once.
    """

    path: Path
    label_names: dict[int, str]
    training: tuple[Case, ...]
    testing: tuple[Case, ...]

    def split(self, fold: int | None) -> tuple[tuple[Case, ...], tuple[Case, ...]]:
        """Training cases outside ``fold``, and those inside it for validation; ``None`` holds nothing out."""
        inside = tuple(case for case in self.training if fold is not None and case.fold == fold)
        if fold is not None and not inside:
            folds = sorted({case.fold for case in self.training if case.fold is not None})
            raise DataListError(f"{self.path}: no case has fold {fold}; the list has folds {folds}")
        return tuple(case for case in self.training if case not in inside), inside


def read_datalist(path: Path) -> DataList:
    """Read a data list; paths in it are relative to its folder.

    Raises:
        DataListError: the file is missing, not JSON, without cases, or names files that do not exist.
    """
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError:
        raise DataListError(f"data list {path} does not exist") from None
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DataListError(f"data list {path} is not JSON: {error}") from None
    if not isinstance(content, dict):
        raise DataListError(f"data list {path} must be a JSON object with a 'training' list")
    names = {int(value): str(name) for value, name in content.get("labels", {}).items() if int(value) != 0}
    training = tuple(_case(entry, path, names) for entry in content.get("training", []))
    testing = tuple(_case(entry, path, names) for entry in content.get("testing", []) if "label" in entry)
    if not training and not testing:
        raise DataListError(f"data list {path} has no labelled case under 'training' or 'testing'")
    return DataList(path, names, training, testing)


def _case(entry: dict[str, Any], path: Path, names: dict[int, str]) -> Case:
    """One list entry; a list without ``annotated`` says that everything named was marked everywhere."""
    for key in ("image", "label"):
        if key not in entry:
            raise DataListError(f"data list {path}: entry {entry} has no '{key}'")
    image, label = path.parent / entry["image"], path.parent / entry["label"]
    pseudo_label, supervoxels = (path.parent / entry[key] if entry.get(key) else None for key in _OPTIONAL_FILES)
    for file in (image, label, pseudo_label, supervoxels):
        if file is not None and not file.is_file():
            raise DataListError(f"data list {path} names {file}, which does not exist")
    return Case(
        image=image,
        label=label,
        fold=entry.get("fold"),
        annotated=frozenset(int(value) for value in entry.get("annotated", names)),
        label_slices={int(value): (int(a), int(b)) for value, (a, b) in entry.get("label_slices", {}).items()},
        pseudo_label=pseudo_label,
        supervoxels=supervoxels,
    )
