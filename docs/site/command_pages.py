"""mkdocs hook: a page for each command, made of what ``--help`` says."""

import re
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from rich.text import Text
from typer.main import get_command

from openvista.cli.main import COMMANDS, app

PLACE = "reference/commands/"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages."""
    for name, text in pages().items():
        files.append(File.generated(config, f"{PLACE}{name}.md", content=text))
    return files


def pages() -> dict[str, str]:
    """{name of a command, or "index": its page}."""
    rows = "".join(f"| [`openvista {name}`]({name}.md) | {_escaped(told)} |\n" for name, told in COMMANDS.items())
    index = (
        "# Commands\n\nMade from what each command says with `--help`.\n\n"
        f"| command | what it does |\n|---|---|\n{rows}\n"
        "Exit codes: 0 done, 1 OpenVISTA failed, 2 the input is wrong (one line says what and what to do), 3 some\n"
        "cases of a cohort have no result, 130 stopped by Ctrl-C.\n"
    )
    found = {"index": index}
    commands = get_command(app).commands  # type: ignore[attr-defined]
    for name in COMMANDS:
        command = commands[name].load()
        found[name] = f"# openvista {name}\n\n" + _page(command, f"openvista {name}", 2)
    return found


def _page(command: Any, words: str, level: int) -> str:
    """What a command says of itself; of a group, each of its commands below it."""
    if not hasattr(command, "commands"):
        context = command.make_context(words, [], resilient_parsing=True)
        return _told(command, context, words) + _tables(command, context)
    text = _paragraphs(command.help or "")[0]
    for name, below in command.commands.items():
        called = words if name == "run" else f"{words} {name}"
        text += f"{'#' * level} {called}\n\n" + _page(below, called, level + 1)
    return text


def _told(command: Any, context: Any, words: str) -> str:
    """Help text, how it is called, examples."""
    text, examples = _paragraphs(command.help or "")
    usage = " ".join(command.collect_usage_pieces(context)).translate({ord("{"): None, ord("}"): None})
    usage = usage.replace("......", "...")
    text += f"```text\n{words} {usage}\n```\n\n"
    if examples:
        text += "**Examples**\n\n```sh\n" + "\n".join(examples) + "\n```\n\n"
    return text + (_escaped(_plain(command.epilog)) + "\n\n" if command.epilog else "")


def _paragraphs(told: str) -> tuple[str, list[str]]:
    """The paragraphs of a help text, and the lines of its examples."""
    text, examples = "", []
    for paragraph in re.split(r"\n\s*\n", _plain(told)):
        lines = [line.strip("\b ") for line in paragraph.strip().splitlines()]
        if re.match(r"(openvista|torchrun) ", lines[0]):
            examples += lines
        elif lines != ["Examples:"]:
            text += _escaped(" ".join(lines)) + "\n\n"
    return text, examples


def _tables(command: Any, context: Any) -> str:
    """A table of arguments and options for each panel of the help."""
    panels: dict[str, list[str]] = {}
    for one in command.get_params(context):
        record = one.get_help_record(context)
        if record is None:
            continue  # hidden
        kind = "Arguments" if one.param_type_name == "argument" else "Options"
        names, told = record
        told, _, more = told.partition("  [")  # such as [default: auto]
        more = "" if getattr(one, "count", False) or not more else f" *{_escaped(more.removesuffix(']'))}*"
        panels.setdefault(one.rich_help_panel or kind, []).append(f"| `{names}` | {_escaped(_plain(told))}{more} |\n")
    return "".join(f"**{panel}**\n\n| | |\n|---|---|\n{''.join(rows)}\n" for panel, rows in panels.items())


def _plain(told: str) -> str:
    """Without the marks of Rich."""
    return Text.from_markup(told).plain


def _escaped(told: str) -> str:
    """As it stands, in Markdown."""
    told = re.sub(r"([|*_\[\]])", r"\\\1", told)
    return told.replace("<", "&lt;")
