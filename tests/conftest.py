"""Shared by all tests: the example case that lies in the repository."""

from pathlib import Path

import pytest
from hypothesis import settings

# The same examples on every run: red means a change, not chance. To search for new ones: --hypothesis-profile=search
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.register_profile("search", derandomize=False, deadline=None)
settings.load_profile("repeatable")

ROOT = Path(__file__).parents[1]


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
