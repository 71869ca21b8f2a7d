"""Where supervoxels come from: a source of features, and how features are clustered.

The source that needs no model is here; the others are in ``model_features`` and ``sam_features``.
"""

import math
from dataclasses import dataclass
from typing import Protocol

import torch

from openvista.errors import InputError
from openvista.geometry.grid import Grid
from openvista.inference.progress import Progress, Report, silent
from openvista.prepare import scale_hu
from openvista.report.slices import SOFT_TISSUE_WINDOW
from openvista.scan import Scan
from openvista.supervoxels.volume import GridFeatures, ras_voxels, resample

WHOLE_WINDOW = (-1000.0, 1000.0)
"""Sets lung and bone apart, which look alike through the soft-tissue window (range of paper facts §6)."""

MOST_SEGMENTS = 10_000
"""Pieces may be a quarter of the mean size, so there are at most four per wished one: all numbers fit uint16."""


class FeatureSource(Protocol):
    """Gives every voxel of a scan a vector; voxels of one structure should get similar ones.

    Attributes:
        compactness: what suits these features when the user has no wish.
    """

    compactness: float

    def describe(self) -> dict[str, object]:
        """All that the features depend on: kept with the result, and compared when work is resumed."""
        ...

    def features(self, scan: Scan, grid: Grid, progress: Report) -> GridFeatures:
        """The features of a scan on a grid in RAS order that covers it.

        Args:
            scan: HU, any orientation.
            grid: the working grid; not finer than the scan.
            progress: called after each step, with stage ``"encode"``.
        """
        ...


class IntensityFeatures:
    """HU through the soft-tissue window and through the whole one, each as 0..1."""

    compactness = 0.1
    """Ten times the paper's: at 0.01 noise alone decides, and pieces are ragged (looked at on head-and-neck CT)."""

    def describe(self) -> dict[str, object]:
        return {"features": "intensity", "hu_windows": [list(SOFT_TISSUE_WINDOW), list(WHOLE_WINDOW)]}

    def features(self, scan: Scan, grid: Grid, progress: Report = silent) -> GridFeatures:
        volume_XYZ = ras_voxels(scan)
        channels = []
        for done, window in enumerate((SOFT_TISSUE_WINDOW, WHOLE_WINDOW), 1):
            channels.append(resample(scale_hu(volume_XYZ, window), scan.grid.in_ras_order(), grid).half())
            progress(Progress("encode", done, 2))
        return GridFeatures(torch.stack(channels, -1), grid)


@dataclass(frozen=True, kw_only=True)
class Clustering:
    """How features become supervoxels.

    Attributes:
        segments: how many are wished for; about so many result. 100 in the paper, 400 in its script (paper facts §6).
        compactness: how much nearness counts against likeness; larger values give rounder pieces. 0.01 in the paper.
        sigma_mm: features are smoothed by a Gaussian of this standard deviation before. 3 in the paper.

    Raises:
        InputError: a value that cannot work.
    """

    segments: int = 100
    compactness: float = 0.01
    sigma_mm: float = 3.0

    def __post_init__(self) -> None:
        if not 2 <= self.segments <= MOST_SEGMENTS:
            raise InputError(f"segments must be 2 to {MOST_SEGMENTS}, not {self.segments}; 100 is usual")
        if not (self.compactness > 0 and math.isfinite(self.compactness)):
            raise InputError(f"compactness must be above 0, not {self.compactness}; 0.01 to 0.1 is usual")
        if not 0 <= self.sigma_mm <= 100:
            raise InputError(f"sigma must be 0 to 100 mm, not {self.sigma_mm}; 3 is usual")
