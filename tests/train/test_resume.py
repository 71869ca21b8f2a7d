"""Kill a run in the middle, resume it, and get the losses of a run that was never stopped."""

import csv
import os
import signal
import subprocess
import sys

import pytest
import tiny_training
import torch
from tiny_training import JOINT, tiny_recipe, write_recipe

from openvista.errors import RecipeError
from openvista.train.checkpoint import load_checkpoint
from openvista.train.loop import Trainer

RUN = JOINT | {"steps": 8, "save_every": 2, "validate_every": 4, "warmup_steps": 2}


def losses(folder):
    with (folder / "train.csv").open(newline="") as file:
        return {int(row["step"]): float(row["loss"]) for row in csv.DictReader(file)}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory, tiny_list):
    folder = tmp_path_factory.mktemp("whole")
    Trainer(tiny_recipe(tiny_list, **RUN), folder).run()
    return folder


def test_a_killed_run_goes_on_as_if_nothing_had_happened(uninterrupted, tmp_path, tiny_list):
    folder = tmp_path / "run"
    recipe = write_recipe(tmp_path, tiny_list, **RUN)
    command = [sys.executable, tiny_training.__file__, "train", str(recipe), "-o", str(folder)]
    done = subprocess.run(command, env=os.environ | {"DIE_AT": "5"}, capture_output=True, check=False, timeout=200)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert load_checkpoint(folder / "last.pt", torch.device("cpu"))["step"] == 4
    assert set(losses(folder)) == {1, 2, 3, 4, 5}
    with pytest.raises(RecipeError, match=r"holds a run already: go on with --resume, or choose another folder"):
        Trainer(tiny_recipe(tiny_list, **RUN), folder)
    Trainer(tiny_recipe(tiny_list, **RUN), folder, resume=True).run()
    assert losses(folder) == pytest.approx(losses(uninterrupted), rel=1e-5)
    one, other = (load_checkpoint(path / "last.pt", torch.device("cpu")) for path in (folder, uninterrupted))
    for key, expected in other["model"].items():
        assert torch.allclose(one["model"][key], expected, atol=1e-5), key


def test_a_checkpoint_of_another_network_is_refused(uninterrupted, tmp_path, tiny_list):
    other = {key: value for key, value in RUN.items() if key != "stage"}
    with pytest.raises(RecipeError, match="another network or other trained parts"):
        Trainer(tiny_recipe(tiny_list, **other | {"rounds": 1, "most_objects": 4}), uninterrupted, resume=True)


def test_a_checkpoint_of_another_optimiser_is_refused(uninterrupted, tiny_list):
    with pytest.raises(RecipeError, match="of optimiser 'adamw', not 'muon'"):
        Trainer(tiny_recipe(tiny_list, **RUN | {"optimiser": "muon"}), uninterrupted, resume=True)


def test_a_finished_run_stays_finished(uninterrupted, tiny_list):
    steps = []
    Trainer(tiny_recipe(tiny_list, **RUN), uninterrupted, progress=steps.append, resume=True).run()
    assert steps == []


def test_a_changed_recipe_is_said(uninterrupted, tiny_list, caplog):
    Trainer(tiny_recipe(tiny_list, **RUN | {"steps": 7}), uninterrupted, resume=True).run()
    assert "the recipe has changed since the checkpoint: steps" in caplog.text


def test_patience_ends_a_run_that_gets_no_better(tmp_path, tiny_list):
    recipe = tiny_recipe(tiny_list, steps=50, validate_every=1, patience=2, learning_rate=1e-9)
    trainer = Trainer(recipe, tmp_path)
    trainer.run()
    assert 3 <= trainer.step < 50
