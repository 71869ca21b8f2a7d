"""Whole runs: steps are reported, the folder is filled, the result is a model that works."""

import pytest
import torch
from tiny_training import tiny_recipe

from openvista.distributed import Ranks
from openvista.errors import DataListError, RecipeError
from openvista.train.export import export_model
from openvista.train.loop import Trainer
from openvista.train.recipe_file import read_recipe
from openvista.weights import find_model
from openvista.weights.store import load_network


@pytest.fixture(scope="module")
def run(tmp_path_factory, tiny_list):
    folder = tmp_path_factory.mktemp("run")
    recipe = tiny_recipe(tiny_list, validate_every=2)
    steps = []
    network = Trainer(recipe, folder, progress=steps.append).run()
    return recipe, folder, network, steps


def test_steps_are_reported(run):
    _, _, _, steps = run
    assert [step.step for step in steps] == [1, 2, 3, 4]
    assert steps[-1].fraction == 1
    assert all(0 <= step.waiting <= 1 for step in steps)


def test_the_run_folder_is_complete(run):
    _, folder, _, _ = run
    names = {path.name for path in folder.iterdir()}
    assert names >= {"recipe.json", "environment.json", "log.txt", "train.csv", "validation.csv", "curves.png"}
    assert names >= {"best.pt", "best.json", "last.pt"}
    assert not [name for name in names if name.startswith(".")]


def test_the_exported_model_loads_and_knows_its_classes(run):
    recipe, folder, network, _ = run
    exported = export_model(network, recipe, folder)
    found = find_model(exported.path)
    assert found.card.class_ids == recipe.class_ids
    assert found.card.branches == ("automatic",)
    assert str(folder) not in found.card.to_json()
    assert str(recipe.datalist.parent) not in found.card.to_json()
    loaded = load_network(found)
    image = torch.rand(1, 1, 16, 16, 16)
    ids = torch.tensor([133, 134])
    with torch.no_grad():
        assert torch.allclose(loaded.class_logits(image, ids), network.class_logits(image, ids), atol=0.02)


def test_the_card_says_what_training_saw(run, tmp_path):
    recipe, folder, network, _ = run
    ranges = export_model(network, recipe, folder).card.ranges
    assert ranges.keys() == {133, 134}
    assert ranges[133].volume_ml.cases == 2


def test_other_names_of_classes_that_are_not_trained_do_not_reach_the_card(run, tmp_path, tiny_list):
    _, folder, network, _ = run
    recipe = tiny_recipe(tiny_list, extra_aliases={133: ["lamp"], 136: ["voice box"]})
    assert dict(export_model(network, recipe, folder).card.extra_aliases) == {133: ("lamp",)}


def test_what_is_in_one_piece_reaches_the_card(run, tmp_path, tiny_list):
    recipe, folder, network, _ = run
    recipe = recipe.model_copy(update={"one_piece": (134, 136)})  # 136 is not trained
    assert export_model(network, recipe, folder).card.one_piece == (134,)


def test_the_same_seed_gives_the_same_losses(run, tmp_path, tiny_list):
    _, _, _, steps = run
    again = []
    Trainer(tiny_recipe(tiny_list, validate_every=2), tmp_path, progress=again.append).run()
    assert [step.loss for step in again] == [step.loss for step in steps]


def test_a_model_can_be_trained_further(run, tmp_path, tiny_list):
    recipe, folder, network, _ = run
    start = export_model(network, recipe, folder).path
    trainer = Trainer(tiny_recipe(tiny_list, start_from=str(start)), tmp_path)
    for name, tensor in network.state_dict().items():
        assert torch.allclose(trainer.learner.network.state_dict()[name], tensor, atol=1e-3, rtol=1e-3)


def test_a_fold_that_leaves_nothing_to_train_on_is_said(starter_recipe, example_datalist, tmp_path):
    recipe = read_recipe(starter_recipe, datalist=str(example_datalist), fold=0)
    with pytest.raises(DataListError, match="fold 0"):
        Trainer(recipe, tmp_path).run()


def test_a_run_whose_time_is_up_stays_finished_until_it_gets_more(tmp_path, tiny_list):
    def steps(**more):
        heard = []
        Trainer(tiny_recipe(tiny_list, steps=3, **more), tmp_path, progress=heard.append, resume=True).run()
        return [one.step for one in heard]

    assert steps(minutes=1e-9) == [1]
    assert steps(minutes=1e-9) == []
    assert steps(minutes=1e6) == [2, 3]
    assert steps(minutes=1e6) == []


def test_torchrun_resumes_its_own_run_only(tmp_path, tiny_list):
    def steps(*launch, count, resume=False):
        heard = []
        recipe = tiny_recipe(tiny_list, steps=count)
        Trainer(recipe, tmp_path, Ranks(0, 1, torch.device("cpu"), *launch), heard.append, resume).run()
        return [one.step for one in heard]

    assert steps(0, "a", count=1) == [1]
    for other in ((0, "a"), (0, "b"), (1, "b"), (1, None)):
        with pytest.raises(RecipeError, match="holds a run already"):
            steps(*other, count=2)
    assert steps(1, "a", count=2) == [2]
    assert steps(0, "b", count=3, resume=True) == [3]
    assert steps(1, "b", count=4) == [4]
    with pytest.raises(RecipeError, match="holds a run already"):
        steps(1, "a", count=5)
