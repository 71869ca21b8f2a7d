"""JPEG frames unpacked in a process of its own: ``python -m openvista.io.dicom.gdcm_apart``.

Only GDCM unpacks JPEG lossless without a licence that spreads, and a damaged frame can end it. Then it ends a process
that was started for this series, and not one that has a thousand others to read. It costs half a second.
"""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.pixels import iter_pixels

from openvista.errors import ScanError, first_line
from openvista.io.dicom.instances import UNREADABLE
from openvista.io.raw import read_into


class JpegProcess:
    """Started when the first JPEG file comes, ended with the ``with`` statement around it."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "JpegProcess":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.kill()
            with contextlib.suppress(BrokenPipeError):
                self._process.communicate()

    def frames(self, file: Path, indices: Sequence[int]) -> Iterator[NDArray[Any]]:
        """[row, column] stored values of each of these frames.

        Raises:
            ScanError: they cannot be unpacked, or end the process that tries.
        """
        if self._process is None:
            environment = os.environ | {"PYTHONPATH": os.pathsep.join(part for part in sys.path if part)}
            command = [sys.executable, "-m", "openvista.io.dicom.gdcm_apart"]
            pipe, nowhere = subprocess.PIPE, subprocess.DEVNULL
            self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=nowhere, env=environment)
        asked, answers = self._process.stdin, self._process.stdout
        if asked is None or answers is None:
            raise ScanError(f"{file}: what unpacks JPEG cannot be started")
        with contextlib.suppress(BrokenPipeError):  # it has ended: nothing comes back either
            asked.write(json.dumps({"file": str(file.absolute()), "indices": list(indices)}).encode() + b"\n")
            asked.flush()
        for _ in indices:
            line = answers.readline()
            answer: dict[str, Any] = json.loads(line) if line.endswith(b"\n") else {}
            if "problem" in answer:
                raise ScanError(f"{file}: its JPEG pixels cannot be unpacked: {answer['problem']}")
            stored = np.empty(answer.get("shape", (0,)), np.dtype(answer.get("dtype", "u1")))
            if not answer or read_into(answers, stored.reshape(-1).view(np.uint8).data) != stored.nbytes:
                raise ScanError(f"{file}: its JPEG pixels are damaged: they break what unpacks them; copy it again")
            yield stored


def main() -> None:
    """Answer each line on standard input with a line and the bytes of an array for each frame."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            for stored in iter_pixels(dcmread(asked["file"], force=True), indices=asked["indices"]):
                answers.write(json.dumps({"shape": stored.shape, "dtype": stored.dtype.str}).encode() + b"\n")
                answers.write(np.ascontiguousarray(stored).tobytes())
        except (*UNREADABLE, OSError) as error:
            answers.write(json.dumps({"problem": first_line(error)}).encode() + b"\n")
        answers.flush()


if __name__ == "__main__":
    main()
