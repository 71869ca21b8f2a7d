"""What benchmarks put in place of a patient and of a network: made-up, but of the right size and smoothness."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from openvista.geometry.grid import Axis3, Float3, Grid
from openvista.inference.windows import WindowPlan
from openvista.scan import Scan

CELL = 16
"""The network's stand-in changes over this many voxels: structures of a few centimetres at 1.5 mm."""


def made_up_scan(shape: Axis3, spacing: Float3) -> Scan:
    """An elliptic cylinder of noisy soft tissue in air: 80 % of the width and 60 % of the depth of the frame."""
    x, y = (np.linspace(-1, 1, n, dtype=np.float32) for n in shape[:2])
    body = (x[:, None] / 0.8) ** 2 + (y[None, :] / 0.6) ** 2 < 1
    noise = np.random.default_rng(0).integers(-60, 60, shape, dtype=np.int16)
    noise += np.where(body, 40, -1000).astype(np.int16)[:, :, None]
    return Scan(noise, Grid(shape, np.diag([*spacing, 1.0])))


class StandIn:
    """Gives each window smooth random features that agree where windows overlap, as a trained network's do.

    Attributes:
        starts: the windows in the order in which :func:`openvista.inference.stitching.stitch` visits them.
    """

    def __init__(self, plan: WindowPlan, channels: int, dtype: torch.dtype) -> None:
        axis = plan.streaming_axis
        self.starts: Iterator[Axis3] = iter(sorted(plan.starts, key=lambda start: start[axis]))
        self.window, self.dtype = plan.window, dtype
        cells = [length // CELL + 3 for length in plan.padded]
        self.coarse_CXYZ = torch.randn((channels, *cells), generator=torch.Generator().manual_seed(0))

    def features(self, start: Axis3) -> Tensor:
        """[1, C, X, Y, Z] of the window that starts here."""
        cells = [slice(s // CELL, s // CELL + w // CELL + 2) for s, w in zip(start, self.window, strict=True)]
        coarse = self.coarse_CXYZ[(slice(None), *cells)][None]
        size = [(n.stop - n.start) * CELL for n in cells]
        fine = functional.interpolate(coarse, size=size, mode="trilinear")
        box = [slice(s % CELL, s % CELL + w) for s, w in zip(start, self.window, strict=True)]
        layout = torch.contiguous_format if self.dtype == torch.float32 else torch.channels_last_3d
        return fine[(slice(None), slice(None), *box)].to(self.dtype).contiguous(memory_format=layout)
