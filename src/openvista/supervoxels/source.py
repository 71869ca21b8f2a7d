"""What a source of features is. Its kinds are in modules of their own: ``intensity``, ``automatic`` and ``sam``."""

from typing import Protocol

from openvista.grid import Grid
from openvista.inference.progress import Report
from openvista.scan import Scan
from openvista.supervoxels.volume import FeatureVolume


class FeatureSource(Protocol):
    """Gives every voxel of a scan a vector; voxels of one structure should get similar ones.

    Attributes:
        compactness: what suits these features when the user has no wish.
    """

    compactness: float

    def describe(self) -> dict[str, object]:
        """All that the features depend on: kept with the result, and compared when work is resumed."""
        ...

    def features(self, scan: Scan, grid: Grid, report: Report) -> FeatureVolume:
        """The features of a scan on a grid in RAS order that covers it.

        Args:
            scan: HU, any orientation.
            grid: the working grid; not finer than the scan.
            report: told after each step, as stage ``"encode"``.
        """
        ...
