"""What is given as input: data lists with folders that their paths start from, label sets side by side, folders."""

import os
from collections.abc import Sequence
from pathlib import Path

from openvista.datalist import pair_label_sets, read_datalist
from openvista.errors import DataListError, ScanError
from openvista.io.paths import image_suffix, may_be_dicom, sidecar_path
from openvista.io.write import is_description


def list_roots(root: Path | None, pseudo_label_root: Path | None, supervoxel_root: Path | None) -> dict[str, Path]:
    """Those that are given, in full, by the name that recipes and :func:`openvista.datalist.read_datalist` have."""
    roots = {"root": root, "pseudo_label_root": pseudo_label_root, "supervoxel_root": supervoxel_root}
    return {key: folder.resolve() for key, folder in roots.items() if folder is not None}


def listed_images(inputs: Sequence[Path], root: Path | None) -> list[Path]:
    """The inputs, with every case of a data list in its place: training and testing, labelled or not.

    Raises:
        DataListError: a list cannot be read, or a root is given without one.
    """
    lists = [path for path in inputs if path.suffix.lower() == ".json"]
    if root is not None and not lists:
        raise DataListError("--root is the folder of a data list's images: give a data list, a .json file")
    images: list[Path] = []
    for path in inputs:
        cases = read_datalist(path, root=root, must_exist=False).every_case if path in lists else None
        images += [path] if cases is None else [case.image for case in cases]
    return images


def scans_in_folders(inputs: Sequence[Path], recursive: bool, output: Path | None) -> list[Path]:
    """The inputs, with the scans of a folder in its place; results of ours among them are left out.

    A folder of DICOM files is one scan. What is named twice is done once. A folder without scans stays, for whoever
    reads it to say so.

    Args:
        inputs: files and folders.
        recursive: look into folders of a folder, too.
        output: a folder that is not looked into.
    """
    found: list[Path] = []
    for path in inputs:
        in_it = _scans_in(path) if path.is_dir() else []
        if path.is_dir() and recursive:
            for folder, below, _ in os.walk(path):
                below[:] = sorted(name for name in below if _is_searched(Path(folder, name), output))
                in_it += _scans_in(Path(folder)) if Path(folder) != path else []
        found += in_it or [path]
    return list(dict.fromkeys(found))


def _scans_in(folder: Path) -> list[Path]:
    try:
        files = sorted(file for file in folder.iterdir() if file.is_file() and not file.name.startswith("."))
    except OSError as error:
        raise ScanError(f"{folder}: cannot be listed: {error.strerror}; check its permissions") from error
    images = [file for file in files if image_suffix(file) and not is_description(sidecar_path(file))]
    return images or [folder] * any(may_be_dicom(file) for file in files if not image_suffix(file))


def _is_searched(folder: Path, output: Path | None) -> bool:
    """Not what is hidden, nor the output folder, nor a folder of ours with a file per structure."""
    if folder.name.startswith(".") or is_description(folder.with_name(f"{folder.name}.json")):
        return False
    return output is None or not output.exists() or not folder.samefile(output)


def label_sets(label_set: str | None, mapped_label_set: str | None) -> dict[int, int] | None:
    """Label value to class id; ``None`` without the two options.

    Raises:
        DataListError: one is missing or no list of numbers, or they contradict each other.
    """
    if label_set is None and mapped_label_set is None:
        return None
    if label_set is None or mapped_label_set is None:
        raise DataListError("--label-set and --mapped-label-set go together: give both")
    return pair_label_sets(_numbers(label_set, "--label-set"), _numbers(mapped_label_set, "--mapped-label-set"))


def mapping_items(mapping: Sequence[str] | None, label_set: str | None, mapped_label_set: str | None) -> list[str]:
    """``--map`` or the label sets, as LABEL=CLASS.

    Raises:
        DataListError: both are given, or as :func:`label_sets`.
    """
    classes = label_sets(label_set, mapped_label_set)
    if classes is None:
        return list(mapping or ())
    if mapping:
        raise DataListError("--map and --label-set both say which class a label is: give one of them")
    return [f"{value}={class_id}" for value, class_id in classes.items()]


def _numbers(text: str, option: str) -> list[int]:
    try:
        return [int(piece) for piece in text.strip().removeprefix("[").removesuffix("]").split(",")]
    except ValueError:
        raise DataListError(f"{option} {text}: write whole numbers with commas between them, as in 0,1,2") from None
