"""``openvista finetune`` as a user meets it: a model that segments, skipped cases named, mistakes in one line."""

import json
import subprocess
import sys
import time
from dataclasses import replace

import nibabel as nib
import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from openvista.cli.main import app
from openvista.errors import (
    AnatomyError,
    DataListError,
    InputError,
    ModelError,
    OpenVistaError,
    OutputError,
    RecipeError,
)
from openvista.network import STARTER, build
from openvista.weights import ModelCard, find_model
from openvista.weights.store import save_model

NAMES = {"1": "brainstem", "7": "mandible"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory, example_ct, example_labels):
    """Three pieces of the example case around the mandible, the second of which is held out."""
    target = tmp_path_factory.mktemp("data")
    for number, first in enumerate((58, 61, 64)):
        for kind, file in (("ct", example_ct), ("seg", example_labels)):
            nib.save(nib.load(file).slicer[50:80, 30:58, first : first + 26], target / f"c{number}_{kind}.nii.gz")
    return target


def write_list(folder, target, numbers=(0, 1, 2), missing=(), **more):
    """A list of some of the pieces, with paths in full."""
    entries = [{"image": f"c{n}_ct.nii.gz", "label": f"c{n}_seg.nii.gz", "fold": 0 if n == 1 else 1} for n in numbers]
    entries += [{"image": f"{name}.nii.gz", "label": "c0_seg.nii.gz", "fold": 1} for name in missing]
    entries = [entry | {"annotated": [1, 7]} for entry in entries]
    every = {str(value): f"label {value}" for value in range(1, 8)} | NAMES
    target.write_text(json.dumps({"root": str(folder), "labels": every, "training": entries, **more}))
    return target


def run(*arguments):
    return CliRunner().invoke(app, ["finetune", *map(str, arguments)], env={"COLUMNS": "200"})


def openvista(*arguments):
    command = [sys.executable, "-m", "openvista", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)


def test_from_data_list_to_segmentation(folder, tmp_path):
    listed = write_list(folder, tmp_path / "list.json", missing=["lost"])
    command = [listed, "--map", "mandible=mandible", "--patch", "32,32,32", "--steps", "1", "--shots", "1", "-v"]
    done = openvista("finetune", *command, "-o", tmp_path / "jaw")
    assert done.returncode == 0, done.stderr
    assert "spacing (3.9, 3.9, 2.5) mm: the model's own" in done.stderr
    assert "openvista: patch (" not in done.stderr  # as asked for: nothing to explain
    assert "learnt from 1 of 2 scans, 1 held out, 1 skipped" in done.stdout
    assert "skipped lost.nii.gz: image" in done.stdout
    assert done.stdout.strip().endswith("model")
    assert find_model(tmp_path / "jaw" / "model").card.name == "jaw"
    scan = folder / "c2_ct.nii.gz"
    segmented = openvista("segment", scan, "--model", tmp_path / "jaw" / "model", "-o", tmp_path / "out.nii.gz")
    assert segmented.returncode == 0, segmented.stderr
    assert nib.load(tmp_path / "out.nii.gz").shape == nib.load(scan).shape
    assert json.loads((tmp_path / "out.json").read_text())["labels"] == {"137": "mandible"}


@pytest.mark.slow
def test_a_run_that_was_killed_goes_on_to_the_same_model(folder, tmp_path):
    """Killed once its first checkpoint is there; the weights are those of a run that nobody stopped."""
    listed = write_list(folder, tmp_path / "list.json")
    keys = ["save_every=1", "validate_every=100"]
    options = ["--map", "mandible=mandible", "--patch", "32,32,32", "--steps", "4", "--shots", "1", "-q"]
    options += ["--fold", "none"]
    options += [part for key in keys for part in ("--set", key)]
    command = ["finetune", listed, *options, "-o"]
    assert openvista(*command, tmp_path / "whole").returncode == 0
    killed = subprocess.Popen([sys.executable, "-m", "openvista", *map(str, command), tmp_path / "killed"])
    while not (tmp_path / "killed" / "last.pt").exists():
        assert killed.poll() is None, "it ended before it could be killed"
        time.sleep(0.02)
    killed.kill()
    killed.wait()
    refused = openvista(*command, tmp_path / "killed")
    assert refused.returncode == 2
    assert "--resume" in refused.stderr
    resumed = openvista(*command, tmp_path / "killed", "--resume")
    assert resumed.returncode == 0, resumed.stderr
    whole, gone_on = (load_file(tmp_path / name / "model" / "model.safetensors") for name in ("whole", "killed"))
    assert whole.keys() == gone_on.keys()
    assert all(torch.equal(whole[key], gone_on[key]) for key in whole)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (["--map", "mandibel=mandible"], DataListError, "nearest: 'mandible'"),
        (["--map", "mandible=mandibel"], AnatomyError, "'mandible'"),
        (["--map", "mandible=lung"], AnatomyError, "group"),
        (["--shots", 3], DataListError, "give 1 to 2"),
        (["--shots", 0], DataListError, "give 1 to 2"),
        (["--fold", 4], DataListError, "the list has folds"),
        (["--map", "label 3=spleen"], DataListError, "no foreground to learn from"),
        (["--model", "nowhere"], ModelError, "nowhere"),
        (["--spacing", "1,2"], InputError, "three numbers"),
        (["--spacing", "fine"], InputError, "'auto', 'keep' or three numbers"),
        (["--patch", "32,32,0"], InputError, "above 0"),
        (["--patch", "32,32,33"], RecipeError, "multiples of 16"),
        (["--set", "lerning_rate=1"], RecipeError, "nearest is 'learning_rate'"),
        (["--set", "preset=vista3d"], RecipeError, "preset cannot be set"),
        (["--set", "supervoxels=true"], RecipeError, "supervoxels cannot be True"),
        (["--set", "labels=manual+pseudo"], RecipeError, "use 'openvista train'"),
        (["--set", "pseudo_classes=[3]"], RecipeError, "pseudo_classes cannot be (3,)"),
        (["--set", "stage=stage3", "--set", "trained=[automatic]"], RecipeError, "labels cannot be 'manual+pseudo'"),
        (["--set", "device=tpu"], RecipeError, "set one of auto, cpu, cuda"),
        (["--minutes", -1], RecipeError, "minutes"),
        (["--from-scratch", "--set", "start_share=0.5"], RecipeError, "start_from names no model"),
        (["--keep-classes", "--set", "start_share=0.5"], RecipeError, "the other classes are forgotten"),
        (["--branches", "none"], RecipeError, "automatic, point, both"),
    ],
)
def test_mistakes_are_one_line(folder, tmp_path, arguments, error, words):
    listed = write_list(folder, tmp_path / "list.json")
    mapping = [] if "--map" in arguments else ["--map", "mandible=mandible"]
    caught = run(listed, *mapping, *arguments, "--steps", 1, "-o", tmp_path / "run").exception
    assert isinstance(caught, error), caught
    assert caught.exit_code == 2
    assert words in str(caught)
    assert "\n" not in str(caught)
    assert not (tmp_path / "run" / "model").exists()


@pytest.mark.parametrize(("settings", "device"), [([], "auto"), (["--set", "device=cpu"], "cpu")])
def test_the_device_of_the_settings_is_the_one(folder, tmp_path, monkeypatch, settings, device):
    asked = []
    monkeypatch.setattr("openvista.distributed.joined_ranks", asked.append)  # no context: it ends here
    run(write_list(folder, tmp_path / "list.json"), *settings, "-o", tmp_path / "run")
    assert asked == [device]


def test_lists_that_cannot_be_learnt_from(folder, tmp_path):
    def refused(listed):
        caught = run(listed, "--map", "7=mandible", "--steps", 1, "-o", tmp_path / "run").exception
        assert isinstance(caught, DataListError), caught
        assert "\n" not in str(caught)
        return str(caught)

    assert "does not exist" in refused(tmp_path / "none.json")
    assert "nothing is left to learn from" in refused(write_list(folder, tmp_path / "one.json", numbers=[1]))
    lost = write_list(folder, tmp_path / "lost.json", numbers=(), missing=["a", "b"])
    assert "none of 2 training cases can be used; first: image" in refused(lost)
    (tmp_path / "empty.json").write_text('{"training": []}')
    assert "no labelled case" in refused(tmp_path / "empty.json")


def test_a_checkpoint_of_another_size_or_kind(folder, tmp_path):
    listed = write_list(folder, tmp_path / "list.json")
    preset = replace(STARTER, filters=8)
    save_model(build(preset), ModelCard.from_preset(preset, name="tiny", classes=(3,)), tmp_path / "tiny")
    (tmp_path / "model.pt").write_bytes(b"weights")
    for model, words in ((tmp_path / "tiny", "8 filters"), (tmp_path / "model.pt", "model.pt")):
        caught = run(listed, "--map", "7=mandible", "--model", model, "-o", tmp_path / "run").exception
        assert isinstance(caught, OpenVistaError)
        assert words in str(caught)


def test_a_folder_in_use_and_exit_code(folder, tmp_path):
    listed = write_list(folder, tmp_path / "list.json")
    assert isinstance(run(listed, "--map", "7=mandible", "-o", tmp_path).exception, OutputError)
    done = openvista("finetune", listed, "--map", "7=mandibel", "-o", tmp_path / "run")
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert "nearest" in done.stderr


def test_a_plan_of_another_framework_and_what_wins_over_it(folder, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr("openvista.cli.finetune._run", lambda request, *_: asked.append(request))
    (tmp_path / "nnUNetPlans.json").write_text(
        '{"configurations": {"3d_fullres": {"spacing": [5, 0.8, 0.7], "patch_size": [32, 64, 48]}}}'
    )
    listed = write_list(folder, tmp_path / "list.json")
    for more in ([], ["--patch", "32,32,32"]):
        assert run(listed, "--plan-from", tmp_path, *more).exit_code == 0
    assert [one.spacing for one in asked] == [(0.7, 0.8, 5.0)] * 2
    assert [one.patch for one in asked] == [(48, 64, 32), (32, 32, 32)]
