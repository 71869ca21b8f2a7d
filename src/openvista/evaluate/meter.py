"""What answering costs: seconds, and memory at its peak. Reading files and scoring do not count."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import torch

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_RESET_PEAK = "5"  # Linux: forget the highest resident size so far (proc_pid_clear_refs(5))


class Meter:
    """Adds up the time, and keeps the highest memory, of every block it is on for.

    Args:
        device: of the model; a GPU's own memory is metered as well.

    Attributes:
        seconds: spent so far.
        peak_mb: highest resident memory of the whole process in MB (10^6 bytes), with libraries and weights; NaN where
            the system does not tell.
        gpu_peak_mb: highest memory allocated on the GPU in MB; ``None`` without one.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.seconds = 0.0
        self.peak_mb = float("nan")
        self.gpu_peak_mb: float | None = None

    @contextmanager
    def on(self) -> Iterator[None]:
        """Meter the block."""
        cuda = self.device.type == "cuda"
        _forget_peak()
        if cuda:
            torch.cuda.reset_peak_memory_stats(self.device)
        start = time.perf_counter()
        try:
            yield
        finally:
            if cuda:
                torch.cuda.synchronize(self.device)
                used = torch.cuda.max_memory_allocated(self.device) / 1e6
                self.gpu_peak_mb = max(used, self.gpu_peak_mb or 0.0)
            self.seconds += time.perf_counter() - start
            peak = _peak_mb()
            self.peak_mb = peak if not self.peak_mb >= peak else self.peak_mb


def _forget_peak() -> None:
    """Start a new peak. Where that is impossible, what is reported later is the peak since the process began."""
    with suppress(OSError):
        _RESET.write_text(_RESET_PEAK)


def _peak_mb() -> float:
    """Highest resident size of this process; NaN where the system does not tell."""
    with suppress(OSError, ValueError, StopIteration):
        line = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024 / 1e6
    with suppress(ImportError):  # there is none on Windows
        import resource

        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
    return float("nan")
