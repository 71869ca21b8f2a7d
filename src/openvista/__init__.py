"""OpenVISTA: 3D CT segmentation by class name and by clicks.

The public names are loaded when first used, so that importing the package, and light commands, need no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from openvista._version import __version__ as __version__

if TYPE_CHECKING:
    from openvista.io import read_scan as read_scan
    from openvista.io import read_segmentation as read_segmentation
    from openvista.model import Model as Model
    from openvista.model import load_model as load_model
    from openvista.scan import Scan as Scan
    from openvista.scan import Segmentation as Segmentation
    from openvista.session.session import Session as Session
    from openvista.widgets import view as view

_HOMES = {
    "Model": "openvista.model",
    "Scan": "openvista.scan",
    "Segmentation": "openvista.scan",
    "Session": "openvista.session.session",
    "load_model": "openvista.model",
    "read_scan": "openvista.io",
    "read_segmentation": "openvista.io",
    "view": "openvista.widgets",
}

__all__ = ["Model", "Scan", "Segmentation", "Session", "errors", "load_model", "read_scan", "read_segmentation", "view"]


def __getattr__(name: str) -> Any:
    if name == "errors":
        return import_module("openvista.errors")
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
