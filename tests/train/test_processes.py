"""Several processes: they share the work of one, survive a death, and say it when they cannot meet."""

import csv
import os
import socket
import subprocess
import sys

import pytest
import tiny_training
import torch
from tiny_training import JOINT, tiny_recipe, write_recipe

from openvista.train.checkpoint import load_checkpoint
from openvista.train.loop import Trainer
from openvista.weights import find_model

RUN = JOINT | {"steps": 6, "save_every": 2, "patches_per_step": 1, "fold": 0, "average_decay": 0}


def losses(folder):
    with (folder / "train.csv").open(newline="") as file:
        return {int(row["step"]): float(row["loss"]) for row in csv.DictReader(file)}


def test_two_processes_are_one_with_twice_the_accumulation(tmp_path, tiny_list):
    """And a process that is killed on the way is started anew, and all go on from the last checkpoint."""
    folder = tmp_path / "two"
    command = [
        *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"),
        *("--max-restarts", "1", tiny_training.__file__, "train", str(write_recipe(tmp_path, tiny_list, **RUN))),
        *("-o", str(folder)),
    ]
    dies = {"DIE_AT": "3", "DIE_RANK": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=os.environ | dies, capture_output=True, text=True, timeout=300, check=False)
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
