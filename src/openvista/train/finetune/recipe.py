"""What a user asks of a fine-tune, and the recipe that follows from it and the data."""

import logging
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import torch

from openvista.anatomy.catalogue import LAST_OFFICIAL_ID
from openvista.datalist import DataList
from openvista.distributed import Ranks
from openvista.errors import DeviceError, RecipeError
from openvista.geometry.grid import Axis3, Float3
from openvista.inference.device import training_precision
from openvista.memory import free_memory
from openvista.network import PRESETS, Preset
from openvista.train.finetune.cases import one_value_each
from openvista.train.finetune.classes import mirrored_ids, named_ids, one_piece_ids
from openvista.train.finetune.sizes import CaseSizes, StepMemory, measure_case, plan_patch, plan_spacing
from openvista.train.recipe import Recipe
from openvista.train.recipe_file import make_recipe
from openvista.train.stages import automatic, finetune
from openvista.train.starting_network import SIZE_FIELDS
from openvista.weights import ModelFolder

logger = logging.getLogger(__name__)

LEARN, HELD_OUT = 1, 0
"""Folds of the run's own data list."""

_LEARNING_RATES: Mapping[str, float] = {"vista3d": finetune().learning_rate, "starter": 5e-4}
"""Peak by preset: the paper's for the published network. The starter was trained with more than twice what is given
here, and learnt the mandible as a new class from two scans within 20 patches at 1e-3."""
_MOST_MEASURED = 20
"""Cases whose structures are measured; a median does not need more."""
_SEVERAL_PATCHES_BELOW = 64**3
"""Voxels of a patch below which two go into a step, as in the starter's own training; else one (paper facts §6)."""
_VALIDATIONS, _FEWEST_STEPS_BETWEEN = 10, 50
"""How many validations a run has whose number of steps is known; the fewest steps between two where only time is."""
_VALIDATION_SHARE = 0.25
"""Validating takes at most this share of the work of training."""
_PASSES_OF_A_STEP = 3
"""A patch to learn from costs about so many forward passes: one, and two for the gradient."""
_AVERAGED_SHARE = 20
"""The average of weights looks back over about one in so many steps of the run."""
_PLANNED = frozenset(
    {"datalist", "name", "preset", "spacing", "window", "start_from", "classes", "extra_names", "fold"}
)
"""Keys of a recipe that are planned and cannot be set; some have options of their own."""
_FROM_LABELS = {"labels": "manual", "pseudo_classes": (), "supervoxels": False}
"""A fine-tune's data list has label maps only, so these keys have one possible value each."""
_BRANCHES = {"automatic": ("automatic",), "point": ("point",), "both": ("automatic", "point")}


@dataclass(frozen=True, kw_only=True)
class FinetuneRequest:
    """What a user asks for.

    Attributes:
        datalist: JSON data list.
        mapping: LABEL=CLASS, as :func:`openvista.datalist.map_labels` takes them.
        roots: folders that the list's paths start from, as arguments of :func:`openvista.datalist.read_datalist`.
        model: name or folder of the model to start from.
        shots: how many cases to learn from; ``None`` for all.
        fold: number to hold out, ``"auto"`` or ``"none"``.
        spacing: ``"auto"``, ``"keep"`` or mm along R, A, S.
        patch: ``"auto"`` or voxels along R, A, S.
        branches: ``"auto"`` (those the model has), ``"automatic"``, ``"point"`` or ``"both"``.
        only_in_slices: ``only_in_label_slices`` of the recipe, as names separated by commas.
        one_piece: ``one_piece`` of the recipe, beside those of the model, as names separated by commas.
        mirror: also show left and right swapped.
        from_scratch: random weights instead of the model's, for comparison.
        learning_rate: peak; ``None`` for the usual one.
        steps: optimiser steps (draws of patches); ``None`` for the paper's 200 epochs.
        minutes: stop earlier when so much time has passed.
        seed: of the choice of cases, and of training.
        settings: other keys of the recipe.
    """

    datalist: Path
    mapping: Sequence[str] = ()
    roots: Mapping[str, Path] = field(default_factory=dict)
    model: str = "starter"
    shots: int | None = None
    fold: str = "auto"
    spacing: str | Float3 = "auto"
    patch: str | Axis3 = "auto"
    branches: str = "auto"
    only_in_slices: str = ""
    one_piece: str = ""
    mirror: bool = False
    from_scratch: bool = False
    learning_rate: float | None = None
    steps: int | None = None
    minutes: float | None = None
    seed: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)


def chosen_device(request: FinetuneRequest) -> str:
    """Where to train: "auto", "cpu" or "cuda".

    Raises:
        RecipeError: the settings name another device.
    """
    device, known = request.settings.get("device", "auto"), get_args(Recipe.model_fields["device"].annotation)
    if device not in known:
        raise RecipeError(f"no device {device!r} to train on: set one of {', '.join(known)}")
    return str(device)


def preset_of_size(base: ModelFolder) -> str:
    """The name of the preset that has the model's network.

    Raises:
        RecipeError: there is none.
    """
    card = base.card
    if card.family != "ct":
        raise RecipeError(
            f"model {card.name!r} is of family {card.family}, which nothing here trains: start from another"
        )
    for name, preset in PRESETS.items():
        if all(getattr(card, key) == getattr(preset, key) for key in SIZE_FIELDS):
            return name
    raise RecipeError(
        f"model {card.name!r} has {card.filters} filters, blocks {card.blocks_per_level}, {card.class_rows} embeddings "
        f"and HU {card.hu_window}, as no preset has: start from a model of the size of {' or '.join(PRESETS)}"
    )


def trained_parts(branches: str, base: ModelFolder) -> tuple[str, ...]:
    """The parts that learn.

    Raises:
        RecipeError: no such branches.
    """
    choices = {"auto": tuple(base.card.branches), **_BRANCHES}
    if branches not in choices:
        raise RecipeError(f"no branches {branches!r}: there is {', '.join(choices)}")
    return ("encoder", *choices[branches])


def plan_recipe(
    request: FinetuneRequest,
    base: ModelFolder,
    listed: DataList,
    classes: Mapping[int, int],
    names: Mapping[int, str],
    ranks: Ranks,
) -> Recipe:
    """The recipe of a fine-tune.

    Args:
        request: what to do.
        base: the model to start from.
        listed: the run's own list; cases of fold ``LEARN`` are learnt from.
        classes: label value to class id; several values of one class become the lowest of them.
        names: class id to name.
        ranks: where it will be trained, and by how many processes.

    Raises:
        RecipeError: a setting is wrong.
        DeviceError: the memory is too small for the smallest patch.
        AnatomyError: a class of ``only_in_slices`` or ``one_piece`` is not learnt, or an official one that may be in
            pieces; or a sided structure would be mirrored alone.
    """
    training = [case for case in listed.training if case.fold == LEARN]
    sizes = [measure_case(case, classes) for case in training[:_MOST_MEASURED]]
    parts, size = trained_parts(request.branches, base), preset_of_size(base)
    logger.info("what learns: %s", ", ".join(parts))
    content: dict[str, Any] = {
        "datalist": listed.path,
        "preset": size,
        "start_from": None if request.from_scratch else str(base.path),
        "extra_names": {class_id: name for class_id, name in names.items() if class_id > LAST_OFFICIAL_ID},
        "extra_aliases": {i: aliases for i, aliases in base.card.extra_aliases.items() if i in names},
        "one_piece": one_piece_ids(request.one_piece, names, base, sizes),
        "classes": one_value_each(classes),
        "mirrored": mirrored_ids(names) if request.mirror else (),
        "only_in_label_slices": named_ids("--only-in-slices", request.only_in_slices, names, base),
        "fold": HELD_OUT if len(training) < len(listed.training) else None,
        "learning_rate": automatic().learning_rate if request.from_scratch else _LEARNING_RATES[size],
        "seed": request.seed,
        "licence": "not stated" if request.from_scratch else base.card.licence,
        "data": f"{len(training)} scans of {request.datalist.name}",
        **_stage(parts),
        **_patches(request, base.card.preset(), sizes, "point" in parts, len(names), ranks.device),
    }
    for key in ("learning_rate", "steps", "minutes"):
        if getattr(request, key) is not None:
            content[key] = getattr(request, key)
    held_out_of_each = math.ceil((len(listed.training) - len(training)) / ranks.count)
    least = _steps_between(held_out_of_each, sizes, content)
    return _with_settings(content, request, len(training), ranks.count, least)


def _patches(
    request: FinetuneRequest,
    preset: Preset,
    sizes: Sequence[CaseSizes],
    clicks: bool,
    classes: int,
    device: torch.device,
) -> dict[str, Any]:
    """Spacing, window, patches per step and precision, and why."""
    precision = training_precision(device)
    spacing = plan_spacing(preset, sizes, request.spacing)
    logger.info("spacing %s mm: %s", spacing.value, spacing.reason)
    count = 2 if math.prod(preset.window) < _SEVERAL_PATCHES_BELOW else 1
    content = {"spacing": spacing.value, "window": request.patch, "patches_per_step": count, "precision": precision}
    if not isinstance(request.patch, str):
        return content
    memory, free = StepMemory(classes, count, clicks, precision != "float32"), free_memory(device)
    window = plan_patch(preset, spacing.value, sizes, free, memory)
    needed = memory.bytes(preset, math.prod(window.value))
    if free is not None and needed > free:
        raise DeviceError(
            f"training on patches of {window.value} voxels needs {needed / 1e9:.1f} GB and {free / 1e9:.1f} GB are "
            "free: close other programs, or start from a smaller model"
        )
    logger.info("patch %s: %s", window.value, window.reason)
    return content | {"window": window.value}


def _steps_between(held_out: int, sizes: Sequence[CaseSizes], content: Mapping[str, Any]) -> int:
    """Steps between two validations at least, if held-out scans are as large as those learnt from.

    Args:
        held_out: scans that one process validates on.
        sizes: of cases to learn from.
        content: gives window, spacing and patches of a step.
    """
    windows = held_out * statistics.mean(case.windows(content["window"], content["spacing"]) for case in sizes)
    return math.ceil(windows / (_VALIDATION_SHARE * _PASSES_OF_A_STEP * content["patches_per_step"]))


def _with_settings(content: dict[str, Any], request: FinetuneRequest, cases: int, processes: int, least: int) -> Recipe:
    """The recipe of these keys and the user's own, paced by the number of steps that they give.

    Args:
        content: keys and values that are planned.
        request: has the user's own.
        cases: to learn from.
        processes: that train together.
        least: steps between two validations at least.
    """
    settings = dict(request.settings)
    if planned := sorted(_PLANNED & settings.keys()):
        raise RecipeError(
            f"{planned[0]} cannot be set: fine-tuning plans it from model, data and the options for it; leave it out"
        )
    augmentation = settings.pop("augmentation", {})
    if not isinstance(augmentation, dict):
        raise RecipeError(f"augmentation must be keys and values, as in '{{zoom: 0.1}}', not {augmentation!r}")
    content = {"name": "finetuned"} | content | settings
    content["augmentation"] = {"mirror": request.mirror, **augmentation}
    recipe = make_recipe(content, "fine-tuning")
    for key, plain in _FROM_LABELS.items():
        if getattr(recipe, key) != plain:
            raise RecipeError(
                f"{key} cannot be {getattr(recipe, key)!r}: fine-tuning learns from label maps alone; write a recipe "
                "and use 'openvista train'"
            )
    pace = _pace(recipe.steps_for(cases, processes), recipe.minutes, request.from_scratch, least)
    return make_recipe({**pace, **content}, "fine-tuning")


def _stage(parts: tuple[str, ...]) -> dict[str, Any]:
    """The stage whose prompts train these parts; what few cases show is drawn more often."""
    chosen = {"trained": parts, "balance": True}
    if "point" not in parts:
        return chosen | {"stage": "finetune"}
    if "automatic" in parts:
        return chosen | {"stage": "joint"}
    return chosen | {"stage": "stage2", "oversample": None}


def _pace(steps: int, minutes: float | None, from_scratch: bool, least: int) -> dict[str, Any]:
    """What depends on the length of the run: validations, how far the average of weights looks back, warm-up."""
    pace: dict[str, Any] = {"warmup_steps": min(automatic().warmup_steps, steps // 10)} if from_scratch else {}
    if minutes is not None:  # nobody knows how many steps that is
        return pace | {"validate_every": max(_FEWEST_STEPS_BETWEEN, least), "average_decay": 0.98}
    decay = min(0.999, max(0.0, 1 - _AVERAGED_SHARE / steps))
    return pace | {"validate_every": max(math.ceil(steps / _VALIDATIONS), least), "average_decay": decay}
