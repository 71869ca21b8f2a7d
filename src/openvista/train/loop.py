"""The training loop: recipe in, network out; a run can be stopped and resumed at any time."""

import json
import logging
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from openvista.distributed import Ranks
from openvista.errors import RecipeError, first_line
from openvista.network import Vista3D, build
from openvista.train.checkpoint import BEST, LAST, load_checkpoint, save_checkpoint
from openvista.train.data import Listing, TrainingData, list_cases, load_data
from openvista.train.learner import Learner, Schedule
from openvista.train.recipe import Recipe
from openvista.train.recipe_file import with_current_keys
from openvista.train.run_folder import RunFolder, check_unused, is_restart
from openvista.train.samples import SampleLoader, draw_sample, sample_groups
from openvista.train.seen_ranges import seen_ranges
from openvista.train.starting_network import check_device, starting_network, with_precision
from openvista.train.validation import overall, validate_all

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class StepReport:
    """What ``progress`` is called with after each step.

    Attributes:
        step: steps done.
        fraction: share of the run that is over, 0..1 (by steps or by minutes, whichever is nearer its end).
        loss: of this step, mean over all processes.
        learning_rate: of this step.
        waiting: share of the time so far that was spent waiting for patches.
    """

    step: int
    fraction: float
    loss: float
    learning_rate: float
    waiting: float = 0.0


class Trainer:
    """One training run, or this process's part of it.

    Args:
        recipe: everything that decides the run.
        folder: run folder, see :mod:`openvista.train.run_folder`; the first process writes it.
        ranks: which of how many processes this is.
        progress: called after each step.
        resume: go on from the folder's last checkpoint, exactly as if the run had not stopped (to the bit where the
            machine computes the same numbers again; with ``minutes`` the learning rate follows the clock). A folder
            without checkpoint starts anew. Processes that torchrun has started anew resume their own run anyway.
            Several machines need a run folder they share.
        listing: reads what the recipe lists: data lists, unless something else is given.

    Raises:
        RecipeError: the folder holds a run and ``resume`` is not set, or its checkpoint does not fit the recipe.
        DeviceError: the precision needs another device.
    """

    def __init__(
        self,
        recipe: Recipe,
        folder: Path,
        ranks: Ranks | None = None,
        progress: Callable[[StepReport], None] | None = None,
        resume: bool = False,
        listing: Listing = list_cases,
    ) -> None:
        self.folder = folder
        self.ranks = ranks or Ranks()
        self.recipe = recipe = with_precision(recipe, self.ranks)
        self.progress = progress or (lambda _: None)
        self.listing = listing
        wanted = self.ranks.any(resume or is_restart(folder, self.ranks))
        self.resumes = wanted and bool(self.ranks.agree((folder / LAST).exists()))
        if not self.resumes:
            check_unused(folder)
        check_device(recipe, self.ranks.device)
        network = starting_network(recipe).to(self.ranks.device)
        network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
        self.preset = network.preset
        self.learner = Learner(network, recipe, self.ranks)
        self.step = 0
        self.best = -1.0
        self.stale_validations = 0  # how many in a row have not been the best
        self.elapsed = 0.0
        self.ended = False  # the last step of the run is done and validated
        self.changed: list[str] = []  # keys of the recipe that differ from the checkpoint
        if self.resumes:
            self._restore()
        self.run_folder: RunFolder | None = None

    def run(self) -> Vista3D:
        """Train to the end and return the network of the best validation (the last one where nothing is held out).

        Raises:
            DataListError: nothing to train on.
            OpenVistaError: a loss or gradient that is not a number, with the names of the cases.
            OutputError: the run folder cannot be written; its last checkpoint is whole.
        """
        listed = self.listing(self.recipe)  # a wrong list leaves no run folder
        if self.ranks.is_first:
            self.run_folder = RunFolder(self.folder, self.recipe, self.ranks, self.step if self.resumes else None)
        with self.run_folder or nullcontext():
            if self.resumes:
                logger.info("going on from step %d", self.step)
            if self.changed:
                logger.warning("the recipe has changed since the checkpoint: %s", ", ".join(self.changed))
            data = load_data(listed, self.recipe, self.preset, self.ranks)
            steps = self.recipe.steps_for(len(data.training), self.ranks.count)
            logger.info(
                "%d cases to train on, %d held out here, %d steps", len(data.training), len(data.validation), steps
            )
            if self.run_folder is not None and self.recipe.challenge is None:  # the challenge's objects have no class
                self.run_folder.write_ranges(seen_ranges(data.training, self.preset.hu_window))
            self.ranks.barrier()
            self._train(data, Schedule(self.recipe, steps, self.elapsed))
            parts = self.ranks.gathered({"skipped": data.skipped})
            skipped = dict.fromkeys(name for part in parts for name in part["skipped"])  # all read the training cases
            if skipped:
                logger.warning("%d cases were skipped: %s", len(skipped), "; ".join(skipped))
        return self._best_network()

    def _train(self, data: TrainingData, schedule: Schedule) -> None:
        recipe, ranks = self.recipe, self.ranks
        groups = sample_groups(ranks.rank, ranks.count, recipe.patches_per_step, recipe.accumulate)
        began, waiting = schedule.elapsed, 0.0
        with SampleLoader(partial(draw_sample, data, recipe), groups, recipe.loaders) as loader:
            while not self._is_over(schedule):
                time_over = ranks.agree(schedule.time_over) if recipe.minutes else 0.0
                fraction = schedule.fraction(self.step, time_over)
                learning_rate = schedule.learning_rate(self.step, time_over)
                self.ended = fraction >= 1
                result = self.learner.step(loader.take(self.step), learning_rate, self.step)
                self.step += 1
                waiting = loader.waited / max(schedule.elapsed - began, 1e-6)
                if self.run_folder is not None:
                    self.run_folder.add_step(
                        self.step, schedule.elapsed, result.loss, learning_rate, result.gradient, waiting
                    )
                self.progress(StepReport(self.step, min(fraction, 1.0), result.loss, learning_rate, waiting))
                self._validate_and_save(data, schedule)
            logger.info("%d steps; %.1f %% of the time went into waiting for patches", self.step, 100 * waiting)

    def _is_over(self, schedule: Schedule) -> bool:
        """Whether nothing is left to do. A run that goes on with more steps or minutes than before is not over."""
        patience = self.recipe.patience
        if self.step >= schedule.steps or (patience is not None and self.stale_validations >= patience):
            return True
        return self.ended and self.ranks.agree(schedule.time_over) >= 1

    def _validate_and_save(self, data: TrainingData, schedule: Schedule) -> None:
        """Validate when it is time, and save a checkpoint when it is time."""
        validates = self.ended or self.step % self.recipe.validate_every == 0
        saves = validates or (self.recipe.save_every is not None and self.step % self.recipe.save_every == 0)
        if validates:
            self._validate(data, schedule.elapsed)
        if saves and self.ranks.is_first:
            save_checkpoint(self._state(schedule.elapsed), self.folder / LAST)
        if saves:
            self.ranks.barrier()

    def _validate(self, data: TrainingData, seconds: float) -> None:
        scores = validate_all(self.learner.result, data.validation, self.recipe, self.ranks)
        held_out = any(scores.values())
        mean = overall(scores)
        for kind, dice in scores.items() if held_out else ():
            logger.info("step %d: %s %s", self.step, kind, {class_id: round(one, 3) for class_id, one in dice.items()})
        better = mean > self.best or not held_out
        self.stale_validations = 0 if better else self.stale_validations + 1
        self.best = max(self.best, mean)
        if self.run_folder is None:
            return
        self.run_folder.add_validation(self.step, seconds, mean, scores)
        if better:
            weights = {"model": self.learner.result.state_dict(), "step": self.step}
            save_checkpoint(weights, self.folder / BEST)
            self.run_folder.write_best(self.step, scores)

    def _state(self, elapsed: float) -> dict[str, object]:
        return {
            **self.learner.state(),
            "step": self.step,
            "best": self.best,
            "stale_validations": self.stale_validations,
            "elapsed": elapsed,
            "ended": self.ended,
            "recipe": self.recipe.model_dump_json(),
        }

    def _restore(self) -> None:
        state = load_checkpoint(self.folder / LAST, self.ranks.device)
        try:
            self.learner.load_state(state)
            self.step, self.best = int(state["step"]), float(state["best"])
            stale = "stale_validations" if "stale_validations" in state else "without_better"  # its earlier name
            self.stale_validations, self.elapsed = int(state[stale]), float(state["elapsed"])
            self.ended = bool(state.get("ended", False))  # older checkpoints have none
            before = with_current_keys(json.loads(state["recipe"]))
        except (KeyError, RuntimeError, ValueError) as error:
            raise RecipeError(
                f"{self.folder / LAST} is of another network or other trained parts ({first_line(error)}): "
                "resume with the recipe it was made by"
            ) from None
        now = self.recipe.model_dump(mode="json")
        if before.get("optimiser", "adamw") != now["optimiser"]:
            raise RecipeError(
                f"{self.folder / LAST} is of optimiser {before.get('optimiser', 'adamw')!r}, not {now['optimiser']!r}: "
                "resume with the recipe it was made by"
            )
        self.changed = sorted(key for key in now if now[key] != before.get(key))

    def _best_network(self) -> Vista3D:
        if not self.ranks.is_first and not (self.folder / BEST).exists():
            return self.learner.result.eval()  # another machine keeps the best
        network = build(self.preset)
        network.load_state_dict(load_checkpoint(self.folder / BEST, self.ranks.device)["model"])
        return network.eval()
