"""What a checkpoint that does not fit looks like, in one line."""

from collections.abc import Sequence
from pathlib import Path

from openvista.errors import WeightsError
from openvista.weights import naming
from openvista.weights.sources import CTMR_REFUSAL

_SHOWN = 3
_SIDECARS = ("config.json", "metadata.json", "configs/metadata.json", "../configs/metadata.json")


def refuse_ctmr(path: Path) -> None:
    """CTMR and CT weights have the same names and shapes; only what lies around the file tells them apart.

    Raises:
        WeightsError: the path, or a sidecar of the repository beside the file, says CTMR.
    """
    nearby = [path.name, *(parent.name for parent in path.absolute().parents[:4])]
    says = any("ctmr" in name.lower() for name in nearby)
    for sidecar in (path.parent / name for name in _SIDECARS):
        says = says or (sidecar.is_file() and "ctmr" in sidecar.read_text("utf-8", errors="replace").lower())
    if says:
        raise WeightsError(f"{path}: {CTMR_REFUSAL}")


def family(names: Sequence[str]) -> str:
    """What a set of tensor names looks like."""
    if any(name.startswith(("encoder.stem", "encoder.levels", "automatic_decoder", "point_decoder")) for name in names):
        return "OpenVISTA's own naming"
    if any("engine" in name.lower() or "trt" in name.lower() for name in names):
        return "a TensorRT file"
    if any(name.startswith(("image_encoder.", "point_head.")) for name in names):
        return "research (MONAI 1.3) naming" if naming.is_research(names) else "MONAI 1.4 naming"
    if any(name.startswith(("vista3d.", "net.")) for name in names):
        return "a VISTA3D inside another module"
    return "another network"


def not_vista3d(origin: str, names: Sequence[str]) -> str:
    """The message for a file without VISTA3D's encoder."""
    return f"{origin} is no VISTA3D checkpoint: it looks like {family(names)}, with {_some(names)}"


def misfit(
    origin: str, names: Sequence[str], unknown: Sequence[str], missing: Sequence[str], shapes: Sequence[str]
) -> str:
    """The message for a file that is nearly one."""
    parts = [
        f"{len(found)} {what} ({_some(found)})"
        for what, found in (("tensors unknown", unknown), ("missing", missing), ("of wrong shape", shapes))
        if found
    ]
    return f"{origin} does not fit: it looks like {family(names)}, but has {', '.join(parts) or 'no branch'}"


def _some(names: Sequence[str]) -> str:
    more = ", ..." if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more if names else "no tensors"
