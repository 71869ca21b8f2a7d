"""Reads untrusted files in a process of its own, with limits; see :mod:`openvista.serve.sandbox_child` for its side."""

import asyncio
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from starlette.concurrency import run_in_threadpool

from openvista.errors import ServiceError
from openvista.geometry.grid import Grid
from openvista.serve.ids import new_id
from openvista.serve.sandbox_child import ANSWER_FILE, ParseRequest
from openvista.serve.settings import Settings

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SeriesChoice:
    """Which DICOM series is meant, and whether gaps in it are filled; see :func:`openvista.io.read_scan`."""

    series: str | None = None
    fill_gaps: bool = False


class Sandbox:
    """Makes folders for what comes in, reads it, and clears up.

    Several files are read at a time, each in a process of its own, but one at a time of everybody: who sends files that
    take long waits for these files, and nobody else does.

    Args:
        folder: ours alone; emptied at the start, since what lies there belongs to requests of an earlier run.
        settings: the limits.
    """

    def __init__(self, folder: Path, settings: Settings) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self._folder = folder
        self._settings = settings
        self._readers = [Reader(settings.parse_seconds) for _ in range(settings.parsers)]
        self._idle = asyncio.Queue[Reader]()
        for reader in self._readers:
            self._idle.put_nowait(reader)
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def scratch(self) -> AsyncIterator[Path]:
        """An empty folder that nobody else uses, and that is gone afterwards."""
        folder = self._folder / new_id()
        await run_in_threadpool(folder.mkdir)
        try:
            yield folder
        finally:
            await run_in_threadpool(shutil.rmtree, folder, True)

    async def read(
        self,
        source: Path,
        scratch: Path,
        kind: str = "scan",
        choice: SeriesChoice | None = None,
        scan_grid: Grid | None = None,
        name: str = "",
        asker: str | None = None,
    ) -> tuple[Path, dict[str, Any]]:
        """Read a file, or a folder of slices.

        Args:
            source: what came in.
            scratch: a folder of :meth:`scratch`, for what is needed on the way and for the result.
            kind: what it should be; see :class:`ParseRequest`.
            choice: which DICOM series, and what of its gaps.
            scan_grid: where labels are put that have no grid of their own, and what a packed scan lies on.
            name: what the user calls it; messages do, too.
            asker: whose it is; those who do not say take turns together.

        Returns:
            A folder with the array or the session file, and the facts about it.

        Raises:
            ServiceError: 422 it is not of that kind, breaks its reader, or takes too long; 413 too large; 507 no space.
        """
        output, unpacked = scratch / "output", scratch / "unpacked"
        output.mkdir()
        unpacked.mkdir()
        limits = self._settings
        request = ParseRequest(
            source=str(source),
            output=str(output),
            scratch=str(unpacked),
            voxels=limits.voxels,
            unpacked_bytes=min(8 * limits.voxels + limits.upload_bytes, shutil.disk_usage(self._folder).free // 2),
            memory_bytes=limits.parse_bytes,
            cpu_seconds=int(limits.parse_seconds) + 1,
            kind=kind,
            series=choice.series if choice else None,
            fill_gaps=bool(choice and choice.fill_gaps),
            scan_grid=None if scan_grid is None else (list(scan_grid.shape), scan_grid.affine.tolist()),
        )
        turn = self._turns.setdefault(asker or "", asyncio.Lock())
        async with turn:
            reader = await self._idle.get()
            try:
                return output, await asyncio.shield(run_in_threadpool(reader.facts, request, name))
            finally:
                self._idle.put_nowait(reader)

    @property
    def busy(self) -> int:
        """How many files are read right now."""
        return len(self._readers) - self._idle.qsize()

    def close(self) -> None:
        """End the processes."""
        for reader in self._readers:
            reader.close()


class Reader:
    """A process that reads untrusted files, one at a time; started when first needed, and again after it broke.

    Args:
        seconds: that a file may take.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._process: subprocess.Popen[str] | None = None

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            _kill(self._process)
            self._process = None

    def facts(self, request: ParseRequest, name: str) -> dict[str, Any]:
        """What was found in a file.

        Raises:
            ServiceError: as :meth:`Sandbox.read`.
        """
        seconds = self._seconds
        status = self._ask(json.dumps(asdict(request)), seconds)
        if status is None:
            raise ServiceError(f"reading the file took longer than {seconds:g} s", code="slow-file")
        if status != 0:
            logger.warning("the process that reads a file ended with %d", status)
            raise ServiceError("the file cannot be read: it breaks its reader, or needs too much memory", code="scan")
        answer: dict[str, Any] = json.loads(Path(request.output, ANSWER_FILE).read_text(encoding="utf-8"))
        if "problem" in answer:
            message = _in_the_users_words(answer["problem"], request, name)
            choices = answer.get("choices")
            raise ServiceError(message, status=answer["status"], code=answer["code"], choices=choices)
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


def _start() -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "openvista.serve.sandbox_child"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # a decoder's messages hold file names and worse
        text=True,
        env=_environment(),
        start_new_session=True,  # so that it can be ended together with its child, and Ctrl-C is ours
    )


def _environment() -> dict[str, str]:
    """As little as Python needs: no token, no proxies; one thread, for each reserves address space."""
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "PYTHONPATH", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "SYSTEMROOT", "TMPDIR")
    own = {name: os.environ[name] for name in kept if name in os.environ}
    single = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS", "NUMEXPR_MAX_THREADS", "BLOSC_NTHREADS")
    return own | dict.fromkeys((*single, "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"), "1")


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


def _in_the_users_words(message: str, request: ParseRequest, name: str) -> str:
    """A message for a client: under which name, and where, we keep their file does not concern them."""
    message = message.replace(request.source, name or "the file")
    for folder in (request.scratch, str(Path(request.scratch).parent)):
        message = message.replace(folder + "/", "").replace(folder, "the file")
    return message
