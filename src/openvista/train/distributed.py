"""Several processes, one training: what torchrun sets up, in one small place."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel


@dataclass(frozen=True)
class Ranks:
    """Which of how many processes this is.

    Attributes:
        rank: 0 is the one that validates, saves and reports.
        count: number of processes.
    """

    rank: int = 0
    count: int = 1

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def wrap(self, objective: nn.Module, may_skip: bool) -> nn.Module:
        """Make the gradients of all processes the same mean; alone, nothing to do.

        Args:
            objective: what is minimised.
            may_skip: some parameters may be without effect in some steps. To notice costs a walk through the graph.
        """
        if self.count == 1:
            return objective
        # 1³ convolutions have the same order in memory in both layouts, torch only believes it has not
        warnings.filterwarnings("ignore", message="Grad strides do not match bucket view strides")
        return DistributedDataParallel(objective, find_unused_parameters=may_skip)

    def barrier(self) -> None:
        """Wait until every process is here."""
        if self.count > 1:
            distributed.barrier()

    def any(self, here: bool) -> bool:
        """Whether it is so in any process."""
        if self.count == 1:
            return here
        shared = torch.tensor([float(here)])
        distributed.all_reduce(shared, op=distributed.ReduceOp.MAX)
        return bool(shared > 0)

    def agree(self, number: float) -> float:
        """The first process's number, known to all (time differs between processes, decisions must not)."""
        if self.count == 1:
            return number
        shared = torch.tensor([number], dtype=torch.float64)
        distributed.broadcast(shared, src=0)
        return float(shared)


@contextmanager
def joined_ranks() -> Iterator[Ranks]:
    """Join the group torchrun started (``RANK``, ``WORLD_SIZE``), or be alone; leave it at the end."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield Ranks()
        return
    distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield Ranks(distributed.get_rank(), count)
    finally:
        distributed.destroy_process_group()
