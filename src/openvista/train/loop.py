"""The training loop: recipe in, model folder out."""

import csv
import json
import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from openvista.datalist import Case, read_datalist
from openvista.errors import DataListError, OpenVistaError
from openvista.model import PRESETS, Vista3D, build
from openvista.train.augment import draw_patch
from openvista.train.cases import TrainingCase, load_case
from openvista.train.distributed import Ranks
from openvista.train.objective import ClassPromptObjective, PromptedPatch, prompt_patch
from openvista.train.recipe import Recipe
from openvista.train.validate import validate
from openvista.weights import find_model
from openvista.weights.store import load_network

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class StepReport:
    """What the caller hears after each step.

    Attributes:
        step: steps done.
        fraction: share of the run that is over, 0..1 (by steps or by minutes, whichever is nearer its end).
        loss: of this step, in this process.
        learning_rate: of this step.
    """

    step: int
    fraction: float
    loss: float
    learning_rate: float


class Trainer:
    """One training run, or this process's part of it.

    Args:
        recipe: everything that decides the run.
        folder: run folder; checkpoints, log and the resolved recipe are written here by the first process.
        ranks: which of how many processes this is.
        report: called after each step.
    """

    def __init__(
        self,
        recipe: Recipe,
        folder: Path,
        ranks: Ranks | None = None,
        report: Callable[[StepReport], None] | None = None,
    ) -> None:
        self.recipe = recipe
        self.folder = folder
        self.ranks = ranks or Ranks()
        self.report = report or (lambda _: None)
        self.preset = PRESETS[recipe.preset]
        self.random = torch.Generator().manual_seed(recipe.seed * 1000 + self.ranks.rank)
        self.network = build(self.preset, recipe.seed)
        if recipe.start_from is not None:
            self.network.load_state_dict(load_network(find_model(recipe.start_from)).state_dict())
        self.network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
        self.average = AveragedModel(self.network, multi_avg_fn=get_ema_multi_avg_fn(recipe.average_decay))
        self.objective = self.ranks.wrap(ClassPromptObjective(self.network, getattr(torch, recipe.precision)))
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
        )
        self.mirrored = recipe.mirrored_labels
        self.step = 0
        self.best = -1.0

    def run(self) -> Vista3D:
        """Train to the end and return the averaged network of the best validation (the last one without a fold)."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.ranks.is_first:
            (self.folder / "recipe.json").write_text(self.recipe.model_dump_json(indent=2))
        training, validation = self._load_cases()
        logger.info("%d cases to train on, %d to validate", len(training), len(validation))
        self.ranks.barrier()
        started = time.monotonic()
        fraction = 0.0
        while fraction < 1:
            fraction = self.ranks.agree(self._fraction_done(started))
            learning_rate = self._learning_rate(fraction)
            loss = self._step(training, learning_rate)
            self.report(StepReport(self.step, fraction, loss, learning_rate))
            if self.step % self.recipe.validate_every == 0 or fraction >= 1:
                if self.ranks.is_first:
                    self._validate_and_save(validation, time.monotonic() - started, loss)
                self.ranks.barrier()
        return self._best_network()

    def _load_cases(self) -> tuple[list[TrainingCase], list[TrainingCase]]:
        values = frozenset(self.recipe.classes)
        limited = self.recipe.range_limited_labels

        def load(cases: tuple[Case, ...]) -> list[TrainingCase]:
            loaded = (load_case(case, self.preset, values, limited) for case in cases)
            return [case for case in loaded if case.annotated]

        training, validation = read_datalist(self.recipe.datalist).split(self.recipe.fold)
        loaded = load(training)
        if not loaded:
            raise DataListError(
                f"{self.recipe.datalist}: no case outside fold {self.recipe.fold} has a structure of the recipe; "
                "set fold to null to train on every case"
            )
        return loaded, load(validation) if self.ranks.is_first else []

    def _fraction_done(self, started: float) -> float:
        by_steps = (self.step + 1) / self.recipe.steps
        if self.recipe.minutes is None:
            return by_steps
        return max(by_steps, (time.monotonic() - started) / 60 / self.recipe.minutes)

    def _learning_rate(self, fraction: float) -> float:
        warm = min(1.0, (self.step + 1) / max(self.recipe.warmup_steps, 1))
        return self.recipe.learning_rate * warm * 0.5 * (1 + math.cos(math.pi * min(fraction, 1)))

    def _step(self, cases: list[TrainingCase], learning_rate: float) -> float:
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate
        chosen = [cases[self._draw(len(cases))] for _ in range(self.recipe.patches_per_step)]
        loss = self.objective([self._prompted_patch(case) for case in chosen])
        if not torch.isfinite(loss):
            names = ", ".join(case.name for case in chosen)
            raise OpenVistaError(f"the loss became {loss.item()} at step {self.step} on {names}")
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.gradient_clip)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self.average.update_parameters(self.network)
        self.step += 1
        return float(loss.detach())

    def _draw(self, count: int) -> int:
        return int(torch.randint(count, (1,), generator=self.random))

    def _prompted_patch(self, case: TrainingCase) -> PromptedPatch:
        recipe = self.recipe
        patch = draw_patch(case, self.preset.window, recipe.augmentation, self.mirrored, self.random)
        return prompt_patch(patch, recipe.classes, recipe.most_present, recipe.most_absent, self.random)

    def _validate_and_save(self, cases: list[TrainingCase], seconds: float, loss: float) -> None:
        network: Vista3D = self.average.module  # type: ignore[assignment]
        dice = validate(network, cases, self.recipe.classes)
        mean = sum(dice.values()) / max(len(dice), 1)
        if cases:
            logger.info("step %d: validation Dice %.4f %s", self.step, mean, {k: round(v, 3) for k, v in dice.items()})
        self._log_row([self.step, round(seconds), loss, mean, *dice.values()], list(dice))
        self._save_checkpoint(network, "last", dice)
        if mean >= self.best or not cases:
            self.best = mean
            self._save_checkpoint(network, "best", dice)

    def _log_row(self, row: list[float], class_ids: list[int]) -> None:
        path = self.folder / "validation.csv"
        new = not path.exists()
        with path.open("a", newline="") as file:
            writer = csv.writer(file)
            if new:
                writer.writerow(["step", "seconds", "loss", "mean_dice", *class_ids])
            writer.writerow(row)

    def _save_checkpoint(self, network: Vista3D, name: str, dice: dict[int, float]) -> None:
        temporary = self.folder / f"{name}.pt.part"
        torch.save({"model": network.state_dict(), "step": self.step}, temporary)
        temporary.replace(self.folder / f"{name}.pt")
        (self.folder / f"{name}.json").write_text(json.dumps({"step": self.step, "validation_dice": dice}, indent=2))

    def _best_network(self) -> Vista3D:
        state = torch.load(self.folder / "best.pt", weights_only=True)["model"]
        network = build(self.preset)
        network.load_state_dict(state)
        return network.eval()
