"""Real programs as judges and partners: a PACS, validators, a proxy. Run by ``make test-services``."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from orthanc import Orthanc, running_orthanc
from serving import make_model


@pytest.fixture(scope="session")
def session_orthanc(tmp_path_factory) -> Iterator[Orthanc]:
    with running_orthanc(tmp_path_factory.mktemp("orthanc")) as started:
        yield started


@pytest.fixture
def orthanc(session_orthanc: Orthanc) -> Orthanc:
    """An empty PACS that takes everything. It is one for all tests: what earlier tests stored is deleted."""
    session_orthanc.forget()
    return session_orthanc


@pytest.fixture(scope="session")
def small_model(tmp_path_factory) -> Path:
    """A folder with a small random network that finds every class somewhere."""
    return make_model(tmp_path_factory.mktemp("models"), "both", ("automatic", "point"))
