"""The network, tensors only."""

from openvista.model.empty import build_empty
from openvista.model.point_head import ClickLabel, PointFeatures
from openvista.model.presets import PRESETS, STARTER, VISTA3D, Preset
from openvista.model.vista3d import Vista3D, build

__all__ = ["PRESETS", "STARTER", "VISTA3D", "ClickLabel", "PointFeatures", "Preset", "Vista3D", "build", "build_empty"]
