"""Extension of griffe: docstrings are written for Sphinx, whose marks become Markdown."""

import re
from typing import Any

from griffe import Extension, Object

_ROLE = re.compile(r":(?:class|func|meth|mod|data|attr|exc):`~?([^`]+)`")


class AsMarkdown(Extension):
    """``:class:`Scan``` becomes code, and ``::`` before an indented block goes."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Called for each function, class and module."""
        if obj.docstring:
            text = _ROLE.sub(lambda role: f"`{role[1].rpartition('.')[2]}`", obj.docstring.value)
            obj.docstring.value = re.sub(r"^::\n", "", text, flags=re.MULTILINE)
