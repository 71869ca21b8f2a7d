"""Networks a run starts from: a new point branch on a frozen encoder learns and leaves the rest as it was."""

from dataclasses import replace

import pytest
import torch
from tiny_training import TINY, tiny_recipe

from openvista.errors import ModelError, RecipeError
from openvista.network import PRESETS, STARTER, build
from openvista.train.export import export_model
from openvista.train.loop import Trainer
from openvista.train.recipe_file import read_recipe
from openvista.train.starting_network import starting_network
from openvista.weights import ModelCard, find_model
from openvista.weights.store import load_network, save_model

POINT = {"stage": "stage2", "trained": ["point"], "rounds": 1, "steps": 2}


@pytest.fixture(scope="module")
def automatic_model(tmp_path_factory):
    """A model folder without a point branch."""
    network = build(replace(TINY, branches=("automatic",)), 5)
    card = ModelCard.from_preset(network.preset, name="old")
    return save_model(network, card, tmp_path_factory.mktemp("old"))


@pytest.fixture(scope="module")
def run(tmp_path_factory, tiny_list, automatic_model):
    folder = tmp_path_factory.mktemp("point")
    recipe = tiny_recipe(tiny_list, start_from=str(automatic_model.path), **POINT)
    trainer = Trainer(recipe, folder)
    before = {name: tensor.clone() for name, tensor in trainer.learner.network.state_dict().items()}
    network = trainer.run()
    return recipe, folder, before, trainer.learner.network.state_dict(), network


def test_only_the_point_branch_changes(run):
    _, _, before, after, _ = run
    changed = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"point_decoder", "point_head"}


def test_a_new_branch_begins_with_the_decoder_that_is_there(tiny_list, automatic_model):
    network = starting_network(tiny_recipe(tiny_list, start_from=str(automatic_model.path), **POINT))
    point, automatic = network.point_decoder.state_dict(), network.automatic_decoder.state_dict()
    assert point.keys() == automatic.keys()
    assert all(torch.equal(point[key], automatic[key]) for key in point)
    assert point["head.weight"].data_ptr() != automatic["head.weight"].data_ptr(), "two decoders, not one"


def test_the_export_has_both_branches(run, automatic_model):
    recipe, folder, _, _, network = run
    exported = find_model(export_model(network, recipe, folder).path)
    assert exported.card.branches == ("automatic", "point")
    loaded, old = load_network(exported).state_dict(), load_network(automatic_model).state_dict()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in old.items())


def test_two_branches_of_the_starter_fit_into_the_repository():
    parameters = sum(parameter.numel() for parameter in build(STARTER).parameters())
    assert 2 * parameters < 25e6


def test_a_run_without_clicks_has_no_point_branch(tiny_list):
    assert starting_network(tiny_recipe(tiny_list)).preset.branches == ("automatic",)


def test_a_model_of_another_preset_is_refused(starter_recipe, automatic_model, example_datalist):
    recipe = read_recipe(starter_recipe, datalist=str(example_datalist), start_from=str(automatic_model.path))
    with pytest.raises(RecipeError, match="filters 8, the recipe's preset starter has 16"):
        starting_network(recipe)


def test_another_spacing_has_to_be_chosen_on_purpose(tiny_list, automatic_model):
    coarse = replace(TINY, spacing=(3.0, 3.0, 3.0))
    assert coarse != TINY
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PRESETS, "tiny", coarse)
        recipe = tiny_recipe(tiny_list, start_from=str(automatic_model.path))
        with pytest.raises(RecipeError, match="set the recipe's spacing"):
            starting_network(recipe)
        starting_network(tiny_recipe(tiny_list, start_from=str(automatic_model.path), spacing=[3, 3, 3]))


def test_a_model_that_does_not_exist_is_refused(tiny_list):
    with pytest.raises(ModelError, match="nowhere"):
        starting_network(tiny_recipe(tiny_list, start_from="nowhere"))
