"""What torchrun starts, and starts anew: processes that wait for each other, and go on with their own run only."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import tiny_training
import torch
from tiny_training import make_list, write_recipe
from torch import distributed

from openvista.train import distributed as ours
from openvista.train.distributed import PATIENCE, joined_ranks, this_launch
from openvista.weights import find_model


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


def test_processes_wait_for_hours(monkeypatch):
    store = distributed.HashStore()
    monkeypatch.setattr(distributed, "rendezvous", lambda _: iter([(store, 0, 1)]))
    monkeypatch.setenv("WORLD_SIZE", "2")
    before = store.timeout
    with joined_ranks("cpu"):
        group = distributed.distributed_c10d._get_default_group()
        assert group._get_backend(torch.device("cpu")).options._timeout == PATIENCE
        assert store.timeout == PATIENCE != before


def test_a_launch_is_one_torchrun(monkeypatch):
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    assert this_launch() is None
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    launches = []
    for parent in (os.getpid(), 1, os.getpid()):
        monkeypatch.setattr("os.getppid", lambda parent=parent: parent)
        launches.append(this_launch())
    assert launches[0] == launches[2] != launches[1]
    monkeypatch.setattr(ours, "_began", lambda _: "later")  # another process of the same number
    assert this_launch() not in launches
    assert this_launch().startswith(launches[0].rpartition(" ")[0])


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no /proc")
def test_when_a_process_began(tmp_path):
    odd_name = tmp_path / "a) b 1"
    odd_name.symlink_to("/bin/sleep")
    with subprocess.Popen([str(odd_name), "60"]) as child:
        began = [int(ours._began(process)) for process in (1, os.getpid(), child.pid)]
        child.kill()
    assert began == sorted(began)
    assert began[0] < began[2]
    assert ours._began(child.pid) == ""


def test_a_restart_does_not_go_on_with_another_run(tmp_path, tiny_list):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "last.pt").write_bytes(b"of another run")
    done = torchrun(1, "train", write_recipe(tmp_path, tiny_list), "-o", tmp_path / "run")
    assert done.returncode != 0
    assert done.stderr.count("holds a run already: go on with --resume") == 2
    assert [file.name for file in (tmp_path / "run").iterdir()] == ["last.pt"]


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
