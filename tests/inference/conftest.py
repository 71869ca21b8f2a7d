"""Small networks and scans that every test of inference shares."""

import numpy as np
import pytest
import torch

from openvista.grid import Grid
from openvista.inference.device import Compute
from openvista.inference.network import WindowNetwork
from openvista.model import Preset, Vista3D, build
from openvista.scan import Scan

TINY = Preset(
    name="tiny",
    filters=4,
    blocks_per_level=(1, 1),
    window=(16, 16, 16),
    spacing=(2.0, 2.0, 2.0),
    class_rows=140,
    branches=("automatic",),
)
FLOAT32 = Compute(torch.device("cpu"), torch.float32, torch.float32)
HALF_STORAGE = Compute(torch.device("cpu"), torch.float32, torch.float16)


@pytest.fixture
def tiny() -> Vista3D:
    """A random network whose classes all occur: embeddings are spread out so that no class wins everywhere."""
    network = build(TINY, seed=3)
    with torch.no_grad():
        network.class_head.linear2.weight *= 5
    return network.eval()


@pytest.fixture
def tiny_windows(tiny: Vista3D) -> WindowNetwork:
    return WindowNetwork(tiny, FLOAT32)


@pytest.fixture
def lps_affine() -> np.ndarray:
    """Axes that run as in most CT files. With these spacings no voxel lies half-way between two of the model grid,
    where nearest neighbour is a matter of rounding."""
    affine = np.diag([-1.713, -2.317, 3.109, 1.0])
    affine[:3, 3] = (40, 31, -12)
    return affine


def make_scan(shape: tuple[int, int, int], affine: np.ndarray, seed: int = 0) -> Scan:
    """Smooth random tissue between -900 and 900 HU: something for a network to find everywhere."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand((1, 1, *(max(n // 3, 1) for n in shape)), generator=generator)
    voxels = torch.nn.functional.interpolate(coarse, size=shape, mode="trilinear")[0, 0] * 1800 - 900
    return Scan(voxels.numpy().astype(np.int16), Grid(shape, affine), name="made-up")
