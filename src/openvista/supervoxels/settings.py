"""What can be chosen about supervoxels. Needs nothing but Python."""

import math
from dataclasses import dataclass

from openvista.errors import InputError

MOST_SEGMENTS = 10_000
"""Pieces may be a quarter of the mean size, so there are at most four per wished one: all numbers fit uint16."""


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
