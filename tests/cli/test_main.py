"""Commands are imported when they are called: the list of commands, the shell's completion, and imports at the top."""

import ast
import os
import signal
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import typer

from openvista import cli
from openvista.cli.main import COMMANDS, Interrupted, app, interruptible

FILES = sorted(file for file in Path(cli.__file__).parent.glob("*.py"))
PACKAGE = Path(cli.__file__).parents[1]
INSIDE_FUNCTIONS = {
    "mcp.py": {"openvista.agents.folders", "openvista.agents.turns"},  # the extra "mcp" may be missing
    "serve.py": {"openvista.serve.run", "openvista.serve.settings"},  # the extra "serve" may be missing
    "supervoxels.py": {"transformers.utils.logging"},  # an extra
}
"""Beside those that load torch, which takes a second: help and completion do without."""


def complete(*words: str) -> list[str]:
    """What the shell is offered after ``openvista WORDS``; the last one is incomplete."""
    code = "import sys; sys.argv[0] = 'openvista'; from openvista.cli import main; main()"
    asked = {
        "_OPENVISTA_COMPLETE": "complete_bash",
        "COMP_WORDS": " ".join(["openvista", *words]),
        "COMP_CWORD": str(len(words)),
    }
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, **asked}, capture_output=True, text=True)
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_says_what_the_command_says(name):
    stand_in = typer.main.get_command(app).commands[name]
    real = stand_in.load()
    first, _, _ = real.help.partition("\n\n")
    assert COMMANDS[name] == " ".join(first.split())


def test_a_list_of_commands_loads_none_of_them():
    code = (
        "import sys\nfrom typer.testing import CliRunner\nfrom openvista.cli.main import app\n"
        "for words in (['--help'], ['-V'], ['--version'], ['nonsense']):\n    CliRunner().invoke(app, words)\n"
        "heavy = 'torch', 'nibabel', 'scipy', 'numpy', 'openvista.cli.segment', 'openvista.cli.options'\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("words", [["classes", "liver"], ["models"], ["models", "info", "starter"]])
def test_light_commands_load_no_heavy_package(words):
    assert loaded_by([words], "torch", "nibabel", "scipy") == "[]"


def test_the_help_of_every_command_loads_no_torch():
    inner = [
        ["cvpr", "train"],
        ["cvpr", "predict"],
        ["evaluate", "compare"],
        ["bundle", "export"],
        ["datalist", "make"],
    ]
    assert loaded_by([[*words, "--help"] for words in [*([name] for name in COMMANDS), *inner]], "torch") == "[]"


def loaded_by(calls: list[list[str]], *packages: str) -> str:
    """Which of the packages a fresh process has loaded after these commands."""
    code = (
        "import sys\nfrom typer.testing import CliRunner\nfrom openvista.cli.main import app\n"
        f"for words in {calls}:\n    assert CliRunner().invoke(app, words).exit_code == 0, words\n"
        f"print([name for name in {packages} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_the_shell_completes_commands_and_their_options():
    assert complete("se") == ["segment", "serve"]
    assert complete("datalist", "") == ["make", "check"]
    assert complete("classes", "--m") == ["--model"]
    assert complete("cvpr", "predict", "--s") == ["--seconds-per-class", "--spacing-order"]
    assert "--resume" in complete("evaluate", "list.json", "--r")


def test_completion_can_be_installed():
    command = [sys.executable, "-m", "openvista", "--help"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "--install-completion" in shown
    assert "--show-completion" in shown


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_imports_stand_at_the_top(file):
    tree = ast.parse(file.read_text())
    top = {
        id(inner)
        for node in tree.body
        if isinstance(node, ast.If | ast.Import | ast.ImportFrom)
        for inner in ast.walk(node)
    }
    inside = set().union(*(modules_of(node) for node in ast.walk(tree) if id(node) not in top))
    assert {module for module in inside if "torch" not in loading(module)} == INSIDE_FUNCTIONS.get(file.name, set())


def modules_of(node: ast.AST) -> set[str]:
    """What a statement imports."""
    if isinstance(node, ast.Import):
        return {alias.name for alias in node.names}
    if isinstance(node, ast.ImportFrom) and node.module:
        inner = {f"{node.module}.{alias.name}" for alias in node.names}
        return {name for name in inner if file_of(name)} or {node.module}
    return set()


def file_of(module: str) -> Path | None:
    """Where a module of ours stands; ``None`` for others."""
    place = PACKAGE.parent.joinpath(*module.split("."))
    return next((file for file in (place.with_suffix(".py"), place / "__init__.py") if file.exists()), None)


@cache
def loading(module: str) -> frozenset[str]:
    """The modules that importing this one loads, as far as imports at the top of our own files say."""
    found, ahead = {module}, [module]
    while ahead:
        file = file_of(ahead.pop())
        names = set().union(*map(modules_of, ast.parse(file.read_text()).body)) if file else set()
        packages = {name.rpartition(".")[0] for name in names if "." in name}
        new = (names | packages) - found
        found |= new
        ahead += new
    return frozenset(found)


def test_a_missing_extra_hides_no_help():
    extras = "yaml tensorboard matplotlib SimpleITK skimage transformers fastapi uvicorn pydantic_settings httpx"
    code = (
        f"import sys\nsys.modules |= dict.fromkeys({extras.split()})\n"
        "from typer.testing import CliRunner\nfrom openvista.cli.main import COMMANDS, app\n"
        "for name in COMMANDS:\n    assert CliRunner().invoke(app, [name, '--help']).exit_code == 0, name\n"
        "print(CliRunner().invoke(app, ['serve']).exception)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "openvista[serve]" in done.stdout


def test_an_interrupt_that_a_library_made_an_error_of_was_a_traceback() -> None:
    """As ``safetensors`` does with whatever a signal handler raises while it makes a tensor."""

    def make_tensor() -> None:
        try:
            signal.raise_signal(signal.SIGINT)
        except Interrupted as error:
            raise ValueError("could not determine the shape of object type") from error

    before = signal.getsignal(signal.SIGINT)
    try:
        with pytest.raises(Interrupted), interruptible():
            make_tensor()
        with pytest.raises(ValueError, match="ours"), interruptible():
            raise ValueError("ours")
    finally:
        signal.signal(signal.SIGINT, before)
