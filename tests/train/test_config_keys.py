"""Keys of a config: what is read as data, and what is only named."""

import pytest

from openvista.errors import RecipeError
from openvista.train.config_keys import ConfigKeys


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("@root", "work"),
        ("$@root + '/fold' + str(@fold)", "work/fold3"),
        ("$'/models/model.pt'", "/models/model.pt"),
        ("$@fold", 3),
        ("1e-5", 1e-5),
        (["@root"], ["work"]),
    ],
)
def test_texts_and_other_keys_are_put_together(value, expected):
    assert ConfigKeys({"key": value, "root": "work", "fold": 3}, "here").take("key") == expected


@pytest.mark.parametrize("value", ["$@fold * 2", "$print(1)", "$@root.upper()", "@nowhere", "%other.yaml", "@key"])
def test_other_expressions_are_named_in_the_end(value):
    keys = ConfigKeys({"key": value, "root": "work", "fold": 3}, "here")
    assert keys.take("key", "default") == "default"
    with pytest.raises(RecipeError, match="here: expressions are not evaluated: give the values of key with --set"):
        keys.finish()
