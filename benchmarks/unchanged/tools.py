"""Processes, checksums, and texts without what differs from run to run."""

import hashlib
import importlib.util
import json
import os
import platform
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples" / "data"
THREADS = 1
PLAIN = {"COLUMNS": "100", "TERM": "dumb", "NO_COLOR": "1", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "0"}


@dataclass(frozen=True)
class Done:
    """What a command has said."""

    code: int
    out: str
    err: str

    def checked(self) -> "Done":
        """The same, if it went well."""
        if self.code:
            raise RuntimeError(f"exit code {self.code}: {self.err.strip()[-2000:]}")
        return self


def environment(work: Path) -> dict[str, str]:
    """What processes get: this one's variables, so many threads, no colour, and a model folder of their own."""
    own = {key: value for key, value in os.environ.items() if not key.startswith("OPENVISTA_")}
    if "PYTHONPATH" in own:  # processes start in another folder
        own["PYTHONPATH"] = os.pathsep.join(os.path.abspath(part) for part in own["PYTHONPATH"].split(os.pathsep))
    threads = {name: str(THREADS) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    return own | PLAIN | threads | {"OPENVISTA_HOME": str(work / "home")}


def python(work: Path, *arguments: object) -> Done:
    """Run Python in the work folder."""
    command = [sys.executable, *map(str, arguments)]
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment(work), cwd=work, timeout=900, check=False
    )
    return Done(done.returncode, done.stdout, done.stderr)


def package_folder() -> Path:
    """Where the package lies that is asked."""
    found = importlib.util.find_spec("openvista")
    if found is None or found.origin is None:
        raise SystemExit("openvista is not installed, and PYTHONPATH does not name it")
    return Path(found.origin).resolve().parent


def openvista(work: Path, *arguments: object) -> Done:
    """Run a command of OpenVISTA in the work folder."""
    return python(work, "-m", "openvista", *arguments)


def sha256(content: bytes) -> str:
    """Checksum of bytes."""
    return hashlib.sha256(content).hexdigest()


def array_sha(array: Any) -> str:
    """Checksum of values, type and shape, however the array lies in memory."""
    values = np.ascontiguousarray(array)
    return sha256(f"{values.dtype.str} {values.shape} ".encode() + values.tobytes())


def exact(content: Any) -> Any:
    """The same with floats as text, exactly."""
    if isinstance(content, float):
        return repr(content)
    if isinstance(content, dict):
        return {str(key): exact(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [exact(value) for value in content]
    return content


def without(content: Any, *keys: str) -> Any:
    """The same without some keys, at any depth."""
    if isinstance(content, dict):
        return {key: without(value, *keys) for key, value in content.items() if key not in keys}
    if isinstance(content, list):
        return [without(value, *keys) for value in content]
    return content


def plain_text(text: str, work: Path) -> str:
    """Text without folders of this machine and without durations."""
    for folder, name in ((work, "<work>"), (work.resolve(), "<work>"), (ROOT, "<root>")):
        text = text.replace(str(folder), name)
    text = re.sub(r"\b\d+(\.\d+)? ?(s|seconds|ms)\b", "<duration>", text)
    return "\n".join(line.rstrip() for line in text.splitlines())


def read_json(path: Path) -> Any:
    """The content of a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def machine() -> dict[str, Any]:
    """What exact numbers depend on."""
    import torch

    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    flags = next((line.partition(":")[2].split() for line in lines if line.startswith("flags")), [])
    return {
        "processor": named[0] if named else platform.processor() or platform.machine(),
        "bfloat16": sorted(flag for flag in flags if flag in ("amx_bf16", "avx512_bf16")),
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "numpy": np.__version__,
        "threads": THREADS,
    }
