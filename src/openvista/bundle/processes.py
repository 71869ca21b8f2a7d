"""Several processes of torchrun: which device each takes, and how they meet, on GPUs and without."""

import os
from collections.abc import Iterator, Sized
from pathlib import Path

import torch
from torch import distributed
from torch.utils.data import Sampler

from openvista.distributed import PATIENCE, Ranks, device_of_process


def local_device() -> torch.device:
    """The GPU of this process; the CPU where torch sees none.

    Raises:
        DeviceError: there are more processes than GPUs.
    """
    return device_of_process("auto", Ranks.from_environment().local_rank or 0)


class RankSampler(Sampler[int]):
    """Item i is for process i % count; a process may have none, as MONAI's DistributedSampler does not allow.

    Args:
        dataset: whatever has a length.
    """

    def __init__(self, dataset: Sized) -> None:
        ranks = Ranks.from_environment()
        self.indices = ranks.share(range(len(dataset)))

    def __iter__(self) -> Iterator[int]:
        return iter(self.indices)

    def __len__(self) -> int:
        return len(self.indices)


def join(device: torch.device | str) -> None:
    """Meet the other processes, once; alone where torchrun started none. NCCL between GPUs, else gloo."""
    if distributed.is_initialized() or "RANK" not in os.environ:
        return
    where = torch.device(device)
    if where.type == "cuda":
        torch.cuda.set_device(where)
    distributed.init_process_group("nccl" if where.type == "cuda" else "gloo", timeout=PATIENCE)


def leave() -> None:
    """Leave the others, if there are any."""
    if distributed.is_initialized():
        distributed.destroy_process_group()


def ranks_of(device: torch.device | str) -> Ranks:
    """Which of how many processes this is, whoever made the group."""
    if not distributed.is_initialized():
        return Ranks(device=torch.device(device))
    local = os.environ.get("LOCAL_RANK")
    return Ranks(
        distributed.get_rank(),
        distributed.get_world_size(),
        torch.device(device),
        local_rank=None if local is None else int(local),
    )


def numbered_folder(parent: Path, name: str, ranks: Ranks) -> Path:
    """``<parent>/<name>-1``, or the next number that is free; the same in all processes."""
    number = 1
    while (parent / f"{name}-{number}").exists():
        number += 1
    return parent / f"{name}-{int(ranks.agree(number))}"
