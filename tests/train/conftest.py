"""What the tests of training share: a tiny network and made-up scans for it."""

import pytest
from tiny_training import TINY, make_list

from openvista.model import PRESETS


@pytest.fixture(scope="session")
def tiny_list(tmp_path_factory):
    return make_list(tmp_path_factory.mktemp("balls"))


@pytest.fixture(scope="module", autouse=True)
def _tiny_preset():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PRESETS, "tiny", TINY)
        yield
