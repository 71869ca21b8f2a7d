"""Processes that torchrun starts: what they know of each other, and how long they wait."""

import os
import subprocess
from pathlib import Path

import pytest
import torch
from torch import distributed

from openvista import distributed as ours
from openvista.distributed import PATIENCE, Ranks, joined_ranks, this_launch
from openvista.errors import InputError


@pytest.mark.parametrize(("rank", "count"), [("2", "2"), ("x", "2"), ("0", "-1")])
def test_an_environment_that_does_not_fit_is_refused(monkeypatch, rank, count):
    monkeypatch.setenv("RANK", rank)
    monkeypatch.setenv("WORLD_SIZE", count)
    with pytest.raises(InputError, match="RANK"):
        Ranks.from_environment()


def test_every_item_belongs_to_one_process(monkeypatch):
    items = list("abcdefgh")
    shares = [Ranks(rank, 3).share(items) for rank in range(3)]
    assert shares[1] == ["b", "e", "h"]
    assert sorted(item for share in shares for item in share) == items
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "TORCHELASTIC_RUN_ID", "TORCHELASTIC_RESTART_COUNT"):
        monkeypatch.delenv(name, raising=False)
    assert Ranks.from_environment() == Ranks()
    for name, value in {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "TORCHELASTIC_RESTART_COUNT": "2"}.items():
        monkeypatch.setenv(name, value)
    assert Ranks.from_environment() == Ranks(3, 4, restarts=2, local_rank=1)


def test_each_process_of_a_machine_takes_a_gpu_of_its_own(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    chosen = [Ranks(rank, 4, local_rank=rank).own_device("auto") for rank in range(3)]
    assert chosen == ["cuda:0", "cuda:1", "cuda:0"]
    assert Ranks(1, 4, local_rank=1).own_device("cpu") == "cpu"
    assert Ranks().own_device("auto") == "auto"


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
