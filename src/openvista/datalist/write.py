"""Write a data list, so that reading it again gives the same cases."""

import json
import os
from pathlib import Path
from typing import Any

from openvista.datalist.case import AnyCase, Case, DataList
from openvista.io.atomic import write_text


def write_datalist(listed: DataList, path: Path | None = None) -> Path:
    """Write a list in the style of the Medical Segmentation Decathlon, with the extra fields of design §4.

    Paths below the list's folder (or its ``root``) are written relative to it, others in full. Fields that we do not
    know are kept. The file is there whole or not at all.

    Args:
        listed: the list; its files need not exist.
        path: where to; default is where it came from.

    Returns:
        The file.

    Raises:
        OutputError: it cannot be written there.
    """
    target = path or listed.path
    text = json.dumps(_content(listed, target), indent=1, ensure_ascii=False) + "\n"
    write_text(target, text)
    return target


def _content(listed: DataList, target: Path) -> dict[str, Any]:
    folder = _absolute(listed.folder)
    content: dict[str, Any] = dict(listed.extra)
    if folder != _absolute(target.parent):
        content["root"] = _path_text(folder, _absolute(target.parent))
    if listed.label_names:
        content["labels"] = {"0": "background"} | {str(key): name for key, name in sorted(listed.label_names.items())}
    if listed.label_mapping:
        content["label_mapping"] = {str(key): item for key, item in sorted(listed.label_mapping.items())}
    training: list[AnyCase] = [*listed.training, *listed.unlabelled]
    testing: list[AnyCase] = [*listed.testing, *listed.testing_unlabelled]
    for key, cases in (("numTraining", training), ("numTest", testing)):
        if key in content:
            content[key] = len(cases)
    content["training"] = [_entry(case, folder) for case in training]
    content["testing"] = [_entry(case, folder) for case in testing]
    return content


def _entry(case: AnyCase, folder: Path) -> dict[str, Any]:
    entry: dict[str, Any] = {"image": _path_text(case.image, folder)}
    if isinstance(case, Case):
        entry["label"] = _path_text(case.label, folder)
    if case.fold is not None:
        entry["fold"] = case.fold
    if isinstance(case, Case) and case.annotated_listed:
        entry["annotated"] = sorted(case.annotated)
    if isinstance(case, Case) and case.label_slices:
        entry["label_slices"] = {str(value): list(ends) for value, ends in sorted(case.label_slices.items())}
    if case.pseudo_label is not None:
        entry["pseudo_label"] = _path_text(case.pseudo_label, folder)
    if not case.pseudo_label_reliable:
        entry["pseudo_label_reliability"] = 0
    if case.supervoxels is not None:
        entry["label_sv"] = _path_text(case.supervoxels, folder)
    return entry | dict(case.extra)


def _path_text(file: Path, folder: Path) -> str:
    """Relative when below ``folder``, with forward slashes on every system; absolute otherwise."""
    absolute = _absolute(file)
    return absolute.relative_to(folder).as_posix() if absolute.is_relative_to(folder) else absolute.as_posix()


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))
