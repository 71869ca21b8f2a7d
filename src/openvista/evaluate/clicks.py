"""Protocols ``clicks`` and ``zero-shot-iterative``: a simulated user at the session engine (paper facts §7)."""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from openvista.evaluate.answers import Answer, Settings
from openvista.evaluate.clicking import Given, Habit, Mask, Respond, click_structure
from openvista.evaluate.labelled import LabelledScan, Structure
from openvista.evaluate.meter import Meter
from openvista.evaluate.oracle import unseen
from openvista.evaluate.windowed import NO_PROMPT, Window, WindowedScan
from openvista.geometry.grid import Float3
from openvista.model import Model
from openvista.network import ClickLabel
from openvista.session.byte_cache import ByteCache
from openvista.session.click_engine import KeptFeatures, PointNetwork, Token
from openvista.session.session import Session

_FEATURE_BYTES = 2 << 30
"""Of windows' features that are kept for the next click."""


def answer_clicks(model: Model, labelled: LabelledScan, settings: Settings, meter: Meter) -> Iterator[Answer]:
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


def answer_zero_shot(model: Model, labelled: LabelledScan, settings: Settings, meter: Meter) -> Iterator[Answer]:
    """The same on objects that are new to the model; with the paper's habits, if they are asked for."""
    with meter.on():
        respond_to = _responders(model, labelled, settings)
    for structure in labelled.structures:
        yield from click_structure(labelled, structure, settings, meter, respond_to(structure))


def _responders(model: Model, labelled: LabelledScan, settings: Settings) -> Callable[[Structure], Respond]:
    if Habit.WINDOWS in settings.habits:
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


def _tokens_in(window: Window, clicks: Sequence[tuple[Float3, bool]]) -> list[Token]:
    """The clicks that lie in a window; half-open, so that every voxel of it counts."""
    tokens = []
    for place, positive in clicks:
        x, y, z = (where - first for where, first in zip(place, window.first, strict=True))
        inside = all(-0.5 <= v < side - 0.5 for v, side in zip((x, y, z), window.image_XYZ.shape, strict=True))
        if inside:
            tokens.append(Token((x, y, z), ClickLabel.POSITIVE if positive else ClickLabel.NEGATIVE))
    return tokens
