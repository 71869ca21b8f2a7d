"""NRRD and MetaImage read in a process of its own: ``python -m openvista.io.apart FILE MOST_VOXELS``.

Their library is C++ that a damaged file can end, and with it whatever process reads the file: a batch of a thousand
scans, or a server. So the process that ends is one that was started for this file. It costs a third of a second.
"""

import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from openvista.errors import InputError, ScanError
from openvista.io.itk import read_itk, require_simple_itk
from openvista.io.raw import RawImage, read_into

logger = logging.getLogger(__name__)


def read_itk_apart(path: Path, max_voxels: int) -> RawImage:
    """As :func:`openvista.io.itk.read_itk`.

    Raises:
        ScanError: as there; or the file breaks its reader.
        MissingExtraError: SimpleITK is not installed.
    """
    require_simple_itk()
    command = [sys.executable, "-m", __name__, str(path), str(max_voxels)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(part for part in sys.path if part)}
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
    ) as reader:
        if reader.stdout is None:
            raise ScanError(f"{path}: its reader cannot be started")
        line = reader.stdout.readline()
        answer: dict[str, Any] = json.loads(line) if line.endswith(b"\n") else {}
        values = _values(answer, reader.stdout) if "shape" in answer else None
    for level, message in answer.get("log", ()):
        logger.log(level, "%s", message)
    if "problem" in answer:
        raise ScanError(answer["problem"])
    if values is None or reader.returncode != 0:
        raise ScanError(f"{path}: breaks its reader ({_end(reader.returncode)}): the file is damaged; export it again")
    return RawImage(values, np.array(answer["affine"]))


def _values(answer: dict[str, Any], stream: Any) -> np.ndarray[Any, Any] | None:
    values = np.empty(answer["shape"], np.dtype(answer["dtype"]), order="F")
    count = read_into(stream, values.reshape(-1, order="F").view(np.uint8).data)
    return values if count == values.nbytes else None


def _end(status: int) -> str:
    return f"signal {-status}" if status < 0 else f"exit status {status}"


class _Kept(logging.Handler):
    """Keeps messages for the process that asked."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[tuple[int, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append((record.levelno, record.getMessage()))


def main() -> int:
    """Read the file named on the command line; a line of JSON, and then the voxels, to standard output."""
    path, most = Path(sys.argv[1]), int(sys.argv[2])
    kept = _Kept()
    logging.getLogger("openvista").addHandler(kept)
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not get between
    try:
        raw = read_itk(path, most)
        values = np.asarray(raw.values)
        answer: dict[str, Any] = {"affine": raw.affine.tolist(), "shape": values.shape, "dtype": values.dtype.str}
    except InputError as error:
        values = np.zeros(0, np.uint8)
        answer = {"problem": str(error)}
    out.write(json.dumps(answer | {"log": kept.messages}).encode() + b"\n")
    out.write(values.reshape(-1, order="F").data)
    out.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
