"""Shared by all tests: the example case that lies in the repository."""

from pathlib import Path

import pytest

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
