"""Where official weights are: addresses that fit together, and names that no other table contradicts."""

import re

import pytest

from openvista.weights.sources import OFFICIAL, HubModel


@pytest.mark.parametrize("name", OFFICIAL)
def test_an_official_model_is_a_file_of_a_repository_whose_licence_can_be_read(name):
    source = OFFICIAL[name]
    assert re.fullmatch(r"[\w.-]+/[\w.-]+", source.repository)
    assert re.fullmatch(r"([\w.-]+/)*[\w.-]+\.safetensors", source.file)
    assert source.repository in source.licence_text
    assert source.page in source.licence_text
    assert source.licence
    assert "\n" not in source.licence
    assert not set("{}") & set(source.licence_text), "a place that nobody filled"


def test_the_page_is_that_of_the_repository():
    source = HubModel(repository="some-one/a.model", file="m.safetensors", licence="CC0", licence_text="")
    assert source.page == "https://huggingface.co/some-one/a.model"


def test_names_are_usable_as_folders():
    for name in OFFICIAL:
        assert re.fullmatch(r"[a-z0-9][a-z0-9._-]*", name)
