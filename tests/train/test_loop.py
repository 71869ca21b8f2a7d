"""Training on the example case: it learns, saves a model that works, and several processes agree."""

import json
import subprocess
import sys

import pytest
import torch

from openvista.errors import DataListError
from openvista.train.export import export_model
from openvista.train.loop import Trainer
from openvista.train.recipe import read_recipe
from openvista.weights import find_model
from openvista.weights.store import load_network


def short_recipe(starter_recipe, example_datalist, **more):
    settings = {"steps": 2, "minutes": 100.0, "patches_per_step": 1, "validate_every": 100}
    settings |= {"window": (32, 32, 32), **more}
    return read_recipe(starter_recipe, datalist=str(example_datalist), fold=None, **settings)


@pytest.fixture(scope="module")
def run(tmp_path_factory, starter_recipe, example_datalist):
    folder = tmp_path_factory.mktemp("run")
    recipe = short_recipe(starter_recipe, example_datalist)
    steps = []
    network = Trainer(recipe, folder, report=steps.append).run()
    return recipe, folder, network, steps


def test_steps_are_reported(run):
    _, _, _, steps = run
    assert [step.step for step in steps] == [1, 2]
    assert steps[-1].fraction == 1
    assert steps[-1].learning_rate < steps[0].learning_rate * 2


def test_the_run_folder_holds_what_is_needed(run):
    _, folder, _, _ = run
    assert {"recipe.json", "validation.csv", "best.pt", "last.pt"} <= {path.name for path in folder.iterdir()}
    assert json.loads((folder / "recipe.json").read_text())["classes"]["2"] == 121


def test_the_exported_model_loads_and_knows_its_classes(run):
    recipe, folder, network, _ = run
    exported = export_model(network, recipe, folder)
    found = find_model(exported.path)
    assert set(found.card.class_ids) == set(recipe.classes.values())
    assert str(folder) not in found.card.to_json()
    loaded = load_network(found)
    image = torch.rand(1, 1, 32, 32, 32)
    ids = torch.tensor([121, 133])
    with torch.no_grad():
        assert torch.allclose(loaded.class_logits(image, ids), network.class_logits(image, ids), atol=0.02)


def test_the_same_seed_gives_the_same_losses(run, tmp_path, starter_recipe, example_datalist):
    _, _, _, steps = run
    again = []
    Trainer(short_recipe(starter_recipe, example_datalist), tmp_path, report=again.append).run()
    assert [step.loss for step in again] == pytest.approx([step.loss for step in steps], rel=1e-5)


def test_loss_falls_on_one_patch(starter_recipe, example_datalist, tmp_path):
    trainer = Trainer(short_recipe(starter_recipe, example_datalist), tmp_path)
    cases, _ = trainer._load_cases()
    samples = trainer._draw(cases)
    trainer._draw = lambda cases: samples
    losses = [trainer._step(cases, 2e-3) for _ in range(8)]
    assert losses[-1] < 0.95 * losses[0]


def test_a_fold_that_leaves_nothing_to_train_on_is_said(starter_recipe, example_datalist, tmp_path):
    recipe = read_recipe(starter_recipe, datalist=str(example_datalist), fold=0)
    with pytest.raises(DataListError, match="fold 0"):
        Trainer(recipe, tmp_path).run()


def test_two_processes_train_together(starter_recipe, example_datalist, tmp_path):
    settings = [
        f"--set={item}"
        for item in ("steps=1", "patches_per_step=1", "fold=null", "average_decay=0", "window=[32,32,32]")
    ]
    command = [
        *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"),
        *("-m", "openvista", "train", str(starter_recipe), "--datalist", str(example_datalist)),
        *("-o", str(tmp_path / "run"), *settings),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("model")
    assert find_model(tmp_path / "run" / "model").card.name == "starter"
