"""Keys and values in YAML, in a file or as KEY=VALUE; whatever is wrong with them is one line."""

from pathlib import Path
from typing import Any

from openvista.errors import RecipeError, needs_extra


def read_yaml_keys(path: Path, what: str) -> dict[str, Any]:
    """The keys of a YAML (or JSON) file.

    Args:
        path: the file.
        what: it is, for messages: "recipe".

    Raises:
        RecipeError: missing, not YAML, or no keys and values.
        MissingExtraError: PyYAML is not installed.
    """
    with needs_extra("yaml", "train", f"read a {what}"):
        import yaml
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RecipeError(f"{what} {path} does not exist") from None
    except OSError as error:
        raise RecipeError(f"{what} {path} cannot be read: {error.strerror or error}") from None
    except (UnicodeDecodeError, RecursionError, yaml.YAMLError) as error:
        raise RecipeError(f"{what} {path} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise RecipeError(f"{what} {path} must be a list of 'key: value' lines")
    if odd := [key for key in content if not isinstance(key, str)]:
        raise RecipeError(f"{what} {path}: {odd[0]!r} is no key of a {what}; check how the lines are indented")
    return content


def parse_settings(settings: list[str]) -> dict[str, Any]:
    """``key=value`` pairs; values are YAML, so numbers, lists and null work.

    Raises:
        RecipeError: one is not such a pair, or its value is not YAML.
        MissingExtraError: PyYAML is not installed.
    """
    if not settings:
        return {}
    with needs_extra("yaml", "train", "read --set"):
        import yaml

    parsed = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals or not key:
            raise RecipeError(f"--set {setting}: write KEY=VALUE, for example --set minutes=5")
        try:
            parsed[key.strip()] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise RecipeError(f"--set {setting}: the value is not YAML: {' '.join(str(error).split())}") from None
    return parsed
