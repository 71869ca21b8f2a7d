"""Every command and every line of Python in our pages can be one; which test runs it is known.

What a block says it needs (``sh needs a PACS``) is parsed only. The others are run by tests/services/test_pages.py, or
by a test of their own, which :data:`page_blocks.RUN_ELSEWHERE` names.
"""

import ast
import importlib
import json
import re
import sys
from pathlib import Path

import pytest
import yaml
from typer.main import get_command

from openvista.cli.main import app
from page_blocks import GO_ON, INSTALL, NEEDS, NOT_ON_THE_SITE, PAGES, PARSED, ROOT, RUN_ELSEWHERE, Block, blocks_of

if sys.version_info >= (3, 11):
    import tomllib

BLOCKS = [block for page in PAGES for block in blocks_of(page)]
SHELL = [block for page in [*PAGES, *PARSED] for block in blocks_of(page) if block.is_shell]
PYTHON = [block for block in BLOCKS if block.language == "python" and block.words != "snakemake"]


def parse(words: list[str]) -> None:
    """The command, its options and how many arguments it takes; nothing is run."""
    group = get_command(app)
    command, called, rest = group, "openvista", words
    while hasattr(command, "commands"):
        if "run" in command.commands and rest[0] not in command.commands:
            rest = ["run", *rest]
        if not rest and command.invoke_without_command:
            return
        assert set(rest[:1]) & command.commands.keys(), f"{called} has no command {rest[:1]}"
        command, called, rest = command.commands[rest[0]], f"{called} {rest[0]}", rest[1:]
        command = command.load() if hasattr(command, "load") else command
    context = command.make_context(called, [], resilient_parsing=True)
    context.resilient_parsing = False
    given, too_many, _ = command.make_parser(context).parse_args(list(rest))
    assert too_many == [], f"{called} takes no {too_many}"
    if not given.get("help"):
        missing = [one.name for one in command.params if one.required and not given.get(one.name)]
        assert missing == [], f"{called} needs {missing}"


def parse_python(words: list[str]) -> None:
    """``python -m openvista ...``, ``python FILE --option``: the file is there, and knows its options."""
    if words[:2] == ["-m", "openvista"]:
        parse(words[2:])
    elif words[0] not in {"-m", "-c"}:
        file = ROOT / words[0]
        file = file / "__main__.py" if file.is_dir() else file
        assert file.is_file(), f"no {words[0]}"
        text = "".join(one.read_text() for one in (file.parent.glob("*.py") if file.name == "__main__.py" else [file]))
        if "openvista.cli" in text:
            return  # hands over what it is given
        for option in (word.split("=")[0] for word in words[1:] if word.startswith("--")):
            assert option in text, f"{words[0]} has no {option}"


def parse_pip(words: list[str]) -> None:
    """The extras of ``pip install '.[...]'`` exist."""
    if sys.version_info < (3, 11):
        pytest.skip("tomllib came with Python 3.11")
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for word in words:
        if named := re.fullmatch(r"(?:\.|openvista)\[([\w,]+)\](?: @ .*)?", word):
            assert set(named[1].split(",")) <= extras.keys(), word


def parse_make(words: list[str]) -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {word for word in words if "=" not in word} <= targets


def parse_torchrun(words: list[str]) -> None:
    """What it starts; its own options are those of torch."""
    start = words.index("-m")
    assert words[start + 1] == "openvista"
    parse(words[start + 2 :])


PARSERS = {
    "openvista": parse,
    "python": parse_python,
    "pip": parse_pip,
    "make": parse_make,
    "torchrun": parse_torchrun,
}


@pytest.mark.parametrize("block", SHELL, ids=str)
def test_commands_of_a_block_exist(block: Block) -> None:
    for words in block.commands:
        program = Path(words[0]).name
        if program in PARSERS:
            PARSERS[program](words[1:])


def test_the_parser_refuses_what_there_is_not() -> None:
    for words in ("segmented ct.nii.gz", "segment ct.nii.gz --colour red", "segment", "segment x -o"):
        with pytest.raises(Exception, match=r"no command|[Nn]o such option|needs|[Rr]equires|Missing"):
            parse(words.split())


@pytest.mark.parametrize("block", PYTHON, ids=str)
def test_names_of_a_python_block_exist(block: Block) -> None:
    """Modules of ours, what is imported from them, and attributes of the package."""
    tree = ast.parse(block.text)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("openvista"):
            module = importlib.import_module(str(node.module))
            assert [one.name for one in node.names if not hasattr(module, one.name)] == []
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "ov":
            assert hasattr(importlib.import_module("openvista"), node.attr), f"ov.{node.attr}"


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_a_block_says_what_it_needs_in_known_words(block: Block) -> None:
    """And those that say nothing can be run: they end, and install nothing."""
    assert block.needs <= NEEDS
    programs = {" ".join(words[:2]) if words[0] == "openvista" else words[0] for words in block.shell_commands}
    if block.keeps_running:
        assert programs & GO_ON
    elif not block.needs and block.page not in NOT_ON_THE_SITE and (block.page, block.language) not in RUN_ELSEWHERE:
        assert programs & (GO_ON | INSTALL) == set()


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.language in {"json", "yaml"}], ids=str)
def test_a_file_in_a_page_can_be_read(block: Block) -> None:
    assert (json.loads if block.language == "json" else yaml.safe_load)(block.text)


@pytest.mark.parametrize(("page", "test"), sorted({(page, test) for (page, _), test in RUN_ELSEWHERE.items()}))
def test_a_test_that_runs_a_page_names_it(page: str, test: str) -> None:
    assert page in (ROOT / test).read_text(encoding="utf-8") or Path(page).name in (ROOT / test).read_text()
