"""A session that a test may change."""

import pytest
from serving import Session


@pytest.fixture(scope="module")
def scan(server, ct):
    return server.upload(ct)


@pytest.fixture
def session(server, scan):
    return Session(server, scan["id"])
