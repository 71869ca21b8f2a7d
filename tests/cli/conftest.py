"""Shared by the tests of commands: refusals are tried in this process, for loading torch takes seconds."""

import logging
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from openvista.cli.main import main


@pytest.fixture
def openvista_here(capsys, monkeypatch) -> Iterator[Callable[..., subprocess.CompletedProcess]]:
    """Calls ``openvista`` with these arguments, without a process of its own."""
    interrupt = signal.getsignal(signal.SIGINT)
    monkeypatch.setenv("COLUMNS", "160")

    def call(*arguments: object) -> subprocess.CompletedProcess:
        words = ["openvista", *map(str, arguments)]
        monkeypatch.setattr(sys, "argv", words)
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main()
        return subprocess.CompletedProcess(words, end.value.code or 0, *capsys.readouterr())

    yield call
    signal.signal(signal.SIGINT, interrupt)
    logging.captureWarnings(False)
