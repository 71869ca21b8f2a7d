"""Shared by all tests: the example case that lies in the repository, and logging as it was."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# The same examples on every run: red means a change, not chance. To search for new ones: --hypothesis-profile=search
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.register_profile("search", derandomize=False, deadline=None)
settings.load_profile("repeatable")

ROOT = Path(__file__).parents[1]


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
