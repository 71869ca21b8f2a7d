"""Entry point: the commands, and how every error of ours becomes one line and an exit code."""

import logging
import signal
import sys
from typing import Annotated

import typer

from openvista._version import __version__
from openvista.cli import classes, click, cvpr, datalist, evaluate, finetune, models, segment, serve, supervoxels, train
from openvista.errors import OpenVistaError

app = typer.Typer(
    name="openvista",
    help="Turn a CT scan into named organs. Start with: [bold]openvista segment CT.nii.gz[/bold]",
    rich_markup_mode="rich",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("segment")(segment.segment)
app.command("click")(click.click)
app.command("classes")(classes.classes)
app.add_typer(models.app, name="models")
app.command("train")(train.train)
app.command("finetune")(finetune.finetune)
app.command("supervoxels")(supervoxels.supervoxels)
app.command("serve")(serve.serve)
app.add_typer(datalist.app, name="datalist")
app.add_typer(evaluate.app, name="evaluate")
app.add_typer(cvpr.app, name="cvpr")


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"openvista {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Options that come before the command."""


class Interrupted(BaseException):
    """Ctrl-C. Not KeyboardInterrupt, which typer would turn into exit code 1 of its own."""


def _interrupt(*_: object) -> None:
    raise Interrupted


def main() -> None:
    """Run the command line; exit code 0 done, 2 the input is wrong, 1 we failed, 130 interrupted."""
    logging.captureWarnings(True)
    signal.signal(signal.SIGINT, _interrupt)
    try:
        app()
    except OpenVistaError as error:
        print(f"openvista: error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except Interrupted:
        print("openvista: stopped; nothing half-written was left behind", file=sys.stderr)
        sys.exit(130)
