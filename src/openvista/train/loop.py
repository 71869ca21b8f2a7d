"""The training loop: recipe in, model folder out."""

import csv
import json
import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from openvista.datalist import Case, read_datalist
from openvista.errors import DataListError, OpenVistaError
from openvista.model import Vista3D, build
from openvista.train.cases import TrainingCase, load_case
from openvista.train.distributed import Ranks
from openvista.train.objective import Answer, Objective
from openvista.train.parts import starting_network
from openvista.train.recipe import Recipe
from openvista.train.samples import Sample, draw_sample
from openvista.train.validate import validate
from openvista.train.validate_clicks import validate_clicks

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
        self.network = starting_network(recipe)
        self.preset = self.network.preset
        self.network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
        self.average = AveragedModel(self.network, multi_avg_fn=get_ema_multi_avg_fn(recipe.average_decay))
        self.objective = self.ranks.wrap(Objective(self.network, recipe), may_skip="point" in recipe.trained)
        self.parameters = [parameter for parameter in self.network.parameters() if parameter.requires_grad]
        self.optimiser = torch.optim.AdamW(self.parameters, lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
        self.step = 0
        self.steps = 0
        self.best = -1.0

    def run(self) -> Vista3D:
        """Train to the end and return the averaged network of the best validation (the last one without a fold)."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.ranks.is_first:
            (self.folder / "recipe.json").write_text(self.recipe.model_dump_json(indent=2))
        training, validation = self._load_cases()
        self.steps = self.recipe.steps_for(len(training), self.ranks.count)
        logger.info("%d cases to train on, %d to validate, %d steps", len(training), len(validation), self.steps)
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
        by_steps = (self.step + 1) / self.steps
        if self.recipe.minutes is None:
            return by_steps
        return max(by_steps, (time.monotonic() - started) / 60 / self.recipe.minutes)

    def _learning_rate(self, fraction: float) -> float:
        warm = min(1.0, (self.step + 1) / max(self.recipe.warmup_steps, 1))
        falls = 0.5 * (1 + math.cos(math.pi * min(fraction, 1))) if self.recipe.schedule == "cosine" else 1.0
        return self.recipe.learning_rate * warm * falls

    def _step(self, cases: list[TrainingCase], learning_rate: float) -> float:
        """Draw patches and learn from them, round after round of clicks."""
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate
        samples = self._draw(cases)
        losses = []
        pyramid = None
        rounds = self.recipe.rounds if self.recipe.step_every_round else 0
        for _ in range(rounds + 1):
            answer = self._learn(samples, pyramid)
            losses.append(float(answer.loss.detach()))
            pyramid = None if "encoder" in self.recipe.trained else answer.pyramid
            samples = [replace(one, classes=None, clicks=more) for one, more in zip(samples, answer.later, strict=True)]
            if not self.ranks.any(any(sample.clicks for sample in samples)):
                break
        self.average.update_parameters(self.network)
        self.step += 1
        return sum(losses) / len(losses)

    def _draw(self, cases: list[TrainingCase]) -> list[Sample]:
        count = self.recipe.patches_per_step
        first = self.ranks.rank * count
        return [draw_sample(cases, self.recipe, self.step, index) for index in range(first, first + count)]

    def _learn(self, samples: list[Sample], pyramid: list[Tensor] | None) -> Answer:
        """One optimiser step."""
        answer: Answer = self.objective(samples, pyramid)
        if not torch.isfinite(answer.loss):
            names = ", ".join(sample.case for sample in samples)
            raise OpenVistaError(f"the loss became {answer.loss.item()} at step {self.step} on {names}")
        answer.loss.backward()
        nn.utils.clip_grad_norm_(self.parameters, self.recipe.gradient_clip)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        return answer

    def _validate_and_save(self, cases: list[TrainingCase], seconds: float, loss: float) -> None:
        network: Vista3D = self.average.module  # type: ignore[assignment]
        scores = {}
        if "automatic" in self.recipe.trained:
            scores["validation_dice"] = validate(network, cases, self.recipe.classes)
        if "point" in self.recipe.trained:
            scores["one_click_dice"] = validate_clicks(network, cases, self.recipe.classes)
        every = [dice for kind in scores.values() for dice in kind.values()]
        mean = sum(every) / max(len(every), 1)
        for kind, dice in scores.items() if cases else ():
            average = sum(dice.values()) / max(len(dice), 1)
            logger.info("step %d: %s %.4f %s", self.step, kind, average, {k: round(v, 3) for k, v in dice.items()})
        columns = [f"{kind} {class_id}" for kind, dice in scores.items() for class_id in dice]
        self._log_row([self.step, round(seconds), loss, mean, *every], columns)
        self._save_checkpoint(network, "last", scores)
        if mean >= self.best or not cases:
            self.best = mean
            self._save_checkpoint(network, "best", scores)

    def _log_row(self, row: list[float], columns: list[str]) -> None:
        path = self.folder / "validation.csv"
        new = not path.exists()
        with path.open("a", newline="") as file:
            writer = csv.writer(file)
            if new:
                writer.writerow(["step", "seconds", "loss", "mean_dice", *columns])
            writer.writerow(row)

    def _save_checkpoint(self, network: Vista3D, name: str, scores: dict[str, dict[int, float]]) -> None:
        temporary = self.folder / f"{name}.pt.part"
        torch.save({"model": network.state_dict(), "step": self.step}, temporary)
        temporary.replace(self.folder / f"{name}.pt")
        (self.folder / f"{name}.json").write_text(json.dumps({"step": self.step, **scores}, indent=2))

    def _best_network(self) -> Vista3D:
        state = torch.load(self.folder / "best.pt", weights_only=True)["model"]
        network = build(self.preset)
        network.load_state_dict(state)
        return network.eval()
