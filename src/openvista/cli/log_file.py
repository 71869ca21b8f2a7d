"""``--log-file``: what a command does and says, with times, in a file. Every command but ``serve`` has it."""

import logging
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.main import get_command

from openvista._version import __version__
from openvista.errors import OpenVistaError, OutputError

SAID = logging.getLogger("openvista.said")
"""What commands print on standard error themselves; it goes to the log file alone."""
_LIBRARY = logging.getLogger("openvista")


class LogFile:
    """An open log file: lines are added to what is in it, those of several processes one after the other.

    Messages of the library's and of commands are in it, not those of other packages: theirs may hold what identifies
    a patient.

    Args:
        path: the file.
        command: what is run.

    Raises:
        OutputError: it cannot be written.
    """

    def __init__(self, path: Path, command: str) -> None:
        self._command, self._began = command, time.monotonic()
        try:
            self._handler = logging.FileHandler(path, encoding="utf-8")
        except OSError as error:
            raise OutputError(f"--log-file {path}: cannot be written: {error.strerror}") from error
        line = logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%S%z")
        self._handler.setFormatter(line)

    def __enter__(self) -> "LogFile":
        SAID.propagate = False
        SAID.setLevel(logging.INFO)
        for logger in (SAID, _LIBRARY):
            logger.addHandler(self._handler)
        SAID.info("%s: begins, version %s", self._command, __version__)
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        error = error or sys.exc_info()[1]  # older click tells nothing
        seconds = time.monotonic() - self._began
        if isinstance(error, OpenVistaError):
            SAID.error("%s: %s", self._command, error)
        elif error is not None and getattr(error, "exit_code", 1) != 0:
            SAID.error("%s: ended by %s", self._command, type(error).__name__)
        SAID.info("%s: ends after %.1f s", self._command, seconds)
        for logger in (SAID, _LIBRARY):
            logger.removeHandler(self._handler)
        _LIBRARY.setLevel(logging.NOTSET)
        self._handler.close()


def is_open() -> bool:
    """Whether what is said goes to a log file, too."""
    return any(isinstance(handler, logging.FileHandler) for handler in SAID.handlers)


def add_log_file(command: Any) -> None:
    """Give ``--log-file`` to a command, or to every command of a group."""
    inner = getattr(command, "commands", None)
    if inner is not None:
        for one in inner.values():
            add_log_file(one)
        return
    command.params.extend(parameter for parameter in _with_log_file().params if parameter.name == "log_file")


def _with_log_file() -> Any:
    app = typer.Typer(add_completion=False)
    app.command()(_log_file_only)
    return get_command(app)


def _open(context: typer.Context, path: Path | None) -> None:
    if path is not None and not context.resilient_parsing:
        words = context.command_path.split("openvista")[-1]  # whatever it was started as
        context.with_resource(LogFile(path, f"openvista{words}"))


def _log_file_only(
    log_file: Annotated[
        Path | None,
        typer.Option(
            "--log-file",
            metavar="FILE",
            expose_value=False,
            callback=_open,
            help="Add what is done and said to a file, with times. Files are named, patients are not.",
        ),
    ] = None,
) -> None:
    """Never called: its option is what is wanted."""
