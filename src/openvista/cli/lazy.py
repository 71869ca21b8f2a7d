"""Commands that are imported when they are called, so that a list of commands loads none of them."""

import time
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand
from typer.main import get_command, get_group

BEGAN = "openvista.began"
"""Key of a context's ``meta``: when the command was called (``time.monotonic``), before its imports."""


class LazyCommand(TyperCommand):
    """Stands for a command in the list of commands, with its name and its help text.

    The command itself is what the module ``openvista.cli.<name>`` defines: a group of commands called ``app``, or else
    a function of the command's name.
    """

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Begin to call the command, or to complete what is typed after it: from here on it is the real one."""
        if parent is not None:
            parent.meta[BEGAN] = time.monotonic()
        return self.load().make_context(info_name, args, parent=parent, **extra)

    def load(self) -> Any:
        """The command or group that this one stands for."""
        module = import_module(f"openvista.cli.{self.name}")
        if hasattr(module, "app"):
            return get_group(module.app)
        alone = typer.Typer(add_completion=False)
        alone.command(self.name)(getattr(module, str(self.name)))
        return get_command(alone)
