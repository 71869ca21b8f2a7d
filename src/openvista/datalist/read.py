"""Read a data list in any of the styles people have.

========================  ===============================================================================
Medical Decathlon (MSD)   ``labels {value: name}``, ``training``, ``test`` (file names without labels)
MONAI, its bundles        ``training``, ``testing``, ``validation``; ``fold``; often no names at all
VISTA3D's research lists  paths below a folder that only its code knows; ``pseudo_label`` and ``label_sv`` below
                          others; ``label_dict``, ``label_mappings.json`` beside the lists; scans without labels
ours                      all of these, with ``annotated``, ``label_slices``, ``root``
========================  ===============================================================================
"""

import json
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from openvista.datalist.case import AnyCase, Case, DataList, UnlabelledCase, by_label
from openvista.datalist.fields import (
    ENTRY_FIELDS,
    LIST_FIELDS,
    as_file_name,
    as_fold,
    as_label_mapping,
    as_label_names,
    as_label_slices,
    as_values,
)
from openvista.errors import DataListError

logger = logging.getLogger(__name__)

_MAPPINGS_FILE = "label_mappings.json"


def read_datalist(
    path: Path,
    *,
    root: Path | None = None,
    pseudo_label_root: Path | None = None,
    supervoxel_root: Path | None = None,
    must_exist: bool = True,
) -> DataList:
    """Read a data list.

    Args:
        path: the JSON file.
        root: folder that its paths start from, instead of the file's ``root``, instead of the file's own folder.
        pseudo_label_root: the same for ``pseudo_label``; the file's key is ``pseudo_label_root``. Default: as images.
        supervoxel_root: the same for ``label_sv``; the file's key is ``label_sv_root``. Default: as images.
        must_exist: refuse a list that names files which do not exist.

    Raises:
        DataListError: the file is missing, not JSON, without cases, malformed, or names files that do not exist.
    """
    for folder in (root, pseudo_label_root, supervoxel_root):
        if folder is not None and not folder.is_dir():
            raise DataListError(f"data list {path}: its files are to lie below {folder}, which is no folder")
    content = _read_json(path)
    chosen_root = root or _folder(content, "root", path)
    images = chosen_root or path.parent
    folders = {
        "image": images,
        "label": images,
        "pseudo_label": pseudo_label_root or _folder(content, "pseudo_label_root", path) or images,
        "label_sv": supervoxel_root or _folder(content, "label_sv_root", path) or images,
    }
    names = as_label_names(content, path)
    reader = _EntryReader(path, folders, names)
    training = [reader.read(entry, "training") for entry in _entries(content, ("training",), path)]
    testing = [reader.read(entry, "testing") for entry in _entries(content, ("testing", "test"), path)]
    training += _validation(content, reader, training)
    reader.warn()
    (labelled, unlabelled), (testing_labelled, testing_unlabelled) = by_label(training), by_label(testing)
    listed = DataList(
        path,
        names,
        labelled,
        testing_labelled,
        unlabelled,
        testing_unlabelled,
        _mapping_of(content, path),
        chosen_root,
        {key: value for key, value in content.items() if key not in LIST_FIELDS},
    )
    if not listed.training and not listed.testing and not listed.unlabelled:
        raise DataListError(
            f"data list {path} has no labelled case under 'training' or 'testing'; "
            "'openvista datalist make FOLDER' writes one from files on disk"
        )
    bare = [case for case in listed.unlabelled if case.pseudo_label is None and case.supervoxels is None]
    if bare:
        logger.warning("%s: %d training cases have no label and are not trained on: %s", path, len(bare), _some(bare))
    if must_exist:
        refuse_missing(listed)
    return listed


def read_own_mapping(path: Path) -> dict[int, int | str]:
    """Label value to class (id or name) as the list itself says: its mapping, else its names; {} without any label map.

    Raises:
        DataListError: the file cannot be read, or it has label maps and says nothing of their values.
    """
    content = _read_json(path)
    if not any(entry.get("label") for entry in _entries(content, ("training", "validation"), path)):
        return {}
    mapping: dict[int, int | str] = _mapping_of(content, path) or dict(as_label_names(content, path))
    if not mapping:
        raise DataListError(
            f"data list {path} names no labels: say which class each is, as in 'classes: {{1: spleen}}'"
        )
    return mapping


def read_label_names(path: Path) -> dict[int, str]:
    """The names of label values in a ``dataset.json``, with or without a list of cases; {} where it has none.

    Raises:
        DataListError: the file is missing, not JSON, or its names are malformed.
    """
    return as_label_names(_read_json(path), path)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataListError(f"data list {path} does not exist") from None
    except OSError as error:
        raise DataListError(f"data list {path} cannot be read: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:  # of them, also numbers of thousands of digits
        raise DataListError(f"data list {path} is not JSON: {error}") from None
    if not isinstance(content, dict):
        raise DataListError(f"data list {path} must be a JSON object with a 'training' list")
    return content


def _folder(content: Mapping[str, Any], key: str, path: Path) -> Path | None:
    """A base folder that the file itself names, relative to where the file lies."""
    if content.get(key) is None:
        return None
    return path.parent / as_file_name(content[key], key, path)


def _entries(content: Mapping[str, Any], keys: tuple[str, ...], path: Path) -> list[dict[str, Any]]:
    """All entries under some keys; a bare file name is an image without a label (MSD's ``test``)."""
    entries = []
    for key in keys:
        listed = content.get(key) or []
        if not isinstance(listed, list):
            raise DataListError(f"data list {path}: '{key}' must be a list of cases, not {listed!r:.60}")
        for entry in listed:
            entry = {"image": entry} if isinstance(entry, str) else entry
            if not isinstance(entry, dict):
                raise DataListError(f"data list {path}: an entry of '{key}' is {entry!r:.60}, not an object")
            entries.append(entry)
    return entries


def _validation(content: Mapping[str, Any], reader: "_EntryReader", training: list[AnyCase]) -> list[AnyCase]:
    """MONAI's ``validation`` entries as one more fold of training: holding that fold out is what such lists mean."""
    entries = _entries(content, ("validation",), reader.path)
    fold = max((case.fold for case in training if case.fold is not None), default=-1) + 1
    if entries:
        logger.info("%s: its %d validation cases are fold %d here", reader.path, len(entries), fold)
    return [reader.read({**entry, "fold": fold}, "validation") for entry in entries]


@dataclass(frozen=True)
class _EntryReader:
    """Makes cases of entries.

    Attributes:
        path: of the list.
        folders: where relative paths start, by field of the entry.
        names: of label values.
        images_as_maps: by field, images that were given as maps of themselves.
    """

    path: Path
    folders: Mapping[str, Path]
    names: Mapping[int, str]
    images_as_maps: dict[str, list[Path]] = field(default_factory=dict)

    def read(self, entry: dict[str, Any], key: str) -> AnyCase:
        """One entry; a list without ``annotated`` says that everything named was marked everywhere."""
        if not entry.get("image"):
            raise DataListError(f"data list {self.path}: an entry of '{key}' has no 'image': {entry!r:.120}")
        image, label = self._file(entry, "image"), self._file(entry, "label")
        fold = as_fold(entry.get("fold"), image, self.path)
        pseudo_label = self._map(entry, "pseudo_label", image)
        supervoxels = self._map(entry, "label_sv", image)
        reliable = entry.get("pseudo_label_reliability", 1) not in (0, "0")
        extra = {key: value for key, value in entry.items() if key not in ENTRY_FIELDS}
        if label is None:
            return UnlabelledCase(image, fold, pseudo_label, supervoxels, reliable, extra)
        where = f"data list {self.path}, case {image.name}"
        annotated = entry.get("annotated")
        return Case(
            image=image,
            label=label,
            fold=fold,
            annotated=frozenset(self.names) if annotated is None else as_values(annotated, self.names, where),
            label_slices=as_label_slices(entry.get("label_slices") or {}, where),
            pseudo_label=pseudo_label,
            supervoxels=supervoxels,
            pseudo_label_reliable=reliable,
            annotated_listed=annotated is not None,
            extra=extra,
        )

    def warn(self) -> None:
        """One line for all that was left out."""
        for key, images in self.images_as_maps.items():
            logger.warning(
                "%s: '%s' of %d cases is the image itself, so left out; say in which folder the maps are (first: %s)",
                self.path,
                key,
                len(images),
                images[0].name,
            )

    def _map(self, entry: dict[str, Any], key: str, image: Path) -> Any:
        """A map's file; research lists repeat the image's path there, below a folder that only their code knows."""
        file = self._file(entry, key)
        if file == image:
            self.images_as_maps.setdefault(key, []).append(image)
            return None
        return file

    def _file(self, entry: dict[str, Any], key: str) -> Any:
        return self.folders[key] / as_file_name(entry[key], key, self.path) if entry.get(key) else None


def _mapping_of(content: Mapping[str, Any], path: Path) -> dict[int, int | str]:
    """The list's own mapping to classes: a key in it, or VISTA3D's file beside it, by the data set's name."""
    if content.get("label_mapping"):
        return as_label_mapping(content["label_mapping"], path)
    dataset = re.sub(r"_\d+_folds$", "", path.stem)
    table, source = content.get("label_mappings"), path
    if table is None and (path.parent / _MAPPINGS_FILE).is_file():
        source = path.parent / _MAPPINGS_FILE
        table = _read_json(source)
    if not isinstance(table, dict):
        return {}
    found = table.get(dataset) or table.get("default") or {}
    if found:
        logger.info("%s: label mapping taken from %s", path, source)
    return as_label_mapping(found, source)


def _some(cases: Sequence[AnyCase]) -> str:
    return ", ".join(case.image.name for case in cases[:5]) + (", ..." if len(cases) > 5 else "")


def refuse_missing(listed: DataList) -> None:
    """Raises:
    DataListError: the list names a file that does not exist.
    """
    for case in listed.every_case:
        label = case.label if isinstance(case, Case) else None
        for file in (case.image, label, case.pseudo_label, case.supervoxels):  # an image may be a folder of slices
            if file is not None and not (file.exists() if file is case.image else file.is_file()):
                raise DataListError(
                    f"data list {listed.path} names {file}, which does not exist; "
                    f"'openvista datalist check {listed.path}' tells all that is missing"
                )
