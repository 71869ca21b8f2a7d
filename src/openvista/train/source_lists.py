"""The data lists of a recipe file: given by path or by the names of data sets, with what their labels are.

Names of data sets come from a registry, in the recipe or in a file of its own::

    datasets:
      Task06: {json: jsons/Task06_5_folds.json, root: /data/Task06, supervoxel_root: /supervoxels/Task06}
      NLST: {json: jsons/NLST_5_folds.json, root: /data/NLST}

or from a folder of lists (``json_dir``), as the original's configs have it; then each data set lies in a folder of its
name below the recipe's ``root``.
"""

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from openvista.anatomy.catalogue import CATALOGUE
from openvista.datalist import read_own_mapping
from openvista.errors import RecipeError
from openvista.train.recipe import LIST_KEYS, LIST_ROOTS
from openvista.train.yaml_keys import read_yaml_keys

_NAMING = ("registry", "datasets", "json_dir", "train_datasets")
"""Keys by which data sets are named; none of them is a key of :class:`openvista.train.recipe.Recipe`."""
_PATHS = ("datalist", *LIST_ROOTS)


def with_data_lists(content: Mapping[str, Any], folder: Path, where: str) -> dict[str, Any]:
    """The keys of a recipe file with data lists for names of data sets, and with paths that hold from anywhere.

    Args:
        content: keys and values of the file.
        folder: where relative paths start; what is not there is looked up from the working directory.
        where: what to call the file in messages.

    Raises:
        RecipeError: a data set without a list, a list twice, or a registry that cannot be read.
    """
    keys = {key: value for key, value in content.items() if key not in _NAMING or value is not None}
    named = [key for key in _NAMING if key in keys]
    if named:
        both = [key for key in ("datalist", "classes", "only_in_label_slices") if keys.get(key)]
        if both:
            raise RecipeError(f"{where}: {both[0]} and {named[0]} exclude each other: each data set has its own")
        first, *others = _named_sources(keys, folder, where)
        more = [*others, *(keys.get("more_data") or ())]
        dropped = (*_NAMING, *LIST_ROOTS, "datalist", "classes")
        keys = {key: value for key, value in keys.items() if key not in dropped} | first | {"more_data": more}
    placed = _placed(keys, folder)
    if isinstance(placed.get("more_data"), (list, tuple)):
        placed["more_data"] = [_placed_source(one, folder) for one in placed["more_data"]]
    return placed


def own_classes(source: Mapping[str, Any], resolve: Callable[[int | str], int]) -> dict[int, int]:
    """Label value to class id as the source's list itself says; {} for a list without label maps.

    Classes that no published model supports are allowed: a training may be the first that does.

    Raises:
        DataListError: the list cannot be read, or does not say.
        AnatomyError: it names a class that nobody knows.
    """
    if source.get("datalist") is None:
        return {}
    mapping = read_own_mapping(Path(source["datalist"]))
    return {value: item if item in CATALOGUE else resolve(item) for value, item in mapping.items()}  # type: ignore[misc]


def _named_sources(keys: Mapping[str, Any], folder: Path, where: str) -> list[dict[str, Any]]:
    """The keys of each data set that is asked for, at least one."""
    known = _registered(keys, folder, where)
    names = keys.get("train_datasets", list(known))
    names = [names] if isinstance(names, str) else names
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise RecipeError(f"{where}: train_datasets must be a list of names, not {names!r:.60}")
    if len(set(names)) < len(names):
        raise RecipeError(f"{where}: train_datasets names {max(names, key=names.count)} twice")
    return [_source(name, known, keys, folder, where) for name in names]


def _registered(keys: Mapping[str, Any], folder: Path, where: str) -> dict[str, Any]:
    """Name to entry of the registry file and of the recipe's own registry, whose entries win."""
    found: dict[str, Any] = {}
    if "registry" in keys:
        path = _beside(folder, Path(str(keys["registry"])))
        content = read_yaml_keys(path, "registry")
        entries = content.get("datasets")
        if set(content) != {"datasets"} or not isinstance(entries, dict):
            raise RecipeError(f"registry {path} must have 'datasets: {{NAME: {{json: ..., root: ...}}}}' and no more")
        found = {str(name): _placed_entry(entry, path.parent) for name, entry in entries.items()}
    own = keys.get("datasets", {})
    if not isinstance(own, dict):
        raise RecipeError(f"{where}: datasets must be {{NAME: {{json: ..., root: ...}}}}, not {own!r:.60}")
    return found | {str(name): _placed_entry(entry, folder) for name, entry in own.items()}


def _placed_entry(entry: Any, folder: Path) -> Any:
    if not isinstance(entry, dict):
        return entry
    renamed = {"datalist" if key == "json" else key: value for key, value in entry.items()}
    return _placed(renamed, folder)


def _source(name: str, known: Mapping[str, Any], keys: Mapping[str, Any], folder: Path, where: str) -> dict[str, Any]:
    """The keys of one data set."""
    entry = known.get(name, {})
    if name not in known and "json_dir" not in keys:
        near = get_close_matches(name, known, n=1, cutoff=0)
        raise RecipeError(f"{where}: no data set {name!r} is registered" + (f"; nearest: {near[0]!r}" if near else ""))
    if not isinstance(entry, dict) or (odd := [key for key in entry if key not in LIST_KEYS]):
        raise RecipeError(
            f"{where}: data set {name!r} has {odd[0] if isinstance(entry, dict) else entry!r:.60}: "
            f"write {{json: ..., root: ...}}, and if need be {', '.join(LIST_KEYS[2:])}"
        )
    parents = {key: Path(str(keys[key])) / name for key in LIST_ROOTS if keys.get(key) is not None}
    source = parents | entry
    if "datalist" not in source:
        if "json_dir" not in keys:
            raise RecipeError(f"{where}: data set {name!r} has no json: say where its data list is")
        source["datalist"] = _list_of(name, _beside(folder, Path(str(keys["json_dir"]))), where)
    return source


def _list_of(name: str, lists: Path, where: str) -> Path:
    """``NAME_5_folds.json`` or ``NAME.json`` in a folder of lists."""
    found = sorted(lists.glob(f"{name}_*_folds.json")) or sorted(lists.glob(f"{name}.json"))
    if len(found) != 1:
        problem = "has no list of" if not found else f"has {len(found)} lists of"
        raise RecipeError(
            f"{where}: json_dir {lists} {problem} {name!r}: say which with datasets: {{{name}: {{json: ...}}}}"
        )
    return found[0]


def _placed(keys: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The same keys; paths that are there when they start from the folder do so, others from the working directory."""
    return dict(keys) | {
        key: _beside(folder, Path(keys[key])) for key in _PATHS if isinstance(keys.get(key), (str, Path))
    }


def _placed_source(source: Any, folder: Path) -> Any:
    """The same keys of a source; paths of its label maps hold from anywhere too."""
    if not isinstance(source, dict):
        return source
    placed = _placed(source, folder)
    if not isinstance(placed.get("label_maps"), (list, tuple)):
        return placed
    maps = [one if isinstance(one, dict) else {"path": one} for one in placed["label_maps"]]
    named = ("path", "names")
    return placed | {
        "label_maps": [
            one | {key: _beside(folder, Path(one[key])) for key in named if isinstance(one.get(key), (str, Path))}
            for one in maps
        ]
    }


def _beside(folder: Path, path: Path) -> Path:
    return folder / path if (folder / path).exists() else path
