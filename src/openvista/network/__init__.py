"""The network, tensors only."""

from openvista.network.point_head import ClickLabel, PointFeatures
from openvista.network.presets import CTMR, PRESETS, STARTER, VISTA3D, Preset
from openvista.network.vista3d import Vista3D, build, build_empty

__all__ = [
    "CTMR",
    "PRESETS",
    "STARTER",
    "VISTA3D",
    "ClickLabel",
    "PointFeatures",
    "Preset",
    "Vista3D",
    "build",
    "build_empty",
]
