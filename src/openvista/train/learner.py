"""One optimiser step after the other: forward, backward, clip, update; and the learning rate of each.

A loss or gradient that is not finite stops the run before the weights change.
"""

import logging
import math
import time
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from openvista.distributed import Ranks
from openvista.errors import OpenVistaError
from openvista.network import Vista3D
from openvista.train.muon import Muon
from openvista.train.objective import Objective, PassResult
from openvista.train.recipe import Recipe
from openvista.train.samples import Sample

logger = logging.getLogger(__name__)


_LEAST_SCALE = 1.0
"""Of float16 losses: it begins at 65536 and halves with every overflow, so 17 in a row are no mere overflows."""


@dataclass(frozen=True)
class StepResult:
    """What a step did.

    Attributes:
        loss: mean over its samples, rounds and processes.
        gradient: norm of the gradient before clipping, of the last round.
    """

    loss: float
    gradient: float


class Learner:
    """Network, optimiser and averaged weights of a run.

    Args:
        network: on its device; what is frozen stays as it is.
        recipe: the constants.
        ranks: which of how many processes this is.
    """

    def __init__(self, network: Vista3D, recipe: Recipe, ranks: Ranks) -> None:
        self.network = network
        self.recipe = recipe
        self.ranks = ranks
        self.parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
        optimiser = {"adamw": torch.optim.AdamW, "muon": Muon}[recipe.optimiser]
        self.optimiser = optimiser(self.parameters, lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
        self.scaler = torch.amp.GradScaler(ranks.device.type, enabled=recipe.precision == "float16")
        self.average: AveragedModel | None = None
        if recipe.average_decay > 0:
            self.average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(recipe.average_decay))
        self.objective = _with_shared_gradients(Objective(network, recipe), ranks, may_skip="point" in recipe.trained)

    @property
    def result(self) -> Vista3D:
        """The network to validate and keep: the averaged one, if there is one."""
        return self.network if self.average is None else self.average.module  # type: ignore[return-value]

    def step(self, groups: list[list[Sample]], learning_rate: float, number: int) -> StepResult:
        """Learn from samples, round after round of clicks.

        Args:
            groups: samples that go through the network together; the groups' gradients are averaged.
            learning_rate: of this step.
            number: of the step, for messages.

        Raises:
            OpenVistaError: loss or gradient is not a number; the weights are those before this step.
        """
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate
        pyramids: list[list[Tensor] | None] = [None] * len(groups)
        losses, gradient = [], 0.0
        for index in range(self.recipe.rounds + 1 if self.recipe.step_every_round else 1):
            if index > 0 and not self.ranks.any(any(sample.clicks is not None for group in groups for sample in group)):
                break
            passes = [self._learn(group, groups, kept, number) for group, kept in zip(groups, pyramids, strict=True)]
            losses.append(torch.stack([one.loss.detach() for one in passes]).mean())
            gradient = self._update(groups, number)
            if "encoder" not in self.recipe.trained:
                pyramids = [one.pyramid for one in passes]
            groups = [_next_round(group, one) for group, one in zip(groups, passes, strict=True)]
        if self.average is not None:
            self.average.update_parameters(self.network)
        return StepResult(self.ranks.mean(float(torch.stack(losses).mean())), gradient)

    def _learn(
        self, group: list[Sample], groups: list[list[Sample]], pyramid: list[Tensor] | None, number: int
    ) -> PassResult:
        """Add a group's gradient; processes exchange theirs with the last group."""
        exchange: AbstractContextManager[Any] = nullcontext()
        if group is not groups[-1] and self.ranks.count > 1:
            exchange = self.objective.no_sync()  # type: ignore[operator]
        with exchange:
            result: PassResult = self.objective(group, pyramid)
            if not torch.isfinite(result.loss):
                raise OpenVistaError(f"the loss became {result.loss.item()} at step {number} on {_names([group])}")
            self.scaler.scale(result.loss / len(groups)).backward()
        return result

    def _update(self, groups: list[list[Sample]], number: int) -> float:
        """One optimiser step; returns the gradient's norm."""
        self.scaler.unscale_(self.optimiser)
        norm = float(nn.utils.clip_grad_norm_(self.parameters, self.recipe.gradient_clip))
        # float16 overflows now and then: the scaler leaves such a step out and scales less from then on
        if not self.scaler.is_enabled() and not torch.isfinite(torch.tensor(norm)):
            raise OpenVistaError(f"the gradient became {norm} at step {number} on {_names(groups)}")
        self.scaler.step(self.optimiser)
        self.scaler.update()
        if self.scaler.is_enabled() and self.scaler.get_scale() < _LEAST_SCALE:
            raise OpenVistaError(
                f"the gradient became {norm} again and again, last at step {number} on {_names(groups)}"
            )
        self.optimiser.zero_grad(set_to_none=True)
        return norm

    def state(self) -> dict[str, Any]:
        """Everything a later process needs to go on as this one would."""
        return {
            "model": self.network.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "scaler": self.scaler.state_dict(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from another process's :meth:`state`.

        Raises:
            RuntimeError, ValueError: it belongs to another network or other trained parts.
        """
        self.network.load_state_dict(state["model"])
        if self.average is not None and state["average"] is not None:
            self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        if state["scaler"]:  # empty where the earlier part of the run needed no scaler
            self.scaler.load_state_dict(state["scaler"])


class Schedule:
    """Steps and minutes of a run, whichever ends first.

    Args:
        recipe: gives the learning rate and its course, and the minutes.
        steps: of the whole run.
        elapsed: seconds that earlier parts of the run took.
        clock: seconds that never go back.
    """

    def __init__(
        self, recipe: Recipe, steps: int, elapsed: float = 0.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.recipe = recipe
        self.steps = steps
        self._clock = clock
        self._started = clock() - elapsed

    @property
    def elapsed(self) -> float:
        """Seconds of training so far, those before a break included."""
        return self._clock() - self._started

    @property
    def time_over(self) -> float:
        """Share of the minutes that is over, 1 or more when time is up; 0 where the recipe has none."""
        return 0.0 if self.recipe.minutes is None else self.elapsed / 60 / self.recipe.minutes

    def fraction(self, step: int, time_over: float) -> float:
        """Share of the run that is over once this step (from 0) is done; 1 or more for the last one."""
        return max((step + 1) / self.steps, time_over)

    def learning_rate(self, step: int, time_over: float) -> float:
        """Of this step (from 0): rises along the warm-up, then stays or falls towards zero along a cosine.

        How far it has fallen depends on the steps before this one, so that the last one still learns, or on the clock.
        """
        warm = min(1.0, (step + 1) / max(self.recipe.warmup_steps, 1))
        over = min(max(step / self.steps, time_over), 1.0)
        falls = 0.5 * (1 + math.cos(math.pi * over)) if self.recipe.schedule == "cosine" else 1.0
        return self.recipe.learning_rate * warm * falls


def _with_shared_gradients(objective: nn.Module, ranks: Ranks, may_skip: bool) -> nn.Module:
    """The objective, wrapped so that all processes get the mean gradient; unchanged where there is only one.

    ``may_skip`` allows for parameters without effect in a step; finding them costs a walk through the graph.
    """
    if ranks.count == 1:
        return objective
    # 1³ kernels have the same order in memory in both layouts; torch only believes that they differ
    warnings.filterwarnings("ignore", message="Grad strides do not match bucket view strides")
    return DistributedDataParallel(objective, find_unused_parameters=may_skip)


def _next_round(group: list[Sample], result: PassResult) -> list[Sample]:
    """The same patches with the clicks that the answers call for; classes are asked once."""
    return [replace(sample, classes=None, clicks=more) for sample, more in zip(group, result.later, strict=True)]


def _names(groups: list[list[Sample]]) -> str:
    return ", ".join(sample.case for group in groups for sample in group)
