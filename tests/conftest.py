"""Shared by all tests: the example case that lies in the repository, and logging as it was."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import settings

from openvista.inference.window_network import WindowNetwork
from openvista.model import Model
from openvista.network import Vista3D, build
from openvista.session.session import Session
from small_inference import FLOAT32, TINY, make_scan
from small_sessions import AFFINE, SHAPE, two_branches_model

# The same examples on every run: red means a change, not chance. To search for new ones: --hypothesis-profile=search
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.register_profile("search", derandomize=False, deadline=None)
settings.load_profile("repeatable")

ROOT = Path(__file__).parents[1]


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("slow") and "OPENVISTA_SLOW" not in os.environ:
        pytest.skip("takes long: make test-slow")


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """Commands set up logging for their process; here the next test shares it."""
    loggers = [logging.getLogger(), *(logging.getLogger(f"openvista.{part}") for part in ("serve", "inference", "io"))]
    levels, handlers = [one.level for one in loggers], list(loggers[0].handlers)
    yield
    for one, level in zip(loggers, levels, strict=True):
        one.setLevel(level)
    for added in set(loggers[0].handlers) - set(handlers):
        loggers[0].removeHandler(added)


@pytest.fixture(scope="session")
def example_ct() -> Path:
    return ROOT / "examples" / "data" / "head_neck_ct.nii.gz"


@pytest.fixture(scope="session")
def example_labels() -> Path:
    return ROOT / "examples" / "data" / "head_neck_labels.nii.gz"


@pytest.fixture(scope="session")
def example_datalist() -> Path:
    return ROOT / "examples" / "data" / "dataset.json"


@pytest.fixture(scope="session")
def starter_recipe() -> Path:
    return ROOT / "recipes" / "starter.yaml"


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
    return two_branches_model()


@pytest.fixture
def session(two_branches: Model) -> Session:
    return two_branches.open(make_scan(SHAPE, AFFINE))
