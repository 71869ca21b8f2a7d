"""Our end of the process that reads strangers' files."""

import json
import logging
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from openvista.errors import ServiceError
from openvista.serve.parse import ANSWER_FILE, ParseRequest

logger = logging.getLogger(__name__)


class Reader:
    """Starts the process when it is first needed, and again after it broke. For one thread at a time."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def read(self, request: ParseRequest, seconds: float) -> dict[str, Any]:
        """The facts about a file; its array lies in the request's output folder then.

        Raises:
            ServiceError: 422 it is no scan, breaks its reader, or takes too long; 413 too large.
        """
        status = self._ask(json.dumps(asdict(request)), seconds)
        if status is None:
            raise ServiceError(f"reading the file took longer than {seconds:g} s", code="slow-file")
        if status != 0:
            logger.warning("the process that reads a file ended with %d", status)
            raise ServiceError("the file cannot be read: it breaks its reader, or needs too much memory", code="scan")
        answer: dict[str, Any] = json.loads(Path(request.output, ANSWER_FILE).read_text(encoding="utf-8"))
        if "problem" in answer:
            message = _without_folders(answer["problem"], request)
            raise ServiceError(message, status=answer["status"], code=answer["code"])
        return dict(answer["facts"])

    def _ask(self, line: str, seconds: float) -> int | None:
        """The status that the process answers, 1 if it ended without, ``None`` if it was too slow and is ended."""
        process = self._process
        if process is None or process.poll() is not None:
            process = self._process = _start()
        if process.stdin is None or process.stdout is None:
            return 1
        too_slow = threading.Event()

        def end() -> None:
            too_slow.set()
            _kill(process)

        timer = threading.Timer(seconds, end)
        timer.start()
        try:
            process.stdin.write(line + "\n")
            process.stdin.flush()
            answer = process.stdout.readline().strip()
        except OSError:
            answer = ""
        finally:
            timer.cancel()
        if too_slow.is_set():
            return None
        return int(answer) if answer else 1

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            _kill(self._process)
            self._process = None


def _start() -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "openvista.serve.parse"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # a decoder's messages hold file names and worse
        text=True,
        env=_environment(),
        start_new_session=True,  # so that it can be ended together with its child, and Ctrl-C is ours
    )


def _kill(process: "subprocess.Popen[str]") -> None:
    with suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(OSError):
                pipe.close()


def _without_folders(message: str, request: ParseRequest) -> str:
    """A message for a stranger: where we keep their file does not concern them."""
    for path in (request.scratch, str(Path(request.scratch).parent), request.source):
        message = message.replace(path + "/", "").replace(path, "the file")
    return message


def _environment() -> dict[str, str]:
    """As little as Python needs: no token, no proxies; one thread, for each reserves address space."""
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "PYTHONPATH", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "SYSTEMROOT", "TMPDIR")
    own = {name: os.environ[name] for name in kept if name in os.environ}
    return own | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS": "1"}
