"""A folder that one process at a time may work in."""

import os
from pathlib import Path
from typing import IO

from openvista.errors import InputError, OutputError

_LOCK_FILE = "in-use"


def claim_folder(folder: Path) -> IO[str]:
    """Make a state folder, for this user alone, and hold it until the returned file is closed or the process ends.

    Raises:
        OutputError: it cannot be made or written.
        InputError: another process holds it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.chmod(folder, 0o700)
        file = (folder / _LOCK_FILE).open("a", encoding="ascii")
    except OSError as error:
        raise OutputError(f"{folder}: cannot be used: {error.strerror}; choose another folder with --state") from None
    try:
        import fcntl
    except ImportError:  # Windows has no such lock; two servers on one folder are then the operator's mistake
        return file
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise InputError(f"{folder}: another server uses it; stop that one or choose another --state") from None
    return file
