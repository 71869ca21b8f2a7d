"""What the tests of training share: a tiny network and made-up scans for it."""

import pytest
from tiny_training import TINY, load, make_list, tiny_recipe

from openvista.network import PRESETS


@pytest.fixture(scope="session")
def tiny_list(tmp_path_factory):
    return make_list(tmp_path_factory.mktemp("balls"))


@pytest.fixture(scope="module", autouse=True)
def _tiny_preset():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PRESETS, "tiny", TINY)
        yield


@pytest.fixture(scope="module")
def data(tiny_list):
    """The prepared cases of the tiny recipe."""
    return load(tiny_recipe(tiny_list))
