"""The classes of a fine-tune: what the options say of them, and where the embedding of a new one starts.

The row of a class that a model was never trained on is noise, as it was before training. A row the network understands
is a better start: that of the known class whose answer fits the new structure best; but no two classes of a run start
from the same one, or they would have to part before either is learnt. With learning rates of fine-tuning a row hardly
moves from where it starts, so the choice lasts.

Tried with the starter: for a structure like one it knows (its own mandible under a new name) Dice on a held-out scan is
0.79 before the first step, and 0.00 from noise. For one that is like none (sarcoma) it does not matter much: the loss
after 10 steps is 0.97, from noise 1.01, from the mean of all rows 1.13.
"""

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import torch
from scipy.optimize import linear_sum_assignment

from openvista.anatomy.catalogue import LAST_OFFICIAL_ID, ONE_PIECE_IDS
from openvista.anatomy.sides import mirrored_pairs, sided
from openvista.anatomy.vocabulary import Vocabulary
from openvista.datalist import Case
from openvista.errors import AnatomyError
from openvista.inference.device import find_device
from openvista.network import Vista3D
from openvista.network.class_head import dot_logits
from openvista.train.augment import Augmentation, Patch, draw_patch
from openvista.train.cases import LabelUse, load_case
from openvista.train.finetune.sizes import CaseSizes
from openvista.train.objective import dice_bce_loss
from openvista.train.recipe import Recipe
from openvista.train.samples import random_source
from openvista.weights import ModelFolder
from openvista.weights.store import load_network

logger = logging.getLogger(__name__)

_CASES, _PATCHES = 3, 6
"""Looked at for each new class: at most so many of the cases that show it, about so many patches in all."""
_CLASSES_AT_ONCE = 16


def mirrored_ids(names: Mapping[int, str]) -> tuple[tuple[int, int], ...]:
    """Pairs of classes that swap in a mirror.

    Raises:
        AnatomyError: one has no twin, and so must not be mirrored at all.
    """
    pairs = mirrored_pairs(names)
    alone = sided(names).difference(*pairs)
    if alone:
        raise AnatomyError(
            f"--mirror: '{names[min(alone)]}' would turn up on the other side, and its twin is not among the "
            "classes; leave --mirror out"
        )
    return pairs


def named_ids(option: str, words: str, names: Mapping[int, str], base: ModelFolder) -> tuple[int, ...]:
    """Ids of the classes in a list of names that are separated by commas; none of an empty one.

    Args:
        option: where the user gave the list, for messages.
        words: the list.
        names: class id to name, of the classes that are learnt.
        base: knows other names for them.

    Raises:
        AnatomyError: a name is none of these classes.
    """
    if not words:
        return ()
    aliases = {class_id: others for class_id, others in base.card.extra_aliases.items() if class_id in names}
    try:
        return tuple(Vocabulary(names, _new(names), aliases).expand(words))
    except AnatomyError as error:
        raise AnatomyError(f"{option}: {error}") from None


def one_piece_ids(
    words: str, names: Mapping[int, str], base: ModelFolder, sizes: Sequence[CaseSizes]
) -> tuple[int, ...]:
    """New classes that are one connected thing, for the card: those the model says so of, and those the user names.

    What else is in one piece in every case is said in the log, not decided: of tumours that would be wrong.

    Args:
        words, names, base: as in :func:`named_ids`.
        sizes: of cases to learn from.

    Raises:
        AnatomyError: a name is none of these classes, or an official class that may be in several pieces.
    """
    new = _new(names)
    asked = named_ids("--one-piece", words, names, base)
    several = [names[class_id] for class_id in asked if class_id not in new and class_id not in ONE_PIECE_IDS]
    if several:
        raise AnatomyError(
            f"--one-piece: '{several[0]}' is an official class that may be in several pieces; map its label to a new "
            'class ("new:NAME"), or leave it out of --one-piece'
        )
    chosen = {*asked, *base.card.one_piece} & new.keys()
    for class_id in sorted(new.keys() - chosen):
        showing = [case for case in sizes if class_id in case.thickness_mm]
        if showing and not any(class_id in case.in_pieces for case in showing):
            logger.info(
                "'%s' is in one piece in all scans looked at (%d): if it always is, --one-piece leaves strays out",
                new[class_id],
                len(showing),
            )
    return tuple(sorted(chosen))


def embedding_sources(
    base: ModelFolder, recipe: Recipe, cases: Sequence[Case], untrained: Mapping[int, int]
) -> dict[int, tuple[int, ...]]:
    """For each class that is new to a model, the known class that it starts from.

    Args:
        base: the model, with class prompts.
        recipe: gives spacing and patch.
        cases: to learn from.
        untrained: label value to class id, of the new classes.

    Returns:
        Class id to the ids whose embeddings' mean it starts from: one class each, such that the mean loss is least.
        Without an entry, and so with noise, are classes that no patch shows, and those for which no class is left.
    """
    known = [class_id for class_id in base.card.class_ids if class_id not in recipe.class_ids]
    if not known:
        return {}
    network = load_network(base, find_device(recipe.device))
    losses: dict[int, list[torch.Tensor]] = {value: [] for value in untrained}
    for value, patch in _patches(cases, recipe, untrained):
        losses[value].append(_losses(network, patch, value, known))
    shown = [value for value, some in losses.items() if some]
    sources: dict[int, tuple[int, ...]] = {}
    if shown:
        rows, places = linear_sum_assignment(
            torch.stack([torch.stack(losses[value]).mean(0) for value in shown]).numpy()
        )
        sources = {untrained[shown[row]]: (known[place],) for row, place in zip(rows, places, strict=True)}
    for class_id in untrained.values():
        logger.info(
            "class %d is new to the model: its embedding starts as %s", class_id, sources.get(class_id, "noise")
        )
    return sources


def _new(names: Mapping[int, str]) -> dict[int, str]:
    return {class_id: name for class_id, name in names.items() if class_id > LAST_OFFICIAL_ID}


def _patches(cases: Sequence[Case], recipe: Recipe, untrained: Mapping[int, int]) -> Iterator[tuple[int, Patch]]:
    """Patches around each new structure of the first cases that show it, unaugmented."""
    plain = Augmentation(chance=0, zoom=0, rotation_degrees=0, mirror=False, around_structure=1)
    marked = {value: sum(value in case.annotated for case in cases) for value in untrained}
    seen = dict.fromkeys(untrained, 0)
    for number, case in enumerate(cases):
        wanted = [value for value in untrained if value in case.annotated and seen[value] < _CASES]
        if not wanted:
            continue
        loaded = load_case(case, recipe.network_preset, LabelUse({value: value for value in wanted}))
        for value in wanted:
            shows = bool((loaded.labels_XYZ == value).any())
            seen[value] += shows
            alone = replace(loaded, annotated=(value,))  # the patch is drawn around an annotated structure
            for index in range(math.ceil(_PATCHES / min(_CASES, marked[value])) if shows else 0):
                random = random_source(recipe.seed, number, value, index)
                yield value, draw_patch(alone, recipe.network_preset.window, plain, {}, random)


@torch.no_grad()
def _losses(network: Vista3D, patch: Patch, value: int, known: Sequence[int]) -> torch.Tensor:
    """Loss of each known class's answer on a patch, taken as an answer for the new structure."""
    device = next(network.parameters()).device
    target_1XYZ = (patch.labels_XYZ == value)[None].to(device)
    features_1CXYZ = network.automatic_features(patch.image_XYZ[None, None].to(device))
    losses = []
    for first in range(0, len(known), _CLASSES_AT_ONCE):
        embeddings_KC = network.class_embeddings(torch.tensor(known[first : first + _CLASSES_AT_ONCE], device=device))
        logits_KXYZ = dot_logits(embeddings_KC, features_1CXYZ)[0]
        losses += [float(dice_bce_loss(logits_XYZ[None], target_1XYZ)) for logits_XYZ in logits_KXYZ]
    return torch.tensor(losses)
