"""What commands share: messages, verbosity, the progress bar."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from openvista.inference.progress import Report

Verbose = Annotated[int, typer.Option("-v", "--verbose", count=True, help="Say what is decided; twice for details.")]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Print errors only.")]

_STAGES = {"prepare": "preparing", "encode": "looking", "label": "labelling"}


def set_up_logging(verbose: int, quiet: bool) -> None:
    """Messages of the library go to standard error: warnings, with -v decisions, with -vv details."""
    level = logging.ERROR if quiet else [logging.WARNING, logging.INFO, logging.DEBUG][min(verbose, 2)]
    logging.basicConfig(level=level, format="openvista: %(message)s", stream=sys.stderr, force=True)
    for noisy in ("nibabel", "matplotlib", "PIL"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def error_console() -> "Console":
    """A console on standard error."""
    from rich.console import Console

    return Console(stderr=True)


@contextmanager
def progress_bar(title: str, quiet: bool) -> Iterator["Report"]:
    """A bar with stage, share and time left on standard error; silent when quiet or not on a terminal.

    Args:
        title: what is being worked on.
        quiet: show nothing.
    """
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    from openvista.inference.progress import Progress as Step

    console = error_console()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    with Progress(*columns, console=console, disable=quiet or not console.is_terminal) as bar:
        task = bar.add_task(title, total=None)

        def report(step: Step) -> None:
            description = f"{title}: {_STAGES.get(step.stage, step.stage)}"
            if step.stage == "encode":
                bar.update(task, description=description, completed=step.done, total=step.total)
            else:
                bar.update(task, description=description)

        yield report
