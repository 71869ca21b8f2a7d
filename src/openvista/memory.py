"""Memory of this machine: how much is free, keeping freed memory, giving it back."""

import ctypes
import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    import torch

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # from glibc's malloc.h
_KEEP_ALL = 2**31 - 1


def free_memory(device: "torch.device") -> int | None:
    """Free bytes on a device; on the host what can be had without swapping. ``None`` where nobody can tell."""
    if device.type == "cuda":
        import torch  # most of what asks has it; reading a session file has not

        return int(torch.cuda.mem_get_info(device)[0])
    return free_host_memory() if device.type == "cpu" else None


def free_host_memory() -> int:
    """Bytes that this process can have without swapping, within the limit of its container."""
    free = int(psutil.virtual_memory().available)
    limit, used = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")
    if limit.is_file() and used.is_file() and (text := limit.read_text().strip()).isdigit():
        free = min(free, int(text) - int(used.read_text()))
    return free


def retain_heap() -> bool:
    """Make this process keep memory it has freed, instead of giving every large tensor back to the system.

    A network on a CPU frees and asks for hundreds of MB per layer; faulting those pages in again costs up to a third
    of its time (performance facts §B). In return the process stays as large as it once was. Linux with glibc only.

    Returns:
        Whether it was possible.
    """
    libc = _glibc()
    if libc is None or "MALLOC_TRIM_THRESHOLD_" in os.environ:
        return False
    return bool(libc.mallopt(_M_MMAP_MAX, 0)) and bool(libc.mallopt(_M_TRIM_THRESHOLD, _KEEP_ALL))


def release_heap() -> bool:
    """Give the system back, once, what :func:`retain_heap` has kept since; takes milliseconds. Linux with glibc only.

    Returns:
        Whether there was anything to give back.
    """
    libc = _glibc()
    return libc is not None and bool(libc.malloc_trim(0))


def _glibc() -> ctypes.CDLL | None:
    return ctypes.CDLL(None) if platform.system() == "Linux" and platform.libc_ver()[0] == "glibc" else None
