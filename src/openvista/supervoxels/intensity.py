"""The plainest features: intensities in two HU windows. No network, no weights, about a second per scan."""

import torch

from openvista.grid import Grid
from openvista.inference.progress import Progress, Report, silent
from openvista.prepare import scale_hu
from openvista.report.slices import SOFT_TISSUE_WINDOW
from openvista.scan import Scan
from openvista.supervoxels.volume import FeatureVolume, ras_voxels, resample

WHOLE_WINDOW = (-1000.0, 1000.0)
"""Sets lung and bone apart, which look alike through the soft-tissue window (range of paper facts §6)."""


class IntensityFeatures:
    """HU through the soft-tissue window and through the whole one, each as 0..1."""

    compactness = 0.1
    """Ten times the paper's: at 0.01 noise alone decides, and pieces are ragged (looked at on head-and-neck CT)."""

    def describe(self) -> dict[str, object]:
        return {"features": "intensity", "hu_windows": [list(SOFT_TISSUE_WINDOW), list(WHOLE_WINDOW)]}

    def features(self, scan: Scan, grid: Grid, report: Report = silent) -> FeatureVolume:
        volume_XYZ = ras_voxels(scan)
        channels = []
        for done, window in enumerate((SOFT_TISSUE_WINDOW, WHOLE_WINDOW), 1):
            channels.append(resample(scale_hu(volume_XYZ, window), scan.grid.in_ras_order(), grid).half())
            report(Progress("encode", done, 2))
        return FeatureVolume(torch.stack(channels, -1), grid)
