"""What commands share: messages, verbosity, progress bars."""

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

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


def say(kind: str, text: object) -> None:
    """One line on standard error, as it is: an "error", a "warning" or a "note"."""
    error_console().print(f"openvista: {kind}: {text}", markup=False, soft_wrap=True)


@contextmanager
def bars(quiet: bool, counted: bool = False, transient: bool = False) -> Iterator["Progress"]:
    """Bars on standard error; silent when quiet or not on a terminal.

    Args:
        quiet: show nothing.
        counted: "3/10" instead of a percentage.
        transient: gone when the work is done.
    """
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    console = error_console()
    share = MofNCompleteColumn() if counted else TaskProgressColumn()
    columns = (TextColumn("{task.description}"), BarColumn(), share, TimeRemainingColumn(elapsed_when_finished=True))
    hidden = quiet or not console.is_terminal
    with Progress(*columns, console=console, disable=hidden, transient=transient) as shown:
        yield shown


@contextmanager
def counting_bar(title: str, quiet: bool) -> Iterator[Callable[[int], Callable[[], None]]]:
    """A bar that goes when it is full; called with the number of files, it gives what to call after each."""
    with bars(quiet, counted=True, transient=True) as bar:

        def begin(count: int) -> Callable[[], None]:
            task = bar.add_task(title, total=count)
            return lambda: bar.advance(task)

        yield begin


@contextmanager
def progress_bar(title: str, quiet: bool) -> Iterator["Report"]:
    """A bar with stage, share and time left on standard error; silent when quiet or not on a terminal.

    Args:
        title: what is being worked on.
        quiet: show nothing.
    """
    from openvista.inference.progress import Progress as Step

    with bars(quiet) as bar:
        task = bar.add_task(title, total=None)

        def report(step: Step) -> None:
            description = f"{title}: {_STAGES.get(step.stage, step.stage)}"
            if step.stage == "encode":
                bar.update(task, description=description, completed=step.done, total=step.total)
            else:
                bar.update(task, description=description)

        yield report
