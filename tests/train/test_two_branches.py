"""The point branch on top of a frozen encoder: starts random, learns, and leaves the rest as it was."""

import pytest
import torch

from openvista.errors import ModelError, RecipeError
from openvista.train.export import export_model
from openvista.train.loop import Trainer
from openvista.train.parts import starting_network
from openvista.train.recipe import read_recipe
from openvista.weights import find_model
from openvista.weights.store import load_network

POINT = {
    "stage": "stage2",
    "trained": ["point"],
    "start_from": "starter",
    "steps": 2,
    "window": (32, 32, 32),
    "minutes": 100.0,
    "patches_per_step": 2,
    "most_objects": 1,
    "rounds": 1,
    "learning_rate": 1e-3,
    "fold": None,
}


@pytest.fixture(scope="module")
def run(tmp_path_factory, starter_recipe, example_datalist):
    folder = tmp_path_factory.mktemp("point")
    recipe = read_recipe(starter_recipe, datalist=str(example_datalist), **POINT)
    trainer = Trainer(recipe, folder)
    before = {name: tensor.clone() for name, tensor in trainer.network.state_dict().items()}
    network = trainer.run()
    return recipe, folder, before, trainer.network.state_dict(), network


def test_only_the_point_branch_changes(run):
    _, _, before, after, _ = run
    changed = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"point_decoder", "point_head"}


def test_the_export_has_both_branches(run):
    recipe, folder, _, _, network = run
    exported = find_model(export_model(network, recipe, folder).path)
    assert set(exported.card.branches) == {"automatic", "point"}
    assert exported.weights.stat().st_size < 25e6
    loaded, embedded = load_network(exported), load_network(find_model("starter"))
    for name, tensor in embedded.state_dict().items():
        assert torch.allclose(loaded.state_dict()[name], tensor, atol=1e-3, rtol=1e-3), name


def test_a_run_without_clicks_has_no_point_branch(starter_recipe, example_datalist):
    network = starting_network(read_recipe(starter_recipe, datalist=str(example_datalist)))
    assert network.preset.branches == ("automatic",)


def test_a_model_of_another_preset_is_refused(starter_recipe, example_datalist):
    with pytest.raises(RecipeError, match="filters 16"):
        starting_network(
            read_recipe(starter_recipe, datalist=str(example_datalist), start_from="starter", preset="vista3d")
        )


def test_a_model_that_does_not_exist_is_refused(starter_recipe, example_datalist):
    with pytest.raises(ModelError, match="nowhere"):
        starting_network(read_recipe(starter_recipe, datalist=str(example_datalist), start_from="nowhere"))
