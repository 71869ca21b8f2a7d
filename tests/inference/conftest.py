"""Fixtures of the inference tests."""

import numpy as np
import pytest
import torch
from small_inference import FLOAT32, HALF_STORAGE, TINY, make_scan
from small_sessions import AFFINE, CARD, SHAPE, TWO_BRANCHES

from openvista.inference.network import WindowNetwork
from openvista.inference.session import Session
from openvista.model import Model
from openvista.network import Vista3D, build


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


@pytest.fixture(scope="session")
def two_branches() -> Model:
    """A random model that answers class prompts and clicks."""
    network = build(TWO_BRANCHES, seed=4)
    with torch.no_grad():
        network.class_head.linear2.weight *= 5  # so that classes differ
    return Model(network, CARD, HALF_STORAGE)


@pytest.fixture
def session(two_branches: Model) -> Session:
    return two_branches.open(make_scan(SHAPE, AFFINE))
