"""What commands say on standard error: messages, and progress bars on a terminal."""

import logging
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from openvista.cli import log_file
from openvista.inference.progress import Progress as Step
from openvista.inference.progress import Report

STAGES = {"prepare": "preparing", "encode": "encoding", "label": "labelling", "cluster": "clustering"}
"""What bars call the stages of the work."""


def set_up_logging(verbose: int, quiet: bool) -> None:
    """Messages of the library go to standard error: warnings, with -v decisions, with -vv details.

    What makes a wrong result likely is said even when quiet.
    """
    level = logging.ERROR if quiet else [logging.WARNING, logging.INFO, logging.DEBUG][min(verbose, 2)]
    logging.basicConfig(level=level, format="openvista: %(message)s", stream=sys.stderr, force=True)
    logging.getLogger("openvista.io").setLevel(min(level, logging.WARNING))
    if log_file.is_open():
        logging.getLogger("openvista").setLevel(min(level, logging.INFO))
        for handler in logging.getLogger().handlers:
            handler.addFilter(lambda record: record.levelno >= _level_of(record.name, level))
    for noisy in ("nibabel", "matplotlib", "PIL"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    silence_pydicom()


def _level_of(logger: str, level: int) -> int:
    return min(level, logging.WARNING) if logger.startswith("openvista.io") else level


def silence_pydicom() -> None:
    """It says of every odd value in a header what the value is: nobody's log should hold that."""
    logging.getLogger("pydicom").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="pydicom")


def load_nibabel() -> None:
    """nibabel without pydicom, which takes longer to load than all of nibabel.

    It would serve a kind of header extension that none of our files has. Only for processes of our own, where nobody
    else wants nibabel whole. Whatever reads DICOM loads pydicom later.
    """
    hidden = _Hidden("pydicom")
    sys.meta_path.insert(0, hidden)
    try:
        import_module("nibabel")
    finally:
        sys.meta_path.remove(hidden)


class _Hidden:
    """A package that this thread does not find, as if it were not installed; other threads do."""

    def __init__(self, package: str) -> None:
        self.package, self.thread = package, threading.get_ident()

    def find_spec(self, name: str, *_: object) -> None:
        if name == self.package and threading.get_ident() == self.thread:
            raise ModuleNotFoundError(f"{name} is not needed here", name=name)


def error_console() -> Console:
    """A console on standard error."""
    return Console(stderr=True)


def say(kind: str, text: object) -> None:
    """One line on standard error, as it is: an "error", a "warning" or a "note"."""
    error_console().print(f"openvista: {kind}: {text}", markup=False, soft_wrap=True)
    if log_file.is_open():
        levels = {"error": logging.ERROR, "warning": logging.WARNING}
        log_file.SAID.log(levels.get(kind, logging.INFO), "%s", text)


@contextmanager
def bars(quiet: bool, counted: bool = False, transient: bool = False) -> Iterator[Progress]:
    """Bars on standard error; silent when quiet or not on a terminal.

    Args:
        quiet: show nothing.
        counted: "3/10" instead of a percentage.
        transient: gone when the work is done.
    """
    console = error_console()
    share = MofNCompleteColumn() if counted else TaskProgressColumn()
    columns = (TextColumn("{task.description}"), BarColumn(), share, TimeRemainingColumn(elapsed_when_finished=True))
    hidden = quiet or not console.is_terminal
    # what another thread prints meanwhile belongs above the bar, but in a file if standard output is one
    above = sys.stdout.isatty()
    with Progress(*columns, console=console, disable=hidden, transient=transient, redirect_stdout=above) as shown:
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
def progress_bar(title: str, quiet: bool) -> Iterator[Report]:
    """A bar with the stage, the share done and the time left.

    Args:
        title: what is being worked on.
        quiet: show nothing.
    """
    with bars(quiet) as bar:
        task = bar.add_task(title, total=None)

        def progress(step: Step) -> None:
            bar.update(task, description=f"{title}: {STAGES.get(step.stage, step.stage)}")
            if step.stage == "encode":
                bar.update(task, completed=step.done, total=step.total)

        yield progress
