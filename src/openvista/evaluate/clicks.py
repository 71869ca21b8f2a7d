"""Protocols ``clicks`` and ``zero-shot-iterative``: a simulated user at the session engine (paper facts §7)."""

from collections.abc import Callable, Iterator, Sequence
from enum import Enum

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from openvista.evaluate.labelled_scan import LabelledScan, Structure
from openvista.evaluate.meter import Meter
from openvista.evaluate.oracle import unseen
from openvista.evaluate.protocol import ProtocolSettings, ScoredAnswer
from openvista.evaluate.windowed import NO_PROMPT, Window, WindowedScan
from openvista.geometry.box import plus
from openvista.geometry.components import component_near, label_components
from openvista.geometry.grid import Axis3, Float3
from openvista.metrics.masks import dice
from openvista.model import Model
from openvista.network import ClickLabel
from openvista.session.byte_cache import ByteCache
from openvista.session.click_engine import KeptFeatures, PointNetwork, WindowClick
from openvista.session.session import Session
from openvista.simulate.user import first_user_click, next_user_click

Mask = NDArray[np.bool_]
Given = tuple[Axis3, bool]
"""A click in voxels of the scan, and whether it is positive."""
Respond = Callable[[Given], Mask]
"""One more click to the mask [X, Y, Z] on the whole scan after it."""


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


def click_structure(
    labelled: LabelledScan, structure: Structure, settings: ProtocolSettings, meter: Meter, respond: Respond
) -> Iterator[ScoredAnswer]:
    """Click on one structure until the last number of clicks, or until nothing is wrong any more.

    Nothing is yielded for a structure that is not there. Where the user stops early, later answers are the last one.

    Args:
        labelled, structure: what to click on.
        settings: numbers of clicks, habits.
        meter: on while ``respond`` works.
        respond: answers one more click.
    """
    truth, region = labelled.truth(structure), structure.region.slices()
    if not truth.any():
        return
    before = meter.seconds
    mask = best = np.zeros(labelled.labels_XYZ.shape, bool)
    given: list[Given] = []
    for count in range(1, settings.clicks[-1] + 1):
        click = next_click(truth, mask[region], labelled.scan.grid.spacing, given)
        if click is not None:
            given.append(click)
            with meter.on():
                mask = respond(_on_scan(click, structure))
            mask = _blanked(mask, truth, structure) if PaperVariant.BLANK in settings.variants else mask
        if PaperVariant.BEST not in settings.variants or dice(mask[region], truth) > dice(best[region], truth):
            best = mask
        if count in settings.clicks:
            yield ScoredAnswer(structure, best, count, meter.seconds - before)


def next_click(truth: Mask, predicted: Mask, spacing: Float3, given: list[Given]) -> Given | None:
    """Where the user clicks next; ``None`` when nothing is wrong, or all that is wrong was clicked on to no avail.

    The same place is never clicked twice: an error that is still there after a click in its very middle is passed
    over, for this time, in favour of the next largest.
    """
    if not given:
        return first_user_click(truth, spacing), True
    shown = predicted
    while (click := next_user_click(truth, shown, spacing)) is not None and click in given:
        voxel, positive = click
        wrong = truth & ~shown if positive else shown & ~truth
        labels, _ = label_components(wrong)
        shown = shown ^ (labels == component_near(labels, voxel, 0))
    return click


def _on_scan(click: Given, structure: Structure) -> Given:
    """From voxels of the region to voxels of the scan."""
    return plus(click[0], structure.region.start), click[1]


def _blanked(mask: Mask, truth: Mask, structure: Structure) -> Mask:
    kept = np.zeros_like(mask)
    slices = np.flatnonzero(truth.any(axis=(0, 1))) + structure.region.start[2]
    kept[:, :, slices] = mask[:, :, slices]
    return kept


_FEATURE_BYTES = 2 << 30
"""Of windows' features that are kept for the next click."""


def run_clicks(
    model: Model, labelled: LabelledScan, settings: ProtocolSettings, meter: Meter
) -> Iterator[ScoredAnswer]:
    """One object at a time, clicked without an automatic result to start from.

    The model is told the class of an object that it knows, as it is when a user clicks on a named object; any other
    is new to it.
    """
    with meter.on():
        session = model.open(labelled.scan, profile=settings.profile)
    for structure in labelled.structures:
        name = None if unseen(model, structure) else model.vocabulary.name(structure.class_id)
        respond = _at_session(session, f"object {structure.class_id}", name)
        yield from click_structure(labelled, structure, settings, meter, respond)


def run_zero_shot(
    model: Model, labelled: LabelledScan, settings: ProtocolSettings, meter: Meter
) -> Iterator[ScoredAnswer]:
    """The same on objects that are new to the model; with the paper's habits, if they are asked for."""
    with meter.on():
        respond_to = _responders(model, labelled, settings)
    for structure in labelled.structures:
        yield from click_structure(labelled, structure, settings, meter, respond_to(structure))


def _responders(model: Model, labelled: LabelledScan, settings: ProtocolSettings) -> Callable[[Structure], Respond]:
    if PaperVariant.WINDOWS in settings.variants:
        windows = _ClickedWindows(model, labelled, settings.profile)
        return windows.responder
    session = model.open(labelled.scan, profile=settings.profile)
    return lambda structure: _at_session(session, f"object {structure.class_id}", None)


def _at_session(session: Session, new_name: str, class_name: str | None) -> Respond:
    """Clicks on one object of a session: of a class, or new. What other objects did before only saves time."""
    object_id: int | None = None

    def respond(click: Given) -> Mask:
        nonlocal object_id
        voxel, positive = click
        if object_id is None and class_name is None:
            object_id = session.new_object(new_name).id
        target = class_name if object_id is None else object_id
        answered = session.click(voxel, target, positive, automatic=False).object_id
        object_id = answered if object_id is None else object_id
        assert object_id is not None  # clicks of this user lie in the scan
        return session.mask(object_id)

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
        clicks: list[tuple[Float3, bool]] = []

        def ask(window: Window, structures: Sequence[Structure]) -> Tensor:
            tokens = _tokens_in(window, clicks)
            if not tokens:
                return torch.full((1, *window.image_XYZ.shape), NO_PROMPT)
            features = self.features.get(window.index, lambda: self.points.encode(window.image_XYZ))
            return self.points.answer(features, tokens, zero_shot=True)[None]

        def respond(click: Given) -> Mask:
            clicks.append((self.windows.on_model_grid(click[0]), click[1]))
            return self.windows.segment([structure], ask)[structure.class_id]

        return respond


def _tokens_in(window: Window, clicks: Sequence[tuple[Float3, bool]]) -> list[WindowClick]:
    """The clicks that lie in a window; half-open, so that every voxel of it counts."""
    tokens = []
    for place, positive in clicks:
        x, y, z = (where - first for where, first in zip(place, window.first, strict=True))
        inside = all(-0.5 <= v < side - 0.5 for v, side in zip((x, y, z), window.image_XYZ.shape, strict=True))
        if inside:
            tokens.append(WindowClick((x, y, z), ClickLabel.POSITIVE if positive else ClickLabel.NEGATIVE))
    return tokens
