"""Recipes: names become ids, mistakes become one line."""

from pathlib import Path

import pytest

from openvista.errors import RecipeError
from openvista.train.recipe import read_recipe


def test_the_starter_recipe_by_names(starter_recipe):
    recipe = read_recipe(starter_recipe)
    assert recipe.classes == {1: 133, 2: 121, 3: 134, 4: 135, 5: 11, 6: 136, 7: 137}
    assert recipe.mirrored_labels == {3: 4, 4: 3}
    assert recipe.range_limited_labels == {2, 5}


def test_overrides_win(starter_recipe):
    recipe = read_recipe(starter_recipe, steps=3, fold=None, seed=9)
    assert (recipe.steps, recipe.seed, recipe.fold) == (3, 9, None)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ({"learning_rat": 1}, "learning_rat"),
        ({"learning_rate": -1}, "learning_rate"),
        ({"preset": "huge"}, "unknown preset 'huge'"),
        ({"classes": {1: "livr"}}, "liver"),
        ({"classes": {}}, "classes is empty"),
        ({"mirrored": [["left kidney", "right kidney"]]}, "not among the recipe's classes"),
        ({"precision": "int3"}, "precision"),
    ],
)
def test_a_mistake_is_one_line(starter_recipe, override, words):
    with pytest.raises(RecipeError, match=words) as caught:
        read_recipe(starter_recipe, **override)
    assert "\n" not in str(caught.value)


def test_missing_and_garbled_files(tmp_path):
    with pytest.raises(RecipeError, match="does not exist"):
        read_recipe(tmp_path / "none.yaml")
    bad = tmp_path / "bad.yaml"
    bad.write_text("classes: [")
    with pytest.raises(RecipeError, match="not YAML"):
        read_recipe(bad)
    bad.write_text("just words")
    with pytest.raises(RecipeError, match="key: value"):
        read_recipe(bad)


def test_a_list_beside_the_recipe_is_found(tmp_path, starter_recipe):
    copy = tmp_path / "r.yaml"
    copy.write_text(Path(starter_recipe).read_text().replace("openkbp/dataset.json", "here.json"))
    (tmp_path / "here.json").write_text("{}")
    assert read_recipe(copy).datalist == tmp_path / "here.json"
