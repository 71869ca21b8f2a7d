"""What the tests of synthesis share: two made-up bodies in one atlas."""

import pytest

from openvista.synthesis.anatomy import make_atlas
from openvista.synthesis.maps import read_label_map
from small_bodies import write_body, write_names


@pytest.fixture(scope="session")
def maps(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bodies")
    names = write_names(folder)
    return [read_label_map(write_body(folder, name, grown=grown), names) for name, grown in (("a", 1.0), ("b", 1.4))]


@pytest.fixture(scope="session")
def atlas(maps):
    return make_atlas(maps)


@pytest.fixture(scope="session")
def number_of(atlas):
    """Name of a structure to its number."""
    return {structure.name: number for number, structure in enumerate(atlas.structures)}
