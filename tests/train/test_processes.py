"""Several processes share the work of one, survive a death, and go on with their own run only."""

import csv
import json
import os
import socket
import subprocess
import sys

import pytest
import tiny_training
import torch
from tiny_training import JOINT, make_list, tiny_recipe, write_recipe

from openvista.train.checkpoint import load_checkpoint
from openvista.train.loop import Trainer
from openvista.weights import find_model

RUN = JOINT | {"steps": 6, "save_every": 2, "patches_per_step": 1, "fold": 0, "average_decay": 0}


def torchrun(processes, *command, **environment):
    """Two attempts of the tiny ``openvista``."""
    start = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--max-restarts", "1")
    return subprocess.run(
        [*start, "--nproc-per-node", str(processes), tiny_training.__file__, *map(str, command)],
        env=os.environ | {"OMP_NUM_THREADS": "1"} | environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def losses(folder):
    with (folder / "train.csv").open(newline="") as file:
        return {int(row["step"]): float(row["loss"]) for row in csv.DictReader(file)}


@pytest.mark.slow
def test_two_processes_are_one_with_twice_the_accumulation(tmp_path, tiny_list):
    """And a process that is killed on the way is started anew, and all go on from the last checkpoint."""
    folder = tmp_path / "two"
    recipe = write_recipe(tmp_path, tiny_list, **RUN)
    done = torchrun(2, "train", recipe, "-o", folder, DIE_AT="3", DIE_RANK="1")
    assert done.returncode == 0, done.stderr
    assert "exitcode: -9" in done.stderr
    assert "going on from step 2" in (folder / "log.txt").read_text()
    assert find_model(folder / "model").card.name == "tiny"

    Trainer(tiny_recipe(tiny_list, **RUN | {"accumulate": 2}), tmp_path / "one").run()
    assert losses(folder) == pytest.approx(losses(tmp_path / "one"), rel=1e-4)
    one, two = (load_checkpoint(path / "last.pt", torch.device("cpu")) for path in (tmp_path / "one", folder))
    for key, expected in one["model"].items():
        assert torch.allclose(two["model"][key], expected, atol=1e-4), key


def test_a_busy_port_is_said(tmp_path, tiny_list):
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        where = {"MASTER_ADDR": "localhost", "MASTER_PORT": str(taken.getsockname()[1])}
        command = [sys.executable, tiny_training.__file__, "train", str(write_recipe(tmp_path, tiny_list, **RUN))]
        done = subprocess.run(
            [*command, "-o", str(tmp_path / "run")],
            env=os.environ | where | {"RANK": "0", "WORLD_SIZE": "2"},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert done.returncode == 2
    assert "is in use" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_restart_does_not_go_on_with_another_run(tmp_path, tiny_list):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "last.pt").write_bytes(b"of another run")
    done = torchrun(1, "train", write_recipe(tmp_path, tiny_list), "-o", tmp_path / "run")
    assert done.returncode != 0
    assert done.stderr.count("holds a run already: go on with --resume") == 2
    assert [file.name for file in (tmp_path / "run").iterdir()] == ["last.pt"]


@pytest.mark.slow
def test_a_fine_tune_goes_on_after_a_death(tmp_path):
    listed = make_list(tmp_path)
    content = json.loads(listed.read_text())
    content["training"].append({"image": "lost.nii.gz", "label": "lost.nii.gz", "fold": 1})
    listed.write_text(json.dumps(content))
    command = ["finetune", listed, "--map", "1=mandible", "--map", "2=new", "--patch", "32,32,32", "--steps", 4]
    settings = ["--branches", "automatic", "--set", "save_every=1", "-v", "-o", tmp_path / "run"]
    done = torchrun(2, *command, *settings, DIE_AT="2", DIE_RANK="1")
    assert done.returncode == 0, done.stderr
    assert "exitcode: -9" in done.stderr
    assert done.stderr.count("learning from 2 of 2 cases") == 1, "planned once"
    assert "going on from step 2" in (tmp_path / "run" / "log.txt").read_text()
    assert "the recipe has changed" not in done.stderr
    assert "learnt from 2 of 2 scans, 1 held out, 1 skipped" in done.stdout
    assert "skipped lost.nii.gz: image" in done.stdout
    assert "dim ball: Dice" in done.stdout
    card = find_model(tmp_path / "run" / "model").card
    assert [card.provenance[key] for key in ("shots", "shots_of", "held_out", "base_model")] == [2, 2, 1, "starter"]
