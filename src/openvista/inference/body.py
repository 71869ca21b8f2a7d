"""Where the body is: a coarse, generous mask, so that windows in air can be left out and the volume be cropped."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from openvista.geometry.box import Box
from openvista.geometry.grid import Axis3, Float3

BODY_HU = -300.0
"""Fat, skin and everything denser lies above it; air, and the foam of a table, below."""
MARGIN_MM = 15.0
"""Kept around the body: the official bundle's 10 voxels of 1.5 mm (monai-bundle facts §4)."""
CELL = 4
"""The mask has one value for 4³ voxels: quick, and air of less than 4 voxels does not matter."""


@dataclass(frozen=True, eq=False)
class Body:
    """What of a volume is body.

    Attributes:
        box: the voxels to look at: the body and a margin.
        cells_XYZ: bool, one value for each ``CELL``³ voxels of the box; True where there is body within a cell's reach.
    """

    box: Box
    cells_XYZ: Tensor

    @classmethod
    def filled(cls, box: Box) -> "Body":
        """All of a box."""
        cells = [-(-length // CELL) for length in box.shape]
        return cls(box, torch.ones(1, 1, 1, dtype=torch.bool).expand(cells))

    @classmethod
    def whole(cls, shape: Sequence[int]) -> "Body":
        """All of a volume of this shape."""
        return cls.filled(Box.whole(shape))


def find_body(image_XYZ: Tensor, spacing: Float3, hu_window: tuple[float, float], window: Axis3) -> Body:
    """The body in a prepared image.

    Tissue is what lies above ``BODY_HU``; air counts as body where it has tissue on its left and on its right, so that
    lungs and bowel gas never look like outside. A volume without tissue is body as a whole: better slow than wrong.

    Args:
        image_XYZ: 0..1 on the model grid, axes R A S.
        spacing: mm of that grid.
        hu_window: HU of 0 and 1.
        window: voxels of a window; the box is not made smaller than that, since real voxels are better than padding.
    """
    low, high = hu_window
    threshold = max((BODY_HU - low) / (high - low), 0.0)
    tissue = functional.max_pool3d(image_XYZ[None, None], CELL, ceil_mode=True)[0, 0] > threshold
    counts = tissue.long().cumsum(0)
    body = (counts > 0) & ((counts[-1] > counts) | tissue)
    found = Box.around(body.cpu().numpy())
    if found is None:
        return Body.whole(image_XYZ.shape)
    sides = []
    for first, stop, length, mm, side in zip(*found.scaled(CELL), image_XYZ.shape, spacing, window, strict=True):
        margin = round(MARGIN_MM / mm)
        sides.append(_side(first - margin, stop + margin, side, length))
    reach = functional.max_pool3d(body[None, None].float(), 3, stride=1, padding=1)[0, 0] > 0
    inside = tuple(slice(side.start // CELL, -(-side.stop // CELL)) for side in sides)
    return Body(Box.of_slices(sides), reach[inside])


def _side(first: int, stop: int, at_least: int, length: int) -> slice:
    """One side of the box: widened to ``at_least``, kept on the volume, its start on the border of a cell."""
    wider = max(at_least - (stop - first), 0)
    first = min(max(first - wider // 2, 0), max(length - at_least, 0)) // CELL * CELL
    return slice(first, min(max(stop, first + at_least), length))
