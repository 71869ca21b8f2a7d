"""Recipes from files and settings: YAML in, one line out where something is wrong."""

from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from openvista.errors import MissingExtraError, RecipeError
from openvista.simulate.supervoxel_mix import SupervoxelMixing
from openvista.train.augment import Augmentation
from openvista.train.recipe import Recipe


def read_recipe(path: Path, **overrides: Any) -> Recipe:
    """Read a YAML recipe and replace some of its keys.

    Raises:
        RecipeError: missing file, not YAML, unknown key, or a value out of range.
    """
    try:
        import yaml
    except ImportError:
        raise MissingExtraError("yaml", "train", "read a recipe") from None
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
    recipe = make_recipe(content | overrides, f"recipe {path}")
    more = tuple(one.model_copy(update={"datalist": _beside(path, one.datalist)}) for one in recipe.more_data)
    return recipe.model_copy(update={"datalist": _beside(path, recipe.datalist), "more_data": more})


def _beside(recipe: Path, datalist: Path) -> Path:
    """The data list where it is: relative to the recipe if there is one, else to where we are."""
    return recipe.parent / datalist if (recipe.parent / datalist).is_file() else datalist


def make_recipe(content: dict[str, Any], where: str) -> Recipe:
    """A recipe of these keys.

    Args:
        content: keys and values.
        where: what to call it in messages.

    Raises:
        RecipeError: unknown key, or a value out of range.
    """
    try:
        return Recipe(**content)
    except ValidationError as error:
        problems = "; ".join(_problem(item) for item in error.errors())
        raise RecipeError(f"{where}: {problems}") from None


def _problem(item: Any) -> str:
    """One of pydantic's complaints as part of a line; a misspelt key gets the nearest one."""
    key = ".".join(map(str, item["loc"]))
    if item["type"] not in ("extra_forbidden", "unexpected_keyword_argument"):
        text = str(item["msg"]).removeprefix("Value error, ")
        return f"{key}: {text}" if key else text
    groups = {"augmentation": Augmentation, "mixing": SupervoxelMixing}
    inner = [f"{key}.{field.name}" for key, group in groups.items() for field in fields(group)]
    known = [*Recipe.model_fields, *inner]
    near = get_close_matches(key, known, n=1, cutoff=0)
    return f"unknown key {key!r}; the nearest is {near[0]!r}"
