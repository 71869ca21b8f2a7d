"""How large a network is, and what its input looks like. One constant, one place."""

from dataclasses import dataclass, replace
from typing import Literal

Family = Literal["ct", "ctmr"]
"""Which published training of this network a model follows: for CT in HU, or for CT and MR (NV-Segment-CTMR)."""

HU_WINDOW = (-963.8247715525971, 1053.678477684517)
"""Lower and upper HU that become 0 and 1: intensity percentiles of VISTA3D's training scans (paper facts §2)."""


@dataclass(frozen=True)
class ForegroundPercentiles:
    """Scaling of images whose values have no unit, as those of MR: by what the image itself holds.

    Attributes:
        lower, upper: percentiles, 0..100, of the values in the foreground that become 0 and 1.
        margin: voxels around the voxels above 0 that belong to the foreground, too.
    """

    lower: float = 1.0
    upper: float = 99.0
    margin: int = 10


Scaling = tuple[float, float] | ForegroundPercentiles
"""How values become 0..1: lower and upper HU, or percentiles."""


@dataclass(frozen=True, kw_only=True)
class Preset:
    """Size of a network and the image it was trained to see.

    Attributes:
        name: what users call it.
        filters: channels C at full resolution.
        blocks_per_level: residual blocks of the encoder at each resolution, finest first.
        window: voxels of one window along X, Y, Z; a multiple of 2^(levels - 1).
        spacing: voxel size in mm the scan is resampled to, X Y Z.
        hu_window: HU that become 0 and 1.
        class_rows: rows of the embedding table.
        last_supported_class: ids above it are unseen (zero-shot) for the point head.
        branches: which of "automatic" and "point" the network has.
        family: "ct", or "ctmr", whose images are scaled by percentiles, not by ``hu_window`` (ctmr facts §4).
    """

    name: str
    filters: int
    blocks_per_level: tuple[int, ...]
    window: tuple[int, int, int]
    spacing: tuple[float, float, float]
    hu_window: tuple[float, float] = HU_WINDOW
    class_rows: int = 512
    last_supported_class: int = 132
    branches: tuple[str, ...] = ("automatic", "point")
    family: Family = "ct"

    @property
    def scaling(self) -> Scaling:
        """How the values of an image become 0..1."""
        return self.hu_window if self.family == "ct" else ForegroundPercentiles()

    @property
    def window_multiple(self) -> int:
        """X, Y and Z of a network input must be multiples of this."""
        return int(2 ** (len(self.blocks_per_level) - 1))


VISTA3D = Preset(
    name="vista3d",
    filters=48,
    blocks_per_level=(1, 2, 2, 4, 4),
    window=(128, 128, 128),
    spacing=(1.5, 1.5, 1.5),
)
"""The published network (paper facts §3): 217.96 M parameters."""

CTMR = replace(VISTA3D, name="vista3d-ctmr", window=(192, 192, 128), branches=("automatic",), family="ctmr")
"""The same network as NV-Segment-CTMR trained it (ctmr facts §1, §4); nothing here trains another."""

STARTER = Preset(
    name="starter",
    filters=16,
    blocks_per_level=(1, 2, 2, 2, 1),
    window=(48, 48, 48),
    spacing=(3.9, 3.9, 2.5),
    hu_window=(-500.0, 900.0),
)
"""Small enough to lie in the repository and to train on two CPU cores.

Its HU window is narrower than VISTA3D's: soft tissue matters most in head and neck, and keeps more of the range."""

PRESETS = {preset.name: preset for preset in (VISTA3D, STARTER)}
