"""Where two results differ, in lines that people can read."""

import difflib
from collections.abc import Iterator
from typing import Any

_MISSING = object()


def differences(before: Any, now: Any, where: str = "") -> Iterator[str]:
    """One line per value that differs; texts of several lines as a unified diff."""
    if isinstance(before, dict) and isinstance(now, dict):
        for key in [*before, *(key for key in now if key not in before)]:
            yield from differences(before.get(key, _MISSING), now.get(key, _MISSING), f"{where}/{key}")
    elif isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        for index, (one, other) in enumerate(zip(before, now, strict=True)):
            yield from differences(one, other, f"{where}/{index}")
    elif isinstance(before, str) and isinstance(now, str) and "\n" in before + now:
        yield from _text(before, now, where)
    elif before != now or type(before) is not type(now):
        yield f"{where or '/'}: {_shown(before)} -> {_shown(now)}"


def _text(before: str, now: str, where: str) -> Iterator[str]:
    lines = difflib.unified_diff(before.splitlines(), now.splitlines(), f"before{where}", f"now{where}", lineterm="")
    yield from lines


def _shown(value: Any) -> str:
    if value is _MISSING:
        return "nothing"
    text = repr(value)
    return text if len(text) <= 160 else f"{text[:150]}... ({len(text)} characters)"
