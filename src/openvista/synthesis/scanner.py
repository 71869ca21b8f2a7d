"""What the scanner does to a picture of HU: resolution, noise, streaks, offset.

Wide on purpose, as in B. Billot et al., *SynthSeg*, Medical Image Analysis 86:102789, 2023: thick slices, soft and
sharp kernels, low dose, metal.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

from openvista.geometry.grid import Axis3
from openvista.synthesis.draws import Draws
from openvista.synthesis.warp import Raster

LOWEST, HIGHEST = -1024.0, 3071.0
"""HU of 12 bits, what scanners store."""


def scan_body(hu_XYZ: Tensor, frame: Raster, draws: Draws) -> Tensor:
    """Scan a picture drawn on finer voxels.

    Args:
        hu_XYZ: HU on a finer frame of the same extent.
        frame: the voxels of the scan.
        draws: source of randomness.
    """
    image = hu_XYZ[None, None]
    if hu_XYZ.shape != torch.Size(frame.shape):
        image = functional.adaptive_avg_pool3d(image, frame.shape)
    if draws.chance(0.6):
        image = _coarser(image, frame.shape, draws)
    hu = image[0, 0]
    if draws.chance(0.1):
        hu = hu + _streaks(frame, draws)
    white_XYZ = draws.normal(*frame.shape)
    noise = white_XYZ * draws.uniform(0, 22)
    if draws.chance(0.5):  # a soft kernel: grains of several voxels
        noise += functional.avg_pool3d(white_XYZ[None, None], 3, 1, 1)[0, 0] * draws.uniform(0, 80)
    return (hu + noise + draws.uniform(-12, 12)).clamp_(LOWEST, HIGHEST)


def _coarser(image_11XYZ: Tensor, shape: Axis3, draws: Draws) -> Tensor:
    """As from larger voxels, slices thicker than pixels."""
    shares = (1 / draws.uniform(1, 1.4), 1 / draws.uniform(1, 1.4), 1 / draws.uniform(1, 2))
    size = [max(4, int(side * share)) for side, share in zip(shape, shares, strict=True)]
    small = functional.interpolate(image_11XYZ, size=size, mode="trilinear", align_corners=False)
    return functional.interpolate(small, size=shape, mode="trilinear", align_corners=False)


def _streaks(frame: Raster, draws: Draws) -> Tensor:
    """Bright and dark lines in some slices, in one direction, as metal and shoulders throw them."""
    x, y, z = frame.offsets()
    angle = draws.uniform(0, math.pi)
    across_XY = x[:, None] * math.cos(angle) + y[None, :] * math.sin(angle)
    lines = draws.normal(400) * draws.uniform(10, 60)
    line_XY = lines[(across_XY / 4 + 200).long().clamp(0, 399)]
    reach = float(frame.extent_3[2]) / 2
    fades_Z = torch.exp(-(((z - draws.uniform(-reach, reach)) / draws.uniform(12, 60)) ** 2))
    return line_XY[:, :, None] * fades_Z
