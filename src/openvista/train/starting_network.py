"""The parts of a network that a recipe trains or freezes, and the network a run starts from."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import nn

from openvista.distributed import Ranks
from openvista.errors import DeviceError, RecipeError
from openvista.inference.device import training_precision
from openvista.network import Preset, Vista3D, build
from openvista.train.recipe import Recipe
from openvista.train.stages import PARTS
from openvista.weights import ModelFolder, find_model
from openvista.weights.store import load_network

logger = logging.getLogger(__name__)

SIZE_FIELDS = ("filters", "blocks_per_level", "class_rows", "hu_window", "family")
"""Fields in which a model must agree with the recipe's preset to pass its weights on."""

_MODULES = {
    "encoder": ("encoder",),
    "automatic": ("automatic_decoder", "class_head"),
    "point": ("point_decoder", "point_head"),
}


def parameters_of(network: Vista3D, parts: tuple[str, ...]) -> list[nn.Parameter]:
    """All parameters of these parts; of a branch the network lacks, none."""
    there = [part for part in parts if part == "encoder" or part in network.preset.branches]
    modules = [getattr(network, name) for part in there for name in _MODULES[part]]
    return [parameter for module in modules for parameter in module.parameters()]


def freeze_all_but(network: Vista3D, trained: tuple[str, ...]) -> None:
    """Let only these parts learn. The norms keep no running state, so there is nothing else to freeze."""
    for part in PARTS:
        for parameter in parameters_of(network, (part,)):
            parameter.requires_grad_(part in trained)


def check_device(recipe: Recipe, device: torch.device) -> None:
    """Refuse a precision that this device cannot train in.

    Raises:
        DeviceError: float16 somewhere else than on CUDA.
    """
    if recipe.precision == "float16" and device.type != "cuda":
        raise DeviceError(f"precision float16 trains on CUDA only, this is {device}: set it to bfloat16 or float32")


def with_precision(recipe: Recipe, ranks: Ranks) -> Recipe:
    """The recipe with the precision that ``auto`` stands for: that of the first process's device, in all of them."""
    if recipe.precision != "auto":
        return recipe
    names = ("float32", "bfloat16", "float16")
    chosen = names[int(ranks.agree(names.index(training_precision(ranks.device))))]
    logger.info("precision %s on %s", chosen, ranks.device)
    return recipe.model_copy(update={"precision": chosen})


def starting_network(recipe: Recipe) -> Vista3D:
    """The network of a run before its first step, frozen where the recipe says.

    It has the branches that are trained and those the start model has. A trained branch that the start model lacks
    stays random, but for its decoder: that begins as the other branch's, which already tells structures apart.
    Where ``start_share`` is below 1, what is trained is moved back towards random weights by the rest.

    Raises:
        ModelError: there is no such model, or its file is damaged.
        RecipeError: the model is of another size or preparation than the recipe's preset.
    """
    model = None if recipe.start_from is None else find_model(recipe.start_from)
    inherited = () if model is None else model.card.branches
    branches = tuple(branch for branch in ("automatic", "point") if branch in (*recipe.trained, *inherited))
    network = build(replace(recipe.network_preset, branches=branches), recipe.seed)
    learning = parameters_of(network, recipe.trained)
    fresh = [parameter.detach().clone() for parameter in learning] if recipe.start_share < 1 else None
    if model is not None:
        _check_same_size(model, recipe)
        missing = network.load_state_dict(load_network(model).state_dict(), strict=False).missing_keys
        if missing:
            lacking = " and no ".join(branch for branch in branches if branch not in inherited)
            logger.info("%s has no %s branch: its head starts from random weights", model.path, lacking)
            _share_decoder(network, inherited)
    if fresh is not None:
        with torch.no_grad():
            for parameter, random in zip(learning, fresh, strict=True):
                parameter.lerp_(random, 1 - recipe.start_share)
    start_embeddings(network, recipe.embeddings_from)
    freeze_all_but(network, recipe.trained)
    return network


def _share_decoder(network: Vista3D, inherited: tuple[str, ...]) -> None:
    """Start the decoder of a new branch as a copy of the one that the start model has."""
    if inherited == ("automatic",):
        network.point_decoder.load_state_dict(network.automatic_decoder.state_dict())
    elif inherited == ("point",):
        network.automatic_decoder.load_state_dict(network.point_decoder.state_dict())


def start_embeddings(network: Vista3D, sources: Mapping[int, Sequence[int]]) -> None:
    """Start the embeddings of some classes as the mean of others.

    Args:
        network: with class prompts, if there are sources.
        sources: class id to the ids whose rows' mean its row becomes.
    """
    for class_id, ids in sources.items():
        table = network.class_head.embedding_table.weight.data
        table[class_id] = table[list(ids)].mean(0)


def _check_same_size(model: ModelFolder, recipe: Recipe) -> None:
    preset: Preset = recipe.network_preset
    fields = (*SIZE_FIELDS, "spacing") if recipe.spacing is None else SIZE_FIELDS
    for field in fields:
        theirs, ours = getattr(model.card, field), getattr(preset, field)
        if theirs != ours:
            hint = "set the recipe's spacing to choose one" if field == "spacing" else "choose the model's preset"
            raise RecipeError(
                f"start_from {model.path} has {field} {theirs}, the recipe's preset {preset.name} has {ours}: {hint}"
            )
