"""Recipes from files and settings: YAML in, names of classes become ids, and a mistake becomes one line.

A recipe may say ``include: FILE``, relative to itself: it then has the keys of that file too, and its own win.
"""

from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from openvista.anatomy.catalogue import SUPPORTED_IDS
from openvista.anatomy.vocabulary import Vocabulary
from openvista.errors import AnatomyError, RecipeError, needs_extra
from openvista.simulate.supervoxel_mix import SupervoxelMixing
from openvista.train.augment import Augmentation
from openvista.train.recipe import Recipe


def read_recipe(path: Path, **overrides: Any) -> Recipe:
    """Read a YAML recipe and replace some of its keys.

    A relative path of a data list is looked up from the recipe's folder, then from the working directory.

    Raises:
        RecipeError: missing file, not YAML, unknown key, or a value out of range.
    """
    recipe = make_recipe(_read_keys(path) | overrides, f"recipe {path}")
    more = tuple(one.model_copy(update={"datalist": _beside(path, one.datalist)}) for one in recipe.more_data)
    return recipe.model_copy(update={"datalist": _beside(path, recipe.datalist), "more_data": more})


def make_recipe(content: dict[str, Any], where: str) -> Recipe:
    """A recipe of these keys.

    Args:
        content: keys and values; classes as ids or names, keys also as they were called before.
        where: what to call it in messages.

    Raises:
        RecipeError: unknown key, or a value out of range.
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
    """The keys of a recipe as they are called today: ``augmentation.spatial_share`` was ``bend``."""
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
    with needs_extra("yaml", "train", "read a recipe"):
        import yaml
    try:
        content = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        raise RecipeError(f"recipe {path} does not exist") from None
    except OSError as error:
        raise RecipeError(f"recipe {path} cannot be read: {error.strerror or error}") from None
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise RecipeError(f"recipe {path} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise RecipeError(f"recipe {path} must be a list of 'key: value' lines")
    if odd := [key for key in content if not isinstance(key, str)]:
        raise RecipeError(f"recipe {path}: {odd[0]!r} is no key of a recipe; check how the lines are indented")
    included = content.pop("include", None)
    if included is None:
        return content
    if not isinstance(included, str):
        raise RecipeError(f"recipe {path}: include is {included!r}: name one file, relative to the recipe")
    chain = (*including, path.resolve())
    if (path.parent / included).resolve() in chain:
        raise RecipeError(f"recipe {path} includes {included}, which leads back to it: take out one include")
    return _read_keys(path.parent / included, chain) | content


def _beside(recipe: Path, datalist: Path) -> Path:
    """The data list beside the recipe if there is one, else the path as it is, relative to the working directory."""
    return recipe.parent / datalist if (recipe.parent / datalist).is_file() else datalist


def _names_to_ids(content: dict[str, Any]) -> dict[str, Any]:
    """The keys with ids wherever classes are named.

    Raises:
        AnatomyError: a name is no class.
        AttributeError, TypeError, ValueError: what names classes has another form.
    """
    extra = {int(class_id): str(name) for class_id, name in content.get("extra_names", {}).items()}
    resolve = Vocabulary(SUPPORTED_IDS, extra).resolve

    def of_source(source: dict[str, Any]) -> dict[str, Any]:
        return source | {
            "classes": {value: resolve(item) for value, item in (source.get("classes") or {}).items()},
            "only_in_label_slices": [resolve(item) for item in source.get("only_in_label_slices", ())],
        }

    resolved = of_source(content)
    if content.get("mirrored") is not None:
        resolved["mirrored"] = [[resolve(item) for item in pair] for pair in content["mirrored"]]
    for key in ("pseudo_classes", "one_piece"):
        resolved[key] = [resolve(item) for item in content.get(key, ())]
    if "more_data" in content:
        resolved["more_data"] = [of_source(dict(source)) for source in content["more_data"]]
    return resolved


def _problem(item: Any) -> str:
    """One of pydantic's complaints as part of a line; for a misspelt key, with the nearest one there is."""
    key = ".".join(map(str, item["loc"]))
    if item["type"] not in ("extra_forbidden", "unexpected_keyword_argument"):
        text = str(item["msg"]).removeprefix("Value error, ")
        return f"{key}: {text}" if key else text
    groups = {"augmentation": Augmentation, "mixing": SupervoxelMixing}
    inner = [f"{key}.{field.name}" for key, group in groups.items() for field in fields(group)]
    known = [*Recipe.model_fields, *inner]
    near = get_close_matches(key, known, n=1, cutoff=0)
    return f"unknown key {key!r}; the nearest is {near[0]!r}"
