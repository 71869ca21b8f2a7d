"""Protocols ``clicks``, ``corrections`` and ``zero-shot-iterative``: a user at the session engine (paper facts §7)."""

from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from openvista.evaluate.labelled_scan import LabelledScan, Structure
from openvista.evaluate.meter import Meter
from openvista.evaluate.protocol import Answers, ProtocolSettings, ScoredAnswer
from openvista.evaluate.windowed import NO_PROMPT, Window, WindowedScan
from openvista.geometry.box import plus
from openvista.geometry.components import components_at
from openvista.geometry.grid import Float3, triple
from openvista.metrics.masks import dice
from openvista.model import Model
from openvista.network import ClickLabel
from openvista.session.byte_cache import ByteCache
from openvista.session.click_engine import GridClick, KeptFeatures, PointNetwork, WindowClick
from openvista.session.merge import VoxelClick
from openvista.session.session import Session
from openvista.simulate.user import next_user_click

_FEATURE_BYTES = 2 << 30
"""Of windows' features that are kept for the next click."""

Mask = NDArray[np.bool_]
Respond = Callable[[VoxelClick], Mask]
"""One more click, in voxels of the scan, to the mask [X, Y, Z] on the whole scan after it."""


class PaperVariant(str, Enum):
    """What the paper's zero-shot evaluation does, and the name to switch it on by.

    Attributes:
        BEST: the best value so far is reported at each number of clicks.
        BLANK: slices (along the file's third axis) without truth are emptied, before the next click as well.
        WINDOWS: clicks are answered in sliding windows, where a window without click contributes -9999
            (paper facts §5), instead of in windows around the clicks.
        NO_BACKGROUND: slices without truth are not even shown (protocol ``sam2-iterative``).
    """

    BEST = "best-so-far"
    BLANK = "blank-slices"
    WINDOWS = "sliding-windows"
    NO_BACKGROUND = "no-background"


def run_clicks(model: Model, labelled: LabelledScan, settings: ProtocolSettings, meter: Meter) -> Answers:
    """One object at a time, clicked without an automatic result to start from.

    The model is told the class of an object that it knows, as it is when a user clicks on a named object; any other
    is new to it.
    """
    with meter.on():
        session = model.open(labelled.scan, profile=settings.profile)
    for structure in labelled.structures:
        known = structure.class_id in model.card.class_ids
        respond = _at_session(session, structure, model.vocabulary.name(structure.class_id) if known else None)
        yield from click_structure(labelled, structure, settings, meter, respond)


def run_corrections(model: Model, labelled: LabelledScan, settings: ProtocolSettings, meter: Meter) -> Answers:
    """The automatic result of all classes, then one object at a time: clicks in the middle of its largest error."""
    with meter.on():
        session = model.open(labelled.scan, profile=settings.profile)
        session.segment(settings.class_ids)
    for structure in labelled.structures:
        name = model.vocabulary.name(structure.class_id)
        respond = _at_session(session, structure, name)
        yield from click_structure(labelled, structure, settings, meter, respond, session.mask(name))


def run_zero_shot(model: Model, labelled: LabelledScan, settings: ProtocolSettings, meter: Meter) -> Answers:
    """The same on objects that are new to the model; with the paper's variants, if they are asked for."""
    respond_to: Callable[[Structure], Respond]
    with meter.on():
        if PaperVariant.WINDOWS in settings.variants:
            respond_to = _ClickedWindows(model, labelled, settings.profile).responder
        else:
            session = model.open(labelled.scan, profile=settings.profile)
            respond_to = partial(_at_session, session)
    for structure in labelled.structures:
        yield from click_structure(labelled, structure, settings, meter, respond_to(structure))


def click_structure(
    labelled: LabelledScan,
    structure: Structure,
    settings: ProtocolSettings,
    meter: Meter,
    respond: Respond,
    start_XYZ: Mask | None = None,
) -> Answers:
    """Click on one structure until the last number of clicks, or until nothing is wrong any more.

    Nothing is yielded for a structure that is not there.

    Args:
        labelled, structure: what to click on.
        settings: numbers of clicks, variants.
        meter: on while ``respond`` works.
        respond: answers one more click.
        start_XYZ: the mask before the first click, which is put into its largest error; without one it goes into the
            structure's middle.
    """
    truth, region = labelled.truth(structure), structure.region.slices()
    start_XYZ = np.zeros(labelled.labels_XYZ.shape, bool) if start_XYZ is None else start_XYZ

    def rounds() -> Iterator[Mask]:
        mask = start_XYZ
        given: list[VoxelClick] = []  # in voxels of the region
        while (click := next_click(truth, mask[region], labelled.scan.grid.spacing, given)) is not None:
            given.append(click)
            with meter.on():
                mask = respond(VoxelClick(plus(click.voxel, structure.region.start), click.positive))
            mask = _blanked(mask, truth, structure) if PaperVariant.BLANK in settings.variants else mask
            yield mask

    if truth.any():
        yield from answers_of_rounds(labelled, structure, rounds(), settings, meter, start_XYZ)


def answers_of_rounds(
    labelled: LabelledScan,
    structure: Structure,
    rounds: Iterator[Mask],
    settings: ProtocolSettings,
    meter: Meter,
    start_XYZ: Mask | None = None,
) -> Answers:
    """Answers at the numbers of clicks that count. Where the rounds end early, later answers are the last one.

    Args:
        labelled, structure: what is clicked on; it is there.
        rounds: the mask on the whole scan after each click.
        settings: numbers of clicks, and whether the best mask so far counts instead of the last one.
        meter: of the rounds.
        start_XYZ: the mask before them; nothing if ``None``.
    """
    truth, region = labelled.truth(structure), structure.region.slices()
    before = meter.seconds
    best = np.zeros(labelled.labels_XYZ.shape, bool) if start_XYZ is None else start_XYZ
    for count in range(1, settings.clicks[-1] + 1):
        mask = next(rounds, best)
        if PaperVariant.BEST not in settings.variants or dice(mask[region], truth) > dice(best[region], truth):
            best = mask
        if count in settings.clicks:
            yield ScoredAnswer(structure, best, count, meter.seconds - before)


def next_click(truth: Mask, predicted: Mask, spacing: Float3, given: Sequence[VoxelClick]) -> VoxelClick | None:
    """Where the user clicks next; ``None`` when nothing is wrong, or all that is wrong was clicked on to no avail.

    The same place is never clicked twice: an error that is still there after a click in its very middle is passed
    over, for this time, in favour of the next largest.
    """
    shown = predicted
    while (found := next_user_click(truth, shown, spacing)) is not None:
        click = VoxelClick(*found)
        if click not in given:
            return click
        wrong = truth & ~shown if click.positive else shown & ~truth
        shown = shown ^ components_at(wrong, [click.voxel])
    return None


def _blanked(mask: Mask, truth: Mask, structure: Structure) -> Mask:
    kept = np.zeros_like(mask)
    slices = np.flatnonzero(truth.any(axis=(0, 1))) + structure.region.start[2]
    kept[:, :, slices] = mask[:, :, slices]
    return kept


def _at_session(session: Session, structure: Structure, class_name: str | None = None) -> Respond:
    """Clicks on one object of a session: of a class, or new. What other objects did before only saves time."""
    target: int | str | None = class_name

    def respond(click: VoxelClick) -> Mask:
        nonlocal target
        if target is None:
            target = session.new_object(f"object {structure.class_id}").id
        target = session.click(click.voxel, target, click.positive, automatic=False).object_id
        assert target is not None  # clicks of this user lie in the scan
        return session.mask(target)

    return respond


class _ClickedWindows:
    """Sliding windows over the whole scan, each answering with the clicks inside it (paper facts §5).

    Every window counts, also one without a click, so the effect of a click ends where windows without it begin.
    """

    def __init__(self, model: Model, labelled: LabelledScan, profile: str) -> None:
        self.windows = WindowedScan(model, labelled, profile)
        self.points = PointNetwork(model.network)
        self.features = ByteCache[KeptFeatures](_FEATURE_BYTES)

    def responder(self, structure: Structure) -> Respond:
        """For one object, new to the model."""
        clicks: list[GridClick] = []

        def ask(window: Window, structures: Sequence[Structure]) -> Tensor:
            inside = _clicks_in(window, clicks)
            if not inside:
                return torch.full((1, *window.image_XYZ.shape), NO_PROMPT)
            features = self.features.get(window.index, lambda: self.points.encode(window.image_XYZ))
            return self.points.answer(features, inside, zero_shot=True)[None]

        def respond(click: VoxelClick) -> Mask:
            clicks.append(GridClick(self.windows.on_model_grid(click.voxel), click.positive))
            return self.windows.segment([structure], ask)[structure.class_id]

        return respond


def _clicks_in(window: Window, clicks: Sequence[GridClick]) -> list[WindowClick]:
    """The clicks that lie in a window; half-open, so that every voxel of it counts."""
    inside = []
    for click in clicks:
        place = triple(where - first for where, first in zip(click.place, window.first, strict=True))
        if all(-0.5 <= v < side - 0.5 for v, side in zip(place, window.image_XYZ.shape, strict=True)):
            inside.append(WindowClick(place, ClickLabel.of(click.positive, special=False)))
    return inside
