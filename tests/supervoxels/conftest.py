"""Fixtures of the supervoxel tests."""

import pytest
from small_phantoms import make_phantom

from openvista.scan import Scan


@pytest.fixture
def phantom() -> Scan:
    return make_phantom()
