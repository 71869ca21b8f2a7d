"""A file of keys and values that cannot be read is one line, with what the file is for."""

import pytest

from openvista.errors import RecipeError
from openvista.train.yaml_file import read_yaml_keys


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
