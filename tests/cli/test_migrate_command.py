"""``openvista migrate``: a recipe that ``openvista train`` reads, and the command."""

import json

from typer.testing import CliRunner

from openvista.cli.main import app
from openvista.errors import RecipeError
from openvista.train.recipe_file import read_recipe

CONFIG = {
    "num_epochs": 2,
    "drop_label_prob": 1,
    "bundle_root": "runs/words",
    "data_list_file_path": "list.json",
    "label_set": [0, 1],
    "mapped_label_set": [0, 3],
    "comments": "ours",
}


def migrate(folder, content, *options):
    (folder / "config.yaml").write_text(json.dumps(content))  # JSON is YAML
    return CliRunner().invoke(app, ["migrate", str(folder / "config.yaml"), *map(str, options)])


def test_the_printed_recipe_is_one(tmp_path):
    done = migrate(tmp_path, CONFIG)
    assert done.exit_code == 0, done.exception
    (tmp_path / "recipe.yaml").write_text(done.stdout)
    assert read_recipe(tmp_path / "recipe.yaml").classes == {1: 3}
    assert done.stdout.endswith("# openvista train RECIPE.yaml -o runs/words\n")
    assert "left out, as something here takes its place: comments" in done.stderr


def test_the_recipe_goes_to_a_file(tmp_path):
    done = migrate(tmp_path, CONFIG, "-o", tmp_path / "word.yaml", "-q")
    assert done.output == f"openvista train {tmp_path / 'word.yaml'} -o runs/words\n"
    assert read_recipe(tmp_path / "word.yaml").epochs == 2


def test_a_refused_config_writes_nothing(tmp_path):
    done = migrate(tmp_path, CONFIG | {"num_epochs": "$1 + 1"}, "-o", tmp_path / "word.yaml")
    assert isinstance(done.exception, RecipeError)
    assert not (tmp_path / "word.yaml").exists()
