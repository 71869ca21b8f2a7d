"""The keys of a config of the original, as data: texts put together are read, no other expression is evaluated."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from openvista.errors import RecipeError

_TERM = r"""(?:'[^']*'|"[^"]*"|@[A-Za-z_]\w*|str\(@[A-Za-z_]\w*\))"""
_JOINED = re.compile(rf"\$\s*{_TERM}(?:\s*\+\s*{_TERM})*\s*")
"""Texts and other keys put together, as in ``$@bundle_root + '/model.pt'``; of all expressions only this is read."""
_EXPONENT = re.compile(r"[+-]?[0-9]+[eE][+-]?[0-9]+")
"""A number that YAML takes for a text, as it has no point: ``1e-5``."""
_REFERENCE = re.compile(r"@([A-Za-z_]\w*)")
_SILENT = frozenset(
    {"ckpt_path", "comments", "dataset_name", "exps", "huggingface", "input_channels", "json_name", "log_output_file"}
    | {"output_classes", "overlap_ratio", "save_all", "save_last", "save_metric", "transforms_infer", "argmax_first"}
    | {"transforms_train", "transforms_validate", "val_datasets", "num_epochs_per_validation", "skip_iter_prob"}
    | {"label_sv_key", "pseudo_label_key", "five_fold"}
)
"""Keys whose place is taken here by the model, its profile, the run folder or the recipe's own validation."""
_FIXED: Mapping[str, tuple[Any, ...]] = {
    "model": ("vista3d_segresnet_d",),
    "image_key": ("image",),
    "label_key": ("label",),
    "max_prompt": (None,),
    "num_images_per_batch": (1,),
}
"""Keys that are honoured with these values only."""


class ConfigKeys:
    """The keys of a config, taken one by one; what is not taken in the end is refused."""

    def __init__(self, content: Mapping[str, Any], where: str) -> None:
        self.content = content
        self.where = where
        self._taken: set[str] = set()
        self._forgotten: set[str] = set()
        self._expressions: list[str] = []

    def __contains__(self, key: str) -> bool:
        return self.content.get(key) is not None

    def take(self, key: str, default: Any = None) -> Any:
        """The plain value of a key; an expression is remembered and refused by :meth:`finish`."""
        self._taken.add(key)
        value = self._plain(self.content.get(key), key)
        return default if value is None else value

    def part(self, key: str, inner: str) -> Any:
        """The plain value of a key inside a key."""
        self._taken.add(key)
        group = self.content.get(key) or {}
        if not isinstance(group, dict):
            raise self.refuse(key, f"it must be keys and values, {inner} among them")
        return self._plain(group.get(inner), f"{key}.{inner}")

    def forget(self, *keys: str) -> None:
        """Keys whose place is taken by something else here: told, but not refused."""
        self._forgotten.update(keys)

    def number(self, key: str, kind: Callable[[Any], Any] = int) -> Any:
        """A number, or ``None`` where the key is missing."""
        value = self.take(key)
        try:
            return None if value is None else kind(value)
        except (TypeError, ValueError):
            raise RecipeError(f"{self.where}: {key} is {value!r:.60}, not a number") from None

    def refuse(self, key: str, why: str) -> RecipeError:
        """The error to raise: nothing here honours the value of this key."""
        return RecipeError(f"{self.where}: {key} {self.content.get(key)!r:.60} is not honoured here: {why}")

    def finish(self) -> tuple[str, ...]:
        """Names of what was left out.

        Raises:
            RecipeError: expressions, or keys that nothing here honours.
        """
        for key, allowed in _FIXED.items():
            if key in self.content and self.take(key) not in allowed:
                raise self.refuse(key, f"only {allowed[0]!r} is")
        if self._expressions:
            names = ", ".join(dict.fromkeys(self._expressions))
            raise RecipeError(
                f"{self.where}: expressions are not evaluated: give the values of {names} with --set KEY=VALUE"
            )
        rest = [key for key in self.content if key not in self._taken]
        if refused := sorted(
            key for key in rest if key not in _SILENT | self._forgotten and self.content[key] is not None
        ):
            raise RecipeError(
                f"{self.where}: nothing here honours {', '.join(refused)}: take it out, or set it to null"
            )
        return tuple(key for key in rest if self.content[key] is not None)

    def _plain(self, value: Any, key: str, seen: tuple[str, ...] = ()) -> Any:
        if isinstance(value, dict):
            return {inner: self._plain(item, f"{key}.{inner}") for inner, item in value.items()}
        if isinstance(value, list):
            return [self._plain(item, key) for item in value]
        if not isinstance(value, str):
            return value
        if _EXPONENT.fullmatch(value):
            return float(value)
        if reference := _REFERENCE.fullmatch(value):
            return self._referred(reference.group(1), key, seen)
        if _JOINED.fullmatch(value):
            terms = [term.group(0) for term in re.finditer(_TERM, value)]
            names = [_REFERENCE.search(term) if term[0] not in "'\"" else None for term in terms]
            pieces = [
                self._referred(n.group(1), key, seen) if n else t[1:-1] for n, t in zip(names, terms, strict=True)
            ]
            return None if None in pieces else pieces[0] if len(pieces) == 1 else "".join(map(str, pieces))
        if value.startswith(("$", "@", "%")):
            self._expressions.append(key)
            return None
        return value

    def _referred(self, name: str, key: str, seen: tuple[str, ...]) -> Any:
        """What another key says; ``None`` and an expression where there is none, or where keys go round in circles."""
        if name in seen or self.content.get(name) is None:
            self._expressions.append(key)
            return None
        return self._plain(self.content[name], key, (*seen, name))
