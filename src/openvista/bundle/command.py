"""What a command line of MONAI asks a bundle for, and how errors of ours leave it.

MONAI takes any ``--id value``: one that no configuration knows becomes an id that nobody reads. And it shows every
error as a traceback. Both are put right here, for processes that ``python -m monai.bundle`` started and no others.
"""

import ast
import inspect
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from openvista.errors import InputError, OpenVistaError

_MONAI_COMMAND = "monai.bundle.__main__"
_ANYWHERE = ("_disabled_", "_requires_", "_mode_", "_target_", "_desc_")
_TENSORRT = "TensorRT is not part of this bundle: leave inference_trt.json out"
REFUSED: Mapping[str, str] = {
    **dict.fromkeys(
        ("max_prompt_size", "head_trt_enabled", "network_trt_args", "base_path", "head_trt_args", "network_dev"),
        _TENSORRT,
    ),
    "modality": "this bundle is for CT alone: leave modality out",
}
"""Ids of official configurations that nothing here can honour, and what to do."""


@contextmanager
def reporting() -> Iterator[None]:
    """End a command of MONAI with our one line and exit code where an error of ours, or one caused by it, ends it.

    Elsewhere (MONAI's workflows used from Python) the error of ours is raised, without what MONAI wrapped around it.

    Raises:
        OpenVistaError: as found.
        SystemExit: in a command.
    """
    try:
        yield
    except Exception as error:
        ours = cause_of(error)
        if ours is None:
            raise
        if not _is_command():
            raise ours from None
        sys.stderr.write(f"openvista: error: {ours}\n")
        raise SystemExit(ours.exit_code) from None


def check_command() -> None:
    """Refuse a command of MONAI with an id that its configurations do not have, or that nothing here can honour.

    Raises:
        InputError: there is one.
    """
    if _is_command():
        check_arguments(sys.argv[1:])


def check_arguments(arguments: Sequence[str]) -> None:
    """The same for the arguments after ``python -m monai.bundle``.

    Raises:
        InputError: as :func:`check_command`.
    """
    if not arguments or arguments[0] != "run":
        return
    options = dict(_options(arguments[1:]))
    configs = [_read(Path(file)) for file in _files(options.get("config_file", "[]"))]
    merged = {id_: value for config in configs for id_, value in config.items()}
    for id_ in (*merged, *(option.split("#")[0] for option in options)):
        if id_ in REFUSED:
            raise InputError(f"{id_}: {REFUSED[id_]}")
    own = _own_options()
    for option in options:
        if option not in own and not option.startswith("_meta_"):
            _check_id(option, merged, configs)


def _check_id(option: str, merged: Mapping[str, Any], configs: Sequence[Mapping[str, Any]]) -> None:
    """Walk to a nested id: every part must be there, but for the last one of a component, which may be an argument."""
    flat = {key.lstrip("+") for config in configs for key in config}
    if option in flat:
        return
    first, *rest = option.replace("::", "#").split("#")
    if first not in {key.split("#")[0] for key in flat}:
        raise InputError(f"--{option}: the bundle has no id {first!r}; the nearest is {_nearest(first, flat)!r}")
    place: Any = merged.get(first)
    for depth, part in enumerate(rest):
        last = depth == len(rest) - 1
        if last and isinstance(place, dict) and (part in _ANYWHERE or "_target_" in place):
            return
        if isinstance(place, str) or place is None:  # another id, or an expression: MONAI knows what it becomes
            return
        known = place if isinstance(place, dict) else [str(number) for number in range(len(place))]
        if part not in known:
            raise InputError(f"--{option}: there is no {part!r}; the nearest is {_nearest(part, known)!r}")
        place = place[part] if isinstance(place, dict) else place[int(part)]


def _nearest(word: str, known: Iterable[str]) -> str:
    return next(iter(get_close_matches(word, list(known), n=1, cutoff=0)), "none")


def _options(arguments: Sequence[str]) -> Iterator[tuple[str, str]]:
    """``--id value`` and ``--id=value``, as fire reads them."""
    number = 0
    while number < len(arguments):
        argument = arguments[number]
        number += 1
        if not argument.startswith("--"):
            continue
        key, equals, value = argument[2:].partition("=")
        if not equals and number < len(arguments) and not arguments[number].startswith("--"):
            value = arguments[number]
            number += 1
        yield key, value


def _files(text: str) -> list[str]:
    """One file, or a list as a literal."""
    if not text.strip().startswith(("[", "(")):
        return [text]
    try:
        return [str(file) for file in ast.literal_eval(text)]
    except (ValueError, SyntaxError):  # names without quotes, as fire allows them
        return [piece.strip(" '\"") for piece in text.strip("[]() ").split(",") if piece.strip()]


def _read(file: Path) -> dict[str, Any]:
    """A configuration as data; {} where MONAI itself will complain."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _own_options() -> set[str]:
    """The options of ``monai.bundle run`` itself."""
    from monai.bundle import ConfigWorkflow
    from monai.bundle import run as monai_run

    functions: tuple[Callable[..., Any], ...] = (monai_run, ConfigWorkflow.__init__)
    return {name for function in functions for name in inspect.signature(function).parameters} | {"workflow_name"}


def _is_command() -> bool:
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    return spec is not None and spec.name == _MONAI_COMMAND


def cause_of(error: BaseException | None) -> OpenVistaError | None:
    """The error itself, or what it was made from, if that is one of ours."""
    while error is not None:
        if isinstance(error, OpenVistaError):
            return error
        error = error.__cause__ or error.__context__
    return None
