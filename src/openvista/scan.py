"""Scan and Segmentation: voxels that know where they lie."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from openvista.errors import GridError
from openvista.grid import Grid


@dataclass(frozen=True, eq=False)
class Scan:
    """A CT on its own grid, in the voxel order of its file.

    Attributes:
        voxels: [X, Y, Z] Hounsfield units, int16 or float32.
        grid: where the voxels lie.
        name: what to call it and its results; the file name without extensions.
        source: the file or folder it was read from.
    """

    voxels: NDArray[np.generic]
    grid: Grid
    name: str = "scan"
    source: Path | None = None

    def __post_init__(self) -> None:
        if self.voxels.shape != self.grid.shape:
            raise GridError(f"voxels of shape {self.voxels.shape} do not fit a grid of shape {self.grid.shape}")
