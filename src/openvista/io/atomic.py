"""Files that are there whole or not at all, and the folders they lie in."""

import errno
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout

from openvista.errors import InputError, OutputError

FULL_DISK = (errno.ENOSPC, errno.EDQUOT)
"""What the system says of a disk, or of somebody's part of it, that is full."""
_REMEDIES = dict.fromkeys(FULL_DISK, "free some space or write elsewhere") | {
    errno.EFBIG: "write to a file system that takes larger files",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ENOENT: "create the folder first",
    errno.ENOTDIR: "its folder is a file",
    errno.EACCES: "write to a folder that you may change",
    errno.EPERM: "write to a folder that you may change",
    errno.EROFS: "write to a folder that you may change",
}

_TEMPORARY = re.compile(r"^(\.[0-9a-f]{8}-)+")
"""Before the name of a file that is being written, by :func:`replacing`."""

_LOCK_FILE = "in-use"
_CHUNK = 1 << 16
"""Bytes that are read together."""


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """A temporary name beside ``target``, with the same ending, that becomes ``target`` when the block succeeds.

    On an error, or on Ctrl-C, the temporary file is removed and an older ``target`` stays as it was.

    Raises:
        OutputError: the system refused to write (OSError inside the block counts as that).
    """
    temporary = target.with_name(f".{secrets.token_hex(4)}-{target.name}")
    try:
        with writing(target):
            yield temporary
            os.replace(temporary, target)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def drop_torn_line(path: Path) -> None:
    """Cut off a last line without an end, where there is one: whoever wrote it was killed, or the disk was full."""
    if not path.exists():
        return
    with path.open("rb+") as file:
        end = start = file.seek(0, os.SEEK_END)
        tail = b""
        while start and b"\n" not in tail:
            start = max(start - _CHUNK, 0)
            file.seek(start)
            tail = file.read(_CHUNK)
        whole = start + tail.rfind(b"\n") + 1
        if whole < end:
            file.truncate(whole)


def remove_unfinished(folder: Path, beginning: str) -> None:
    """Delete what a process that was killed has left of files whose names begin so. Nobody may be writing them."""
    for name in os.listdir(folder):
        whole = _TEMPORARY.sub("", name)
        if whole != name and whole.startswith(beginning):
            with suppress(OSError):
                (folder / name).unlink()


@contextmanager
def writing(target: Path) -> Iterator[None]:
    """Around work that writes ``target``: a refusal of the system (OSError) becomes an OutputError of one line."""
    try:
        yield
    except OSError as error:
        raise output_error(target, error) from error


def write_text(target: Path, text: str) -> None:
    """Write a file in UTF-8; it is there whole or not at all.

    Raises:
        OutputError: the system refused to write.
    """
    with replacing(target) as temporary:
        temporary.write_text(text, encoding="utf-8")


def make_folder(folder: Path) -> None:
    """Make a folder, and those it lies in, if it is not there.

    Raises:
        OutputError: the system refused.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made: {error.strerror}; choose another folder") from None


def claim_folder(folder: Path) -> BaseFileLock:
    """Make a state folder, for this user alone, and hold it until the lock is released or the process ends.

    Raises:
        OutputError: it cannot be made or written.
        InputError: another process holds it.
    """
    lock = FileLock(folder / _LOCK_FILE, timeout=0, thread_local=False)
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.chmod(folder, 0o700)
        lock.acquire()
    except Timeout:
        raise InputError(f"{folder}: another server uses it; stop that one or choose another --state") from None
    except OSError as error:
        raise OutputError(f"{folder}: cannot be used: {error.strerror}; choose another folder with --state") from None
    return lock


def output_error(target: Path, error: OSError) -> OutputError:
    """The one-line error for a refusal of the system to write ``target``."""
    while error.errno is None and isinstance(error.__cause__, OSError):  # pydicom's says which tag, and no reason
        error = error.__cause__
    target = target.with_name(_TEMPORARY.sub("", target.name))
    remedy = _REMEDIES.get(error.errno or 0, "check the free space, or write to another folder")
    return OutputError(f"{target}: cannot be written: {error.strerror or error}; {remedy}")
