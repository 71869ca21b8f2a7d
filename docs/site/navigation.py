"""mkdocs hook: the navigation gets a line for each command, and none for a page that this checkout lacks.

A page that no line leads to is a warning of mkdocs, so a wrong name is still found.
"""

from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig

from openvista.cli.main import COMMANDS


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Rewrite ``nav``."""
    config.nav = [_filled(entry, Path(config.docs_dir)) for entry in config.nav or []]
    return config


def _filled(entry: Any, docs: Path) -> Any:
    """An entry, and all below it."""
    if not isinstance(entry, dict):
        return entry
    ((title, below),) = entry.items()
    if title == "Commands":
        folder = "reference/commands"
        return {title: [f"{folder}/index.md", *({name: f"{folder}/{name}.md"} for name in COMMANDS)]}
    if not isinstance(below, list):
        return entry
    return {title: [_filled(one, docs) for one in below if not isinstance(one, str) or (docs / one).exists()]}
