"""Random numbers of one drawing: all from one seed, so that a drawing can be made again."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from openvista.geometry.grid import Axis3, Float3


class Draws:
    """A source of random numbers that depends on all of its seeds (0 or more each) and on nothing else."""

    def __init__(self, *seeds: int) -> None:
        low, high = np.random.SeedSequence((len(seeds), *seeds)).generate_state(2, np.uint32).tolist()
        self.generator = torch.Generator().manual_seed(low | high << 32)

    def uniform(self, low: float, high: float) -> float:
        """A number between two."""
        return low + (high - low) * float(torch.rand(1, generator=self.generator))

    def within(self, bounds: tuple[float, float]) -> float:
        """A number between the two bounds."""
        return self.uniform(*bounds)

    def chance(self, share: float) -> bool:
        """True in this share of the cases."""
        return self.uniform(0, 1) < share

    def below(self, count: int) -> int:
        """A whole number from 0 to ``count`` - 1."""
        return int(torch.randint(count, (1,), generator=self.generator))

    def weighted(self, weights: Sequence[float]) -> int:
        """An index, the more often the larger its weight."""
        return int(torch.multinomial(torch.tensor(weights, dtype=torch.float64), 1, generator=self.generator))

    def some(self, items: Sequence[int], most: int) -> list[int]:
        """At most so many of the items, in random order."""
        order = torch.randperm(len(items), generator=self.generator).tolist()
        return [items[index] for index in order[:most]]

    def normal(self, *shape: int) -> Tensor:
        """Independent normal numbers, float32."""
        return torch.randn(shape, generator=self.generator)

    def field(self, shape: Axis3, spacing: Float3, wavelength_mm: float) -> Tensor:
        """A smooth random field [X, Y, Z], of mean 0 and deviation about 1.

        Args:
            shape: voxels.
            spacing: mm per voxel.
            wavelength_mm: distance of its independent values.
        """
        nodes = [
            max(2, min(side, round(side * mm / wavelength_mm) + 1)) for side, mm in zip(shape, spacing, strict=True)
        ]
        coarse = self.normal(1, 1, *nodes)
        smooth = functional.interpolate(coarse, size=shape, mode="trilinear", align_corners=True)
        return smooth[0, 0] * 1.6  # linear interpolation between independent values takes a part of the variance
