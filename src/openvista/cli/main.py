"""Entry point: the commands, and how every error of ours becomes one line and an exit code."""

import errno
import logging
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand
from typer.main import get_command, get_group

from openvista._version import __version__
from openvista.cli.log_file import add_log_file
from openvista.cli.totalsegmentator_options import refuse_totalsegmentator_options
from openvista.errors import OpenVistaError

app = typer.Typer(
    name="openvista",
    help="Turn a CT scan into named organs. Start with: [bold]openvista segment CT.nii.gz[/bold]",
    rich_markup_mode="rich",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

COMMANDS = {
    "segment": "Segment CT scans: every class the model knows, or those you name.",
    "click": "Segment by clicks: something without a name, something new, or a correction of what was found "
    "automatically.",
    "classes": "List the classes that can be named, with ids and aliases.",
    "train": "Train a model by a recipe; the result in RUN/model is what --model takes.",
    "migrate": "Translate a config of the original; the recipe and the command that uses it are printed.",
    "finetune": "Teach a model your structures; the result in RUN/model is what --model takes.",
    "supervoxels": "Cut CT scans into supervoxels: pieces whose voxels look alike, numbered from 1; the air around the "
    "patient is 0.",
    "synthesise": "Draw synthetic CT from label maps: a scan, its labels with names, and a contact sheet to look at.",
    "serve": "Serve the viewer and four APIs on one port: ours, NVIDIA's VISTA-3D NIM, MONAI Label's (3D Slicer, "
    "OHIF), and nnInteractive's (napari).",
    "mcp": "Be a server of the Model Context Protocol: agents list classes, segment, click, measure, export and look.",
    "batch": "Segment a cohort: thousands of CT scans, on one machine or many, each done once.",
    "listen": "Be a DICOM node: take series by C-STORE, segment them by rules, send the results on.",
    "models": "List, download, import, verify and convert models.",
    "datalist": "Make and check lists of scans with labels.",
    "evaluate": "Score a model on a data list; compare two runs.",
    "bench": "Time ours against the peer (MONAI's pipeline with its own network, on equal weights) in one process.",
    "cvpr": "The CVPR 2025 challenge for interactive 3D segmentation: its case files in, its label maps and scores "
    "out.",
    "bundle": "Write a model as a MONAI bundle; import a bundle's weights.",
}
"""What ``openvista --help`` lists: each command, the name of its module here, with the first sentence of its help."""


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
        if self.name == "segment" and not extra.get("resilient_parsing"):
            refuse_totalsegmentator_options(args)
        return self.load().make_context(info_name, args, parent=parent, **extra)

    def load(self) -> Any:
        """The command or group that this one stands for."""
        module = import_module(f"openvista.cli.{self.name}")
        if hasattr(module, "app"):
            command: Any = get_group(module.app)
        else:
            alone = typer.Typer(add_completion=False)
            alone.command(self.name)(getattr(module, str(self.name)))
            command = get_command(alone)
        if self.name != "serve":  # its processes log to standard error, for whoever keeps the service
            add_log_file(command)
        return command


def _stand_in() -> None:
    """Never called: a :class:`LazyCommand` gives way to its command."""


for _name, _help in COMMANDS.items():
    app.command(_name, cls=LazyCommand, help=_help)(_stand_in)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"openvista {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool,
        typer.Option("-V", "--version", callback=_print_version, is_eager=True, help="Print the version and stop."),
    ] = False,
) -> None:
    """Options that come before the command."""


class Interrupted(BaseException):
    """Ctrl-C. Not KeyboardInterrupt, which typer would turn into exit code 1 of its own."""


@contextmanager
def interruptible() -> Iterator[None]:
    """Ctrl-C becomes :class:`Interrupted`, also where a library in C made an error of its own of it."""
    came = []

    def interrupt(*_: object) -> None:
        came.append(True)
        raise Interrupted

    signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    except Exception as error:
        if came:
            raise Interrupted from error
        raise


def main() -> None:
    """Run the command line; exit code 0 done, 2 the input is wrong, 1 we failed, 130 interrupted."""
    logging.captureWarnings(True)
    try:
        with interruptible():
            app()
    except OpenVistaError as error:
        print(f"openvista: error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        print(f"openvista: error: {str(error.filename)[:80]}...: {error.strerror}; check the path", file=sys.stderr)
        sys.exit(2)
    except Interrupted:
        print("openvista: stopped; nothing half-written was left behind", file=sys.stderr)
        sys.exit(130)
