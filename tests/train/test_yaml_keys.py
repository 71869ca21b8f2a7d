"""Keys and values that cannot be read are one line, with what the file is for, or the setting as it was given."""

import pytest

from openvista.errors import RecipeError
from openvista.train.yaml_keys import parse_settings, read_yaml_keys


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"a: [", "is not YAML"), (b"\xff", "is not YAML"), (b"- a", "must be a list of"), (b"1: a", "1 is no key of a")],
)
def test_a_bad_file_is_one_line(tmp_path, content, words):
    (tmp_path / "x.yaml").write_bytes(content)
    with pytest.raises(RecipeError, match=f"registry .*{words}") as caught:
        read_yaml_keys(tmp_path / "x.yaml", "registry")
    assert "\n" not in str(caught.value)


def test_a_good_file_is_its_keys(tmp_path):
    (tmp_path / "x.yaml").write_text("a: 1\nb: {c: 2}\n")
    assert read_yaml_keys(tmp_path / "x.yaml", "registry") == {"a": 1, "b": {"c": 2}}


def test_values_of_settings_are_yaml():
    settings = ["minutes=5", " fold =null", "loss={dice: 2}", "data=a=b", "name="]
    assert parse_settings(settings) == {"minutes": 5, "fold": None, "loss": {"dice": 2}, "data": "a=b", "name": None}
    assert parse_settings([]) == {}


@pytest.mark.parametrize(
    ("setting", "words"), [("minutes", "write KEY=VALUE"), ("=5", "write KEY"), ("a=[", "not YAML")]
)
def test_a_bad_setting_is_one_line(setting, words):
    with pytest.raises(RecipeError, match=words) as caught:
        parse_settings(["fold=1", setting])
    assert str(caught.value).startswith(f"--set {setting}: ")
    assert "\n" not in str(caught.value)
