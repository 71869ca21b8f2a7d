"""Protocols ``point-oracle`` and ``auto+point-oracle``: the paper's tables (paper facts §7).

Clicks are placed from the truth **in every window**, also in windows that hold only a corner of a structure, and a
window without the structure is told so. No user does that, hence "oracle": these numbers are upper bounds.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from openvista.anatomy.catalogue import SPECIAL_IDS
from openvista.evaluate.labelled_scan import LabelledScan, Structure
from openvista.evaluate.meter import Meter
from openvista.evaluate.protocol import Answers, ProtocolSettings, ScoredAnswer
from openvista.evaluate.windowed import NO_PROMPT, Ask, Window, WindowedScan
from openvista.geometry.box import Box
from openvista.geometry.components import largest_component, nearest_voxel
from openvista.geometry.grid import Axis3, triple
from openvista.metrics.masks import dice
from openvista.model import Model
from openvista.network import ClickLabel
from openvista.session.click_engine import PointNetwork, WindowClick
from openvista.session.merge import VoxelClick, merge_clicks

ROUNDS = 3
"""Rounds of clicks of ``auto+point-oracle`` in each window."""
Mask = NDArray[np.bool_]


def run_point_oracle(model: Model, labelled: LabelledScan, settings: ProtocolSettings, meter: Meter) -> Answers:
    """One click in the middle of each structure in each window."""
    points = PointNetwork(model.network)

    def ask(window: Window, structures: Sequence[Structure]) -> Tensor:
        logits_KXYZ = torch.full((len(structures), *window.image_XYZ.shape), NO_PROMPT)
        features = None
        for index, structure in enumerate(structures):
            truth = window.truth(structure)
            if truth.any():
                with meter.on():
                    features = points.encode(window.image_XYZ) if features is None else features
                    click = _in_window(VoxelClick(centre(truth), True), structure)
                    logits_KXYZ[index] = points.answer(features, [click], _unseen(model, structure))
        return logits_KXYZ

    yield from _answers(model, labelled, settings, meter, ask)


def run_corrected(model: Model, labelled: LabelledScan, settings: ProtocolSettings, meter: Meter) -> Answers:
    """Class prompts, corrected in each window by up to three rounds of clicks, of which the best is kept.

    Every round starts from the automatic result and is merged into it; the best by the Dice of the window counts, the
    automatic result itself among them.
    """
    points = PointNetwork(model.network)

    def ask(window: Window, structures: Sequence[Structure]) -> Tensor:
        with meter.on():
            embeddings_KC = model.network.embeddings([structure.class_id for structure in structures])
            logits_KXYZ = model.network.logits(embeddings_KC, window.image_XYZ).permute(3, 0, 1, 2).cpu().clone()
            features = points.encode(window.image_XYZ)
        for index, structure in enumerate(structures):
            random = settings.random(labelled, window.index, structure.class_id)
            automatic, truth = logits_KXYZ[index].numpy(), window.truth(structure)
            best, quality = automatic, _quality(automatic, truth)
            for clicks in _rounds(truth, automatic > 0, random):
                with meter.on():
                    inside = [_in_window(click, structure) for click in clicks]
                    answer = points.answer(features, inside, _unseen(model, structure)).numpy()
                    corrected = merge_clicks(automatic, answer, clicks).logits_XYZ
                if _quality(corrected, truth) > quality:
                    best, quality = corrected, _quality(corrected, truth)
            logits_KXYZ[index] = torch.from_numpy(best.copy())
        return logits_KXYZ

    yield from _answers(model, labelled, settings, meter, ask)


def _answers(model: Model, labelled: LabelledScan, settings: ProtocolSettings, meter: Meter, ask: Ask) -> Answers:
    masks = WindowedScan(model, labelled, settings.profile).segment(labelled.structures, ask)
    for structure in labelled.structures:
        yield ScoredAnswer(structure, masks[structure.class_id], None, meter.seconds)


def _unseen(model: Model, structure: Structure) -> bool:
    """Whether the model was not trained on a structure, which its point branch wants to know."""
    return structure.class_id not in model.card.class_ids


def centre(mask_XYZ: Mask) -> Axis3:
    """The voxel nearest to the centre of mass of the largest component of the eroded mask, or of a mask too thin."""
    inner = _largest_piece(mask_XYZ)
    return nearest_voxel(np.argwhere(inner if inner.any() else mask_XYZ))


def _rounds(truth: Mask, predicted: Mask, random: np.random.Generator) -> Iterator[list[VoxelClick]]:
    """The clicks of each round. The first one clicks anywhere inside; later ones where the larger error is.

    Where a window lacks the structure but something was found there, one negative click on that.
    """
    if not truth.any():
        if predicted.any():
            yield from ([VoxelClick(_any_voxel(predicted, random), False)] for _ in range(ROUNDS))
        return
    yield [VoxelClick(_any_voxel(truth, random), True)]
    missing, superfluous = _largest_piece(truth & ~predicted), _largest_piece(predicted & ~truth)
    for _ in range(ROUNDS - 1):
        if missing.sum() > superfluous.sum():
            yield [VoxelClick(_any_voxel(missing, random), True)]
        else:
            inside = [VoxelClick(_any_voxel(truth, random), True)]
            yield inside + ([VoxelClick(_any_voxel(superfluous, random), False)] if superfluous.any() else [])


def _quality(logits: NDArray[np.float32], truth: Mask) -> float:
    """Dice in the window; where it lacks the structure, the fewer voxels the better."""
    found = logits > 0
    return dice(found, truth) if truth.any() else -float(found.sum())


def _largest_piece(mask: Mask) -> Mask:
    """The largest component of the mask eroded by 3³ voxels; may be empty."""
    eroded = ndimage.binary_erosion(mask, np.ones((3, 3, 3), bool), border_value=1)
    largest = largest_component(eroded)
    return eroded if largest is None else largest.on(Box.whole(mask.shape), False)


def _any_voxel(mask: Mask, random: np.random.Generator) -> Axis3:
    places = np.flatnonzero(mask)
    return triple(map(int, np.unravel_index(places[random.integers(len(places))], mask.shape)))


def _in_window(click: VoxelClick, structure: Structure) -> WindowClick:
    label = ClickLabel.of(click.positive, special=structure.class_id in SPECIAL_IDS)
    return WindowClick(triple(map(float, click.voxel)), label)
