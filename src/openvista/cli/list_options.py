"""What the options of a data list mean: folders that its paths start from, and label sets side by side."""

from collections.abc import Sequence
from pathlib import Path

from openvista.datalist import pair_label_sets, read_datalist
from openvista.errors import DataListError


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
