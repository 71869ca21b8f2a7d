"""What a run ran on and with, so that it can be made again."""

import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from openvista._version import __version__
from openvista.train.distributed import Ranks


def describe_environment(ranks: Ranks) -> dict[str, Any]:
    """Versions, device, processes and git revision, as plain values."""
    return {
        "openvista": __version__,
        "git_revision": git_revision(Path(__file__).parent),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "cuda": torch.version.cuda,
        "platform": platform.platform(),
        "device": torch.cuda.get_device_name(ranks.device) if ranks.device.type == "cuda" else _cpu_name(),
        "processors": os.cpu_count(),
        "threads_per_process": torch.get_num_threads(),
        "processes": ranks.count,
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
    }


def git_revision(folder: Path) -> str | None:
    """Commit of the checkout a folder lies in, with "+changes" if files differ from it; ``None`` outside of one."""
    commit = _git(folder, "rev-parse", "HEAD")
    if not commit:
        return None
    return f"{commit}+changes" if _git(folder, "status", "--porcelain", "--untracked-files=no", ".") else commit


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _cpu_name() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()
