"""What to compute on, in which precision, and where to keep what: asked of the machine, said in the log.

Everything here is a decision; nothing has an effect.
"""

import logging
import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from openvista.errors import DeviceError
from openvista.memory import free_memory
from openvista.network.presets import Preset

logger = logging.getLogger(__name__)

PRECISIONS = ("auto", "float32", "bfloat16", "float16", "int8")

_BFLOAT16_SINCE = (8, 0)
"""Compute capability of the first NVIDIA GPUs with instructions for bfloat16 (Ampere)."""
_CHUNK_CPU, _CHUNK_GPU = 1 << 16, 1 << 20
"""Voxels decided at once: on a CPU their logits should about fit its cache (measured), a GPU wants more work."""

_BUSY_VOXELS = 4 * 128**3
"""Of the windows that a GPU computes at once: four of the published size (a guess; no GPU was at hand)."""
_HELD = 8
"""Tensors of a window's own resolution that the network holds at most: 5.6 were seen, in float32 on a CPU."""

_MANY = 32
"""Classes from which on oneDNN and MKL add up in the same order (seen for 43 and 117, not for 1, 4 and 7)."""
_ONEDNN_PRODUCT = "_linear_pointwise"
"""An operator of torch's own, which nobody promises to keep: without it MKL does the work."""


@dataclass(frozen=True)
class Compute:
    """How the network runs.

    Attributes:
        device: where.
        dtype: of the image side's weights and activations. Embeddings and logits are always float32.
        storage_dtype: of stitched channels. float32 only when that precision was asked for: float16 needs half the
            memory and moves about 1 in 2000 labels in the worst case (performance facts §C).
        int8: whether automatic features are computed in 8 bits (:mod:`openvista.inference.eight_bit`).
        cuda_graphs: whether a GPU repeats what it was told for the first windows, instead of being told again. Off:
            nobody has seen it gain anything yet (``benchmarks/gpu_check.py`` compares).
    """

    device: torch.device
    dtype: torch.dtype
    storage_dtype: torch.dtype
    int8: bool = False
    cuda_graphs: bool = False

    @property
    def channels_last(self) -> bool:
        """Whether to lay tensors out with channels innermost: CPUs and matrix units want it (performance facts §B)."""
        return self.dtype != torch.float32 or self.device.type == "cpu"

    @property
    def chunk(self) -> int:
        """Voxels to decide at once."""
        return _CHUNK_CPU if self.device.type == "cpu" else _CHUNK_GPU

    def __str__(self) -> str:
        network = f"int8 and {_short(self.dtype)}" if self.int8 else _short(self.dtype)
        return f"{self.device}, {network} network, {_short(self.storage_dtype)} storage"


def logits_of(channels_NC: Tensor, embeddings_KC: Tensor) -> Tensor:
    """Dot products [N, K] of float32 channels with embeddings, by whatever is quickest here.

    MKL is slow at such thin products on AMD; oneDNN takes 0.4 of its time for 117 classes of 48 channels, to the same
    bits (of fewer than ``_MANY`` classes the last bits differ, so those stay with MKL).
    """
    if channels_NC.device.type == "cpu" and len(embeddings_KC) >= _MANY and _prefers_onednn():
        logits_NK: Tensor = getattr(torch.ops.mkldnn, _ONEDNN_PRODUCT)(channels_NC, embeddings_KC, None, "none", [], "")
        return logits_NK
    return channels_NC @ embeddings_KC.T


@cache
def _prefers_onednn() -> bool:
    described = Path("/proc/cpuinfo")
    is_amd = described.is_file() and "AuthenticAMD" in described.read_text(errors="replace")
    return is_amd and torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, _ONEDNN_PRODUCT)


def plan_compute(device: str | torch.device = "auto", precision: str = "auto") -> Compute:
    """Device and precision for a network.

    Args:
        device: ``"auto"`` (a GPU if there is one), ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``.
        precision: ``"auto"``: float16 on CUDA; bfloat16 on a CPU that has instructions for it; else float32.
            ``"float32"``: compute and store in float32. ``"bfloat16"``, ``"float16"``: that one. ``"int8"``: automatic
            features in 8 bits, clicks as by ``"auto"``; on a CPU only.

    Raises:
        DeviceError: this machine has no such device or precision.
    """
    found = find_device(device)
    if precision not in PRECISIONS:
        raise DeviceError(f"no precision {precision!r}: there is {', '.join(PRECISIONS)}")
    if precision == "int8" and found.type != "cpu":
        raise DeviceError(f"int8 is not supported on {found}; use --device cpu, or --precision auto")
    if precision in ("auto", "int8"):
        dtype = _fastest_dtype(found)
    else:
        dtype = getattr(torch, precision)
        _check_precision(found, dtype)
    storage = torch.float32 if precision == "float32" else torch.float16
    compute = Compute(found, dtype, storage, precision == "int8")
    logger.info("computing on %s (%s precision asked for)", compute, precision)
    return compute


def training_precision(device: torch.device) -> str:
    """The fastest precision to train in: bfloat16 where there are instructions for it, float16 on CUDA GPUs that have
    none (V100, T4), else float32. float16 needs a gradient scaler.
    """
    if device.type == "cuda":
        # torch's own question counts GPUs that only imitate bfloat16, slowly
        return "bfloat16" if torch.cuda.get_device_capability(device) >= _BFLOAT16_SINCE else "float16"
    return "bfloat16" if device.type == "cpu" and cpu_has_bfloat16() else "float32"


def find_device(device: str | torch.device) -> torch.device:
    """The device of this name, or the best one for ``"auto"``.

    Raises:
        DeviceError: there is none of that name here.
    """
    has_mps = torch.backends.mps.is_available()
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "mps" if has_mps else "cpu")
    try:
        wanted = torch.device(device)
    except RuntimeError:
        raise DeviceError(f"no device {str(device)!r}: use auto, cpu, cuda, cuda:1, ... or mps") from None
    if wanted.type == "cuda" and (wanted.index or 0) >= torch.cuda.device_count():
        raise DeviceError(
            f"{device} was asked for but torch sees {torch.cuda.device_count()} CUDA GPUs; use --device cpu"
        )
    if wanted.type == "mps" and not has_mps:
        raise DeviceError("mps was asked for but this machine has no Apple GPU that torch can use; use --device cpu")
    if wanted.type not in ("cpu", "cuda", "mps"):
        raise DeviceError(f"no support for device {str(device)!r}: use auto, cpu, cuda or mps")
    return wanted


def plan_batch(compute: Compute, preset: Preset) -> int:
    """How many windows the network computes at once: one on a CPU, whose cache wants little in hand; on a GPU as many
    as keep it busy, in half of what is free.
    """
    if compute.device.type != "cuda":
        return 1
    voxels, free = math.prod(preset.window), free_memory(compute.device)
    most = max(_BUSY_VOXELS // voxels, 1)
    if free is not None:
        most = min(most, max(free // 2 // (voxels * preset.filters * compute.dtype.itemsize * _HELD), 1))
    logger.info("%d windows at once", most)
    return most


def plan_storage(compute: Compute, slab_bytes: int) -> torch.device:
    """Where to keep the active slab: with the network if it fits beside it, else on the host.

    Args:
        compute: where the network runs.
        slab_bytes: size of as many rows as a window has.

    Raises:
        DeviceError: it fits nowhere; asking for it would end the process.
    """
    free = free_memory(compute.device)
    where = compute.device
    if compute.device.type == "cuda" and free is not None and slab_bytes > free // 2:
        where = torch.device("cpu")
    logger.info(
        "active slab %.2f GB on %s, %s GB free", slab_bytes / 1e9, where, "?" if free is None else f"{free / 1e9:.1f}"
    )
    if where.type == "cpu":
        free = free_memory(where)
        if free is not None and slab_bytes > free:
            raise DeviceError(
                f"the rows that are worked on need {slab_bytes / 1e9:.1f} GB and {free / 1e9:.1f} GB are free: "
                "close other programs, or ask for fewer classes"
            )
    return where


def plan_slab_rows(where: torch.device, row_bytes: int, most: int) -> int:
    """How many finished rows to label at once, so that their copies take at most an eighth of what is free.

    Args:
        where: what holds the rows.
        row_bytes: channels of one row of the volume, across the streaming axis.
        most: rows of a window; more are never finished together.
    """
    free = free_memory(where)
    rows = most if free is None else min(max(free // 8 // max(row_bytes, 1), 1), most)
    logger.info("labelling up to %d of %d rows at once, %.1f MB each", rows, most, row_bytes / 1e6)
    return rows


def cpu_has_bfloat16() -> bool:
    """Whether this CPU has instructions for bfloat16 (AMX or AVX-512 BF16); False where nobody can tell."""
    return _cpu_has({"amx_bf16", "avx512_bf16"})


def cpu_has_vnni() -> bool:
    """Whether this CPU adds products of 8-bit integers in 32 bits; False where nobody can tell."""
    return _cpu_has({"amx_int8", "avx512_vnni", "avx_vnni"})


def _cpu_has(wanted: set[str]) -> bool:
    if hasattr(torch.cpu, "get_capabilities"):
        return any(torch.cpu.get_capabilities().get(name) is True for name in wanted)
    if Path("/proc/cpuinfo").is_file():
        return bool(wanted & set(Path("/proc/cpuinfo").read_text().split()))
    return False


def _fastest_dtype(device: torch.device) -> torch.dtype:
    if device.type == "cuda":
        return torch.float16  # what the published weights were trained with
    if device.type == "cpu" and cpu_has_bfloat16():
        return torch.bfloat16
    return torch.float32


def _check_precision(device: torch.device, dtype: torch.dtype) -> None:
    if device.type == "mps" and dtype != torch.float32:
        raise DeviceError(f"{_short(dtype)} is not supported on mps; use --precision float32")
    if device.type == "cpu" and dtype == torch.float16:
        raise DeviceError("float16 is not supported on a CPU; use --precision bfloat16 or float32")
    if device.type == "cpu" and dtype == torch.bfloat16 and not cpu_has_bfloat16():
        logger.warning("this CPU has no instructions for bfloat16: it works, but float32 is faster")


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
