"""Samples: a patch of a random case and everything that is asked about it.

A sample is a function of the recipe's seed, the step and its index in the step, and of nothing else: not of what was
drawn before, not of the process or thread that draws it. So a run that goes on after a break, or on another number of
processes, sees the same samples; and threads can draw them ahead of time.
"""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from openvista.simulate.challenge_user import first_challenge_clicks
from openvista.simulate.class_prompts import choose_class_prompts, class_target
from openvista.simulate.clicks import ClickRules, Clicks, first_clicks
from openvista.simulate.objects import ClickObjects, choose_click_objects
from openvista.simulate.user import first_user_clicks
from openvista.train.augment import Patch, draw_patch
from openvista.train.data import TrainingData
from openvista.train.recipe import Recipe
from openvista.train.synthetic import choose_source

AHEAD = 2
"""Steps whose samples are drawn before they are needed."""


@dataclass(frozen=True)
class ClassPrompts:
    """What is asked by class on one patch.

    Attributes:
        ids_K: int64 class ids.
        targets_KXYZ: bool truth per prompt.
        known_KXYZ: bool, where that truth is known.
        weights_K: how much each prompt counts, 1 for all but manual labels beside more pseudo-labels.
    """

    ids_K: Tensor
    targets_KXYZ: Tensor
    known_KXYZ: Tensor
    weights_K: Tensor


@dataclass(frozen=True)
class ClickPrompts:
    """What is asked by clicks on one patch.

    Attributes:
        objects: the objects and their truth; at least one.
        clicks: the clicks so far.
        seed: of the clicks that follow.
        by_user: they come from a simulated user, one at a time, not from the paper's rule.
        challenge: that user is the challenge's, not the evaluation's.
    """

    objects: ClickObjects
    clicks: Clicks
    seed: int
    by_user: bool = False
    challenge: bool = False


@dataclass(frozen=True)
class Sample:
    """One patch and what is asked about it; either kind of question may be missing, or both.

    Attributes:
        case: name of the case, for messages.
        image_XYZ: float32, about 0..1.
        classes: class prompts.
        clicks: objects with their first clicks.
    """

    case: str
    image_XYZ: Tensor
    classes: ClassPrompts | None
    clicks: ClickPrompts | None


def random_source(*numbers: int) -> torch.Generator:
    """A generator that depends on all of these numbers (0 or more each) and on nothing else."""
    low, high = np.random.SeedSequence((len(numbers), *numbers)).generate_state(2, np.uint32).tolist()
    return torch.Generator().manual_seed(low | high << 32)


def draw_sample(data: TrainingData, recipe: Recipe, step: int, index: int) -> Sample:
    """The sample of this index of this step.

    Args:
        data: all training cases, and how often each is drawn.
        recipe: what to ask, how to augment, and the seed.
        step: steps done before.
        index: place among all samples of the step, of all processes.
    """
    random = random_source(recipe.seed, step, index)
    synthetic = choose_source(data.synthetic, random)
    if synthetic is not None:
        name, patch = synthetic.patch(step, index, random)
    else:
        case = data.training[int(torch.multinomial(data.weights, 1, generator=random))]
        window = recipe.network_preset.window
        name = case.name
        patch = draw_patch(case, window, recipe.augmentation, recipe.mirrored_ids, random, data.repeats)
    by_class, by_click = _kinds(recipe, random)
    clicks = ask_by_clicks(patch, recipe, random) if by_click else None
    nothing_to_click = clicks is None and recipe.class_probability > 0
    classes = ask_by_class(patch, recipe, random) if by_class or nothing_to_click else None
    return Sample(name, patch.image_XYZ, classes, clicks)


def ask_by_class(patch: Patch, recipe: Recipe, random: torch.Generator) -> ClassPrompts | None:
    """Class prompts for a patch; ``None`` where no structure can be asked for."""
    known_classes = {class_id: class_id for class_id in recipe.class_ids}
    ids = choose_class_prompts(
        patch.labels_XYZ, patch.annotated, recipe.most_present, recipe.most_absent, random, known_classes
    )
    if not ids:
        return None
    everywhere = torch.ones(patch.labels_XYZ.shape, dtype=torch.bool)
    return ClassPrompts(
        torch.tensor(ids),
        torch.stack([class_target(patch.labels_XYZ, class_id, known_classes) for class_id in ids]),
        torch.stack([patch.known_XYZ.get(class_id, everywhere) for class_id in ids]),
        prompt_weights([class_id in patch.pseudo for class_id in ids]),
    )


def prompt_weights(is_pseudo_K: list[bool]) -> Tensor:
    """Weight of each prompt: manual labels together count at least as much as pseudo-labels together (paper §6)."""
    pseudo = sum(is_pseudo_K)
    manual = len(is_pseudo_K) - pseudo
    scale = max(pseudo / manual, 1.0) if manual else 1.0
    return torch.tensor([1.0 if guessed else scale for guessed in is_pseudo_K])


def ask_by_clicks(patch: Patch, recipe: Recipe, random: torch.Generator) -> ClickPrompts | None:
    """Objects of a patch and the first clicks on them; ``None`` where there is nothing to click on."""
    with_supervoxels = recipe.supervoxels and patch.supervoxels_XYZ is not None
    objects = choose_click_objects(
        patch.labels_XYZ,
        patch.annotated,
        clickable_values(patch, recipe),
        patch.known_XYZ,
        recipe.most_objects,
        random,
        patch.supervoxels_XYZ if with_supervoxels else None,
        recipe.mixing if with_supervoxels else None,
    )
    if len(objects) == 0:
        return None
    by_user = recipe.user_share > 0 and float(torch.rand(1, generator=random)) < recipe.user_share
    challenge = recipe.user == "challenge"
    if by_user and challenge:
        clicks = first_challenge_clicks(objects, int(torch.randint(2**31, (1,), generator=random)))
    elif by_user:
        clicks = first_user_clicks(objects, recipe.network_preset.spacing)
    else:
        most = recipe.most_clicks
        rules = ClickRules(most_positive=most, most_negative=most, from_supervoxels=with_supervoxels)
        clicks = first_clicks(
            objects.targets_BXYZ, objects.known_BXYZ, objects.special_B, rules, random, objects.pieces_BXYZ
        )
    return ClickPrompts(objects, clicks, int(torch.randint(2**31, (1,), generator=random)), by_user, challenge)


def clickable_values(patch: Patch, recipe: Recipe) -> dict[int, int]:
    """Label value to class id of what may be clicked on; objects of the challenge are no class (0)."""
    if recipe.challenge is not None:
        return dict.fromkeys(patch.annotated, 0)
    return {class_id: class_id for class_id in recipe.class_ids}


def _kinds(recipe: Recipe, random: torch.Generator) -> tuple[bool, bool]:
    """Whether to ask by class and by clicks; a patch drawn for neither is asked by clicks, as in the bundle."""
    shares = torch.tensor([recipe.class_probability, recipe.click_probability])
    by_class, by_click = (torch.rand(2, generator=random) < shares).tolist()
    return by_class, by_click or (not by_class and recipe.click_probability > 0)


def sample_groups(rank: int, ranks: int, patches_per_step: int, accumulate: int) -> list[list[int]]:
    """Which samples of a step a process takes; all processes together take the same ones, however many they are.

    Args:
        rank, ranks: this process, of how many.
        patches_per_step: samples that go through the network together.
        accumulate: groups of them per step and process.
    """
    firsts = [(group * ranks + rank) * patches_per_step for group in range(accumulate)]
    return [list(range(first, first + patches_per_step)) for first in firsts]


class SampleLoader:
    """Draws samples in the background, in order.

    Args:
        draw: step and index to sample.
        groups: indices of this process's samples in each step, in groups that go through the network together.
        threads: how many draw.

    Attributes:
        waited: seconds that :meth:`take` has waited for samples.
    """

    def __init__(self, draw: Callable[[int, int], Sample], groups: list[list[int]], threads: int) -> None:
        self._draw = draw
        self._groups = groups
        self._pool = ThreadPoolExecutor(threads, "patches", initializer=torch.set_num_threads, initargs=(1,))
        self._pending: dict[int, list[list[Future[Sample]]]] = {}
        self.waited = 0.0

    def take(self, step: int) -> list[list[Sample]]:
        """The samples of a step, group by group; steps are taken one after the other."""
        for wanted in range(step, step + 1 + AHEAD):
            if wanted not in self._pending:
                self._pending[wanted] = [
                    [self._pool.submit(self._draw, wanted, index) for index in group] for group in self._groups
                ]
        started = time.monotonic()
        samples = [[future.result() for future in group] for group in self._pending.pop(step)]
        self.waited += time.monotonic() - started
        return samples

    def __enter__(self) -> "SampleLoader":
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)
