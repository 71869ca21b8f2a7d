"""A name may belong to one class only."""

from dataclasses import replace

import pytest

from openvista.anatomy.catalogue import CATALOGUE
from openvista.anatomy.name_index import NameIndex
from openvista.errors import AnatomyError


def test_finds_by_name_and_alias() -> None:
    index = NameIndex([CATALOGUE[7], CATALOGUE[10]])
    assert index.find("inferior_vena_cava") == index.find("ivc") == 7
    assert index.find("GallBladder") == index.find("gall bladder") == 10
    assert index.find("liver") is None


def test_two_classes_with_one_name_are_refused() -> None:
    twin = replace(CATALOGUE[3], id=133, name="Livers")
    with pytest.raises(AnatomyError, match=r"'Livers' names both class 1 'liver' and class 133 'Livers'"):
        NameIndex([CATALOGUE[1], twin])


def test_a_name_without_letters_is_refused() -> None:
    with pytest.raises(AnatomyError, match="class 133 cannot be called '--'"):
        NameIndex([replace(CATALOGUE[3], id=133, name="--")])
