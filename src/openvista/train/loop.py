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
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from openvista.errors import OpenVistaError
from openvista.model import PRESETS, Vista3D, build
from openvista.model.class_head import dot_logits
from openvista.simulate.class_prompts import choose_class_prompts
from openvista.train.augment import Patch, draw_patch
from openvista.train.cases import TrainingCase, load_case
from openvista.train.datalist import Case, read_datalist
from openvista.train.losses import dice_bce_loss
from openvista.train.recipe import Recipe
from openvista.train.validate import validate

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class StepReport:
    """What the caller hears after each step.

    Attributes:
        step: steps done.
        fraction: share of the run that is over, 0..1 (by steps or by minutes, whichever is nearer its end).
        loss: of this step.
        learning_rate: of this step.
    """

    step: int
    fraction: float
    loss: float
    learning_rate: float


class Trainer:
    """One training run.

    Args:
        recipe: everything that decides the run.
        folder: run folder; checkpoints, log and the resolved recipe are written here.
        report: called after each step.
    """

    def __init__(self, recipe: Recipe, folder: Path, report: Callable[[StepReport], None] | None = None) -> None:
        self.recipe = recipe
        self.folder = folder
        self.report = report or (lambda _: None)
        self.preset = PRESETS[recipe.preset]
        self.bfloat16 = recipe.precision == "bfloat16"
        self.random = torch.Generator().manual_seed(recipe.seed)
        self.network = build(self.preset, recipe.seed).to(memory_format=torch.channels_last_3d)
        decay = get_ema_multi_avg_fn(recipe.average_decay)
        self.average = AveragedModel(self.network, multi_avg_fn=decay)
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
        )
        self.mirrored = recipe.mirrored_labels
        self.step = 0
        self.best = -1.0

    def run(self) -> Vista3D:
        """Train to the end and return the averaged network of the best validation (the last one without a fold)."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "recipe.json").write_text(self.recipe.model_dump_json(indent=2))
        training, validation = self._load_cases()
        logger.info("%d cases to train on, %d to validate", len(training), len(validation))
        started = time.monotonic()
        fraction = 0.0
        while fraction < 1:
            fraction = self._fraction_done(started)
            loss = self._step(training, self._learning_rate(fraction))
            self.report(StepReport(self.step, fraction, loss, self._learning_rate(fraction)))
            if self.step % self.recipe.validate_every == 0 or fraction >= 1:
                self._validate_and_save(validation, time.monotonic() - started, loss)
        return self._best_network()

    def _load_cases(self) -> tuple[list[TrainingCase], list[TrainingCase]]:
        values = frozenset(self.recipe.classes)
        limited = self.recipe.range_limited_labels

        def load(cases: tuple[Case, ...]) -> list[TrainingCase]:
            loaded = (load_case(case, self.preset, values, limited) for case in cases)
            return [case for case in loaded if case.annotated]

        training, validation = read_datalist(self.recipe.datalist).split(self.recipe.fold)
        return load(training), load(validation)

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
        patches = [
            draw_patch(case, self.preset.window, self.recipe.augmentation, self.mirrored, self.random) for case in chosen
        ]
        loss = self._loss(patches)
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

    def _loss(self, patches: list[Patch]) -> Tensor:
        """Mean loss of the patches, which share one pass through the network."""
        images = torch.stack([patch.image_XYZ for patch in patches])[:, None]
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bfloat16):
            features = self.network.automatic_features(images.contiguous(memory_format=torch.channels_last_3d))
        losses = [self._patch_loss(*pair) for pair in zip(patches, features.split(1), strict=True)]
        return torch.stack(losses).mean()

    def _patch_loss(self, patch: Patch, features_1CXYZ: Tensor) -> Tensor:
        values = choose_class_prompts(
            patch.labels_XYZ, patch.annotated, self.recipe.most_present, self.recipe.most_absent, self.random
        )
        ids = torch.tensor([self.recipe.classes[value] for value in values])
        logits = dot_logits(self.network.class_embeddings(ids), features_1CXYZ.float())[0]
        target = torch.stack([patch.labels_XYZ == value for value in values])
        everywhere = torch.ones(patch.labels_XYZ.shape, dtype=torch.bool)
        known = torch.stack([patch.known_XYZ.get(value, everywhere) for value in values])
        return dice_bce_loss(logits, target, known)

    def _validate_and_save(self, cases: list[TrainingCase], seconds: float, loss: float) -> None:
        network: Vista3D = self.average.module
        dice = validate(network, cases, self.recipe.classes, self.bfloat16)
        mean = sum(dice.values()) / max(len(dice), 1)
        logger.info("step %d: validation Dice %.4f %s", self.step, mean, {k: round(v, 3) for k, v in dice.items()})
        self._log_row({"step": self.step, "seconds": round(seconds), "loss": loss, "dice": mean, **dice})
        self._save_checkpoint(network, "last", dice)
        if mean >= self.best or not cases:
            self.best = mean
            self._save_checkpoint(network, "best", dice)

    def _log_row(self, row: dict[str | int, float]) -> None:
        path = self.folder / "validation.csv"
        new = not path.exists()
        with path.open("a", newline="") as file:
            writer = csv.writer(file)
            if new:
                writer.writerow(row.keys())
            writer.writerow(row.values())

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
