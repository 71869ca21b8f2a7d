"""OpenVISTA: 3D CT segmentation by class name and by clicks.

The public names are loaded when first used, so that importing the package, and light commands, need no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from openvista import errors as errors
    from openvista.inference.model import Model as Model
    from openvista.inference.model import load_model as load_model
    from openvista.inference.session import Session as Session
    from openvista.io import read_scan as read_scan
    from openvista.scan import Scan as Scan
    from openvista.scan import Segmentation as Segmentation

__version__ = "0.1.0"

_HOMES = {
    "Model": "openvista.inference.model",
    "Scan": "openvista.scan",
    "Segmentation": "openvista.scan",
    "Session": "openvista.inference.session",
    "load_model": "openvista.inference.model",
    "read_scan": "openvista.io",
}

__all__ = ["Model", "Scan", "Segmentation", "Session", "errors", "load_model", "read_scan"]


def __getattr__(name: str) -> Any:
    if name == "errors":
        return import_module("openvista.errors")
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
