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
    free, left = int(psutil.virtual_memory().available), left_in_container(Path("/sys/fs/cgroup"))
    return free if left is None else min(free, left)


def left_in_container(group: Path) -> int | None:
    """Bytes below the limit of a control group (version 2), ``None`` without one.

    What files have left in the system's cache counts as used there, and is given up when memory is needed: as the
    kubelet does, the part that was not touched lately (``inactive_file``) is left out.
    """
    limit, used, about = (group / f"memory.{name}" for name in ("max", "current", "stat"))
    if not (limit.is_file() and used.is_file() and (text := limit.read_text().strip()).isdigit()):
        return None
    lines = [line.split() for line in about.read_text().splitlines()] if about.is_file() else []
    cached = sum(int(value) for name, value in lines if name == "inactive_file")
    return int(text) - int(used.read_text()) + cached


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
