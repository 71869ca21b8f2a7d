"""Recipes from files and settings: YAML in, names of classes become ids, and a mistake becomes one line.

A recipe may say ``include: FILE``, relative to itself: it then has the keys of that file too, and its own win.
"""

from collections.abc import Callable
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from openvista.anatomy.catalogue import CATALOGUE, SUPPORTED_IDS
from openvista.anatomy.vocabulary import Vocabulary
from openvista.errors import AnatomyError, RecipeError
from openvista.simulate.supervoxel_mix import SupervoxelMixing
from openvista.train.augment import Augmentation
from openvista.train.recipe import ChallengeCases, LossTerms, Recipe
from openvista.train.source_lists import own_classes, with_data_lists
from openvista.train.yaml_keys import read_yaml_keys

_ORIGINAL_NAMES = {"max_point": "most_clicks", "num_patches_per_image": "patches_per_case"}
"""Keys of the original's configs that recipes take as well."""


def read_recipe(path: Path, **overrides: Any) -> Recipe:
    """Read a YAML recipe and replace some of its keys.

    A relative path of a data list is looked up from the recipe's folder, then from the working directory. Beside the
    keys of :class:`Recipe` a file may name data sets, see :mod:`openvista.train.source_lists`.

    Raises:
        RecipeError: missing file, not YAML, unknown key, or a value out of range.
        DataListError: a source without ``classes`` whose list cannot be read, or does not say what its labels are.
    """
    where = f"recipe {path}"
    return make_recipe(with_data_lists(_read_keys(path) | overrides, path.parent, where), where)


def make_recipe(content: dict[str, Any], where: str) -> Recipe:
    """A recipe of these keys.

    Args:
        content: keys and values; classes as ids or names, keys also as they were called before.
        where: what to call it in messages.

    Raises:
        RecipeError: unknown key, or a value out of range.
        DataListError: as :func:`read_recipe`.
    """
    try:
        content = _names_to_ids(with_current_keys(content))
    except AnatomyError as error:
        raise RecipeError(f"{where}: {error}") from None
    except (AttributeError, TypeError, ValueError) as error:
        raise RecipeError(f"{where}: classes and what else names classes cannot be read ({error})") from None
    try:
        return Recipe(**content)
    except ValidationError as error:
        problems = "; ".join(_problem(item) for item in error.errors())
        raise RecipeError(f"{where}: {problems}") from None


def with_current_keys(content: dict[str, Any]) -> dict[str, Any]:
    """The keys of a recipe as they are called here today.

    ``augmentation.spatial_share`` was ``bend``; the original has other names for some.
    """
    content = {_ORIGINAL_NAMES.get(key, key): value for key, value in content.items()}
    augmentation = content.get("augmentation")
    if not isinstance(augmentation, dict) or "bend" not in augmentation:
        return content
    rest = {key: value for key, value in augmentation.items() if key != "bend"}
    return content | {"augmentation": {"spatial_share": augmentation["bend"], **rest}}


def _read_keys(path: Path, including: tuple[Path, ...] = ()) -> dict[str, Any]:
    """The keys of a YAML file and of the file it includes.

    Args:
        path: the file.
        including: the files that led here.
    """
    content = read_yaml_keys(path, "recipe")
    included = content.pop("include", None)
    if included is None:
        return content
    if not isinstance(included, str):
        raise RecipeError(f"recipe {path}: include is {included!r}: name one file, relative to the recipe")
    chain = (*including, path.resolve())
    if (path.parent / included).resolve() in chain:
        raise RecipeError(f"recipe {path} includes {included}, which leads back to it: take out one include")
    return _read_keys(path.parent / included, chain) | content


def _names_to_ids(content: dict[str, Any]) -> dict[str, Any]:
    """The keys with ids wherever classes are named.

    Raises:
        AnatomyError: a name is no class.
        AttributeError, TypeError, ValueError: what names classes has another form.
    """
    extra = {int(class_id): str(name) for class_id, name in content.get("extra_names", {}).items()}
    resolve = Vocabulary(SUPPORTED_IDS, extra).resolve

    def of_source(source: dict[str, Any]) -> dict[str, Any]:
        if source.get("label_maps") is not None:
            return source | _of_label_maps(source, resolve)
        listed = source.get("classes")
        if listed is not None:
            classes = {value: resolve(item) for value, item in listed.items()}
        else:  # objects of challenge cases are no classes
            classes = {} if content.get("challenge") is not None else own_classes(source, resolve)
        named = {key: [resolve(item) for item in source.get(key, ())] for key in ("only_in_label_slices", "absent")}
        return source | {"classes": classes} | named

    resolved = of_source(content)
    if content.get("mirrored") is not None:
        resolved["mirrored"] = [[resolve(item) for item in pair] for pair in content["mirrored"]]
    for key in ("pseudo_classes", "one_piece"):
        resolved[key] = [resolve(item) for item in content.get(key, ())]
    if "more_data" in content:
        resolved["more_data"] = [of_source(dict(source)) for source in content["more_data"]]
    return resolved


def _of_label_maps(source: dict[str, Any], resolve: Callable[[int | str], int]) -> dict[str, Any]:
    """The keys of label maps that name classes, with ids; a class without names is made of the structure it is."""
    structures = {}
    for item, names in source.get("structures", {}).items():
        called = CATALOGUE[resolve(item)].name if resolve(item) in CATALOGUE else item
        structures[resolve(item)] = [called] if names is None else [names] if isinstance(names, str) else list(names)
    maps = [one if isinstance(one, dict) else {"path": one} for one in source["label_maps"]]
    placed = [one | {"unknown": [resolve(item) for item in one.get("unknown", ())]} for one in maps]
    return {"structures": structures, "label_maps": placed}


def _problem(item: Any) -> str:
    """One of pydantic's complaints as part of a line; for a misspelt key, with the nearest one there is."""
    key = ".".join(map(str, item["loc"]))
    if item["type"] not in ("extra_forbidden", "unexpected_keyword_argument"):
        text = str(item["msg"]).removeprefix("Value error, ")
        return f"{key}: {text}" if key else text
    groups = {"augmentation": Augmentation, "challenge": ChallengeCases, "loss": LossTerms, "mixing": SupervoxelMixing}
    inner = [f"{key}.{field.name}" for key, group in groups.items() for field in fields(group)]
    known = [*Recipe.model_fields, *inner]
    near = get_close_matches(key, known, n=1, cutoff=0)
    return f"unknown key {key!r}; the nearest is {near[0]!r}"
