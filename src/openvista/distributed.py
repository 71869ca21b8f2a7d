"""Several processes, one piece of work: which of how many this one is, as torchrun says, and how they agree."""

import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import distributed

from openvista.errors import DeviceError, InputError

Item = TypeVar("Item")

PATIENCE = timedelta(hours=6)
"""How long processes wait for each other: before a fine-tune the first one reads and checks every case alone."""


@dataclass(frozen=True)
class Ranks:
    """Which of how many processes this is.

    Attributes:
        rank: 0 is the one that saves and reports.
        count: number of processes.
        device: where this process computes.
        restarts: how often torchrun has started these processes anew after one of them died.
        launch: names the torchrun that started this process, see :func:`this_launch`; ``None`` without one.
        local_rank: this process among those of its machine; ``None`` without torchrun.
    """

    rank: int = 0
    count: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    restarts: int = 0
    launch: str | None = None
    local_rank: int | None = None

    @classmethod
    def from_environment(cls) -> "Ranks":
        """What torchrun says (``RANK``, ``WORLD_SIZE``, ...), on the CPU; alone without it. No group is joined.

        The methods that let processes agree need a group, see :func:`joined_ranks`; ``share`` does not.

        Raises:
            InputError: the numbers do not fit.
        """
        rank, count = os.environ.get("RANK", "0"), os.environ.get("WORLD_SIZE", "1")
        if not (rank.isdigit() and count.isdigit() and int(rank) < int(count)):
            raise InputError(f"RANK={rank} and WORLD_SIZE={count} do not fit: torchrun sets them; unset both otherwise")
        local_rank = os.environ.get("LOCAL_RANK")
        return cls(
            int(rank),
            int(count),
            restarts=int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")),
            launch=this_launch(),
            local_rank=None if local_rank is None else int(local_rank),
        )

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def share(self, items: Sequence[Item]) -> Sequence[Item]:
        """The items that are this process's: item i belongs to rank i % count."""
        return items[self.rank :: self.count]

    def own_device(self, device: str) -> str:
        """With several processes on a machine, each takes a GPU of its own, unless the user named a device."""
        if device != "auto" or self.local_rank is None or not torch.cuda.is_available():
            return device
        return f"cuda:{self.local_rank % torch.cuda.device_count()}"

    def barrier(self) -> None:
        """Wait until every process is here."""
        if self.count > 1:
            distributed.barrier()

    def any(self, here: bool) -> bool:
        """Whether it is so in any process."""
        return self._reduced(float(here), distributed.ReduceOp.MAX) > 0 if self.count > 1 else here

    def mean(self, number: float) -> float:
        """Mean over the processes."""
        return self._reduced(number, distributed.ReduceOp.SUM) / self.count if self.count > 1 else number

    def agree(self, number: float) -> float:
        """The first process's number, known to all (time differs between processes, decisions must not)."""
        if self.count == 1:
            return number
        shared = torch.tensor([number], dtype=torch.float64, device=self.device)
        distributed.broadcast(shared, src=0)
        return float(shared)

    def gathered(self, here: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """What every process says, in order of rank, known to all."""
        if self.count == 1:
            return [here]
        found: list[Any] = [None] * self.count
        distributed.all_gather_object(found, here)
        return found

    def _reduced(self, number: float, how: Any) -> float:
        shared = torch.tensor([number], dtype=torch.float64, device=self.device)
        distributed.all_reduce(shared, op=how)
        return float(shared)


@contextmanager
def joined_ranks(device: str = "auto") -> Iterator[Ranks]:
    """Join the group of processes that torchrun started, or be alone; leave it at the end.

    Args:
        device: "auto" (CUDA if there is one), "cpu" or "cuda"; each process of a machine takes a GPU of its own.

    Raises:
        DeviceError: there is no such device, or there are more processes than GPUs.
        InputError: the group's port is in use, nobody answers there, or the environment makes no sense.
    """
    ranks = Ranks.from_environment()
    ranks = replace(ranks, device=device_of_process(device, ranks.local_rank or 0))
    if ranks.count == 1:
        yield ranks
        return
    try:
        store, rank, count = next(distributed.rendezvous("env://"))
        if count == int(os.environ.get("LOCAL_WORLD_SIZE", "0")):
            # torchrun keeps its store over restarts; without a place of its own a new start finds dead addresses
            store = distributed.PrefixStore(f"openvista-{ranks.restarts}", store)
        store.set_timeout(PATIENCE)  # NCCL's processes meet here, at the first thing they do together
        backend = "nccl" if ranks.device.type == "cuda" else "gloo"
        distributed.init_process_group(backend, store=store, rank=rank, world_size=count, timeout=PATIENCE)
    except (distributed.DistError, RuntimeError, ValueError) as error:
        raise InputError(_no_group(error)) from None
    try:
        yield replace(ranks, rank=distributed.get_rank(), count=count)
    finally:
        distributed.destroy_process_group()


def this_launch() -> str | None:
    """What all processes have in common that one torchrun starts on this machine, before and after a restart.

    ``TORCHELASTIC_RUN_ID`` is not enough: it is "none" or the user's own word in many launches. So this is the process
    of torchrun itself, our parent: machine, number, and when it began, because numbers are used again.

    Returns:
        ``None`` where there is no torchrun.
    """
    run = os.environ.get("TORCHELASTIC_RUN_ID")
    return None if run is None else " ".join((run, socket.gethostname(), str(os.getppid()), _began(os.getppid())))


def _began(process: int) -> str:
    """When a process began, in ticks since the machine did; empty where the system has no ``/proc``."""
    try:
        status = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return ""
    return status.rpartition(")")[2].split()[19]  # field 22 of proc(5); the name before it may have spaces


def device_of_process(name: str, local_rank: int) -> torch.device:
    """Where a process computes, which from then on is torch's current GPU; the CPU for "auto" without CUDA.

    Args:
        name: as for :func:`joined_ranks`.
        local_rank: number of the process on this machine, from 0 on.

    Raises:
        DeviceError: there is no such device, or there are more processes than GPUs.
    """
    if name == "cpu" or (name == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if local_rank >= torch.cuda.device_count():
        raise DeviceError(
            f"process {local_rank} of this machine needs a GPU of its own, torch sees {torch.cuda.device_count()}: "
            "set device to cpu, or --nproc-per-node to the number of GPUs"
        )
    torch.cuda.set_device(local_rank)
    return torch.device("cuda", local_rank)


def _no_group(error: Exception) -> str:
    where = f"{os.environ.get('MASTER_ADDR', '?')}:{os.environ.get('MASTER_PORT', '?')}"
    reason = " ".join(str(error).split())
    if "EADDRINUSE" in reason or "address already in use" in reason:
        return f"port {where} is in use, perhaps by another training: choose another one with torchrun --master-port"
    return f"the processes cannot meet at {where}: {reason[:200]}; check torchrun's --master-addr and --master-port"
