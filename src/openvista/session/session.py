"""Session: one scan, any number of objects, clicks, undo. What interactive users of the library hold in their hands."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openvista.anatomy.colours import Colour
from openvista.anatomy.vocabulary import ClassItem
from openvista.errors import PromptError
from openvista.inference.profiles import Profile
from openvista.inference.progress import Report, silent
from openvista.io.session_file import write_session
from openvista.prompts import Click
from openvista.scan import Scan, Segmentation
from openvista.session.answer import Answer, answer_clicks
from openvista.session.drawing import clicks_of_box, clicks_of_lasso, clicks_of_scribble, fill_contour
from openvista.session.history import Event, History
from openvista.session.label_maps import import_items, make_layers, make_segmentation
from openvista.session.open_scan import OpenScan, SessionModel
from openvista.session.state import ObjectState, SessionState, class_items, find_object, new_item, renamed

Contour = tuple[Sequence[Sequence[float]], int, int]
"""Points along the two axes of a slice, the slice's axis, its index."""


@dataclass(frozen=True)
class SessionObject:
    """An object of a session: what it tells is always the present.

    Every property raises ``PromptError`` once the object is gone.

    Attributes:
        session: where it lives.
        id: its value in label maps.
    """

    session: "Session" = field(repr=False)
    id: int

    @property
    def state(self) -> ObjectState:
        """Name, class, colour, clicks, lock."""
        return find_object(self.session.state, self.id)

    @property
    def name(self) -> str:
        """What it is called."""
        return self.state.name

    @property
    def clicks(self) -> tuple[Click, ...]:
        """The user's clicks on it, oldest first."""
        return self.state.description.clicks

    @property
    def mask(self) -> NDArray[np.bool_]:
        """[X, Y, Z] where it is, on the scan's own voxels, whatever lies over it."""
        return self.session.mask(self)


ObjectRef = SessionObject | int | str
"""An object by handle, id or name; for prompts also a class by any of its names, which makes an object for it."""


class Session:
    """A scan with objects on it. Lazy: nothing is computed before it is asked for. Not for several threads at once.

    Made by :meth:`openvista.Model.open`.

    Args:
        model: what answers.
        scan: HU on its own grid, any orientation and spacing.
        profile: the choices.
        feature_budget: bytes of whole-scan features that may be kept in memory, half of what is free if ``None``; more
            go to disk.
    """

    def __init__(self, model: SessionModel, scan: Scan, profile: Profile, feature_budget: int | None = None) -> None:
        self.scan, self.profile = scan, profile
        self.bench = OpenScan(model, scan, profile, feature_budget)
        self.history = History()

    # --- what is there ------------------------------------------------------------------------------------------

    @property
    def state(self) -> SessionState:
        """All objects, as plain values."""
        return self.history.state

    @property
    def objects(self) -> tuple[SessionObject, ...]:
        """All objects, in order: later ones lie on top."""
        return tuple(SessionObject(self, item.id) for item in self.state.objects)

    @property
    def events(self) -> tuple[Event, ...]:
        """Everything that was done, with time and prompt; see :mod:`openvista.session.replay`."""
        return tuple(self.history.events)

    def object(self, which: ObjectRef) -> SessionObject:
        """An object by handle, id or name.

        Raises:
            PromptError: it is not there.
        """
        return SessionObject(self, self._find(which).id)

    # --- objects ------------------------------------------------------------------------------------------------

    def segment(
        self, classes: ClassItem | Sequence[ClassItem] | None = None, progress: Report = silent
    ) -> list[SessionObject]:
        """Objects from the automatic branch. The scan is encoded once; a class asked for later costs a dot product.

        Args:
            classes: names, aliases and ids, groups among them; ``None`` for every class that the model knows and that
                does not overlap others. An object that has clicks of its own keeps them as corrections.
            progress: told after every window.

        Raises:
            AnatomyError: a class that nobody, or this model, knows.
            ModelError: the model answers no class prompts.
        """
        ids = self.bench.model.vocabulary.expand(classes)
        items = class_items(self.state, self.bench.model.vocabulary, ids)
        self.bench.ensure_automatic(ids, progress)
        self._do(self._with(items), "segment", {"classes": ids})
        return [SessionObject(self, item.id) for item in items]

    def new_object(self, name: str, colour: Colour | None = None) -> SessionObject:
        """A new object that no class describes (zero-shot); empty until it is clicked on.

        Raises:
            PromptError: the name cannot be used. One that is taken gets a number.
        """
        item = new_item(self.state, self.bench.model.vocabulary, name, colour, zero_shot=True)
        self._do(self._with([item]), "new_object", {"name": item.name, "colour": list(item.colour)})
        return SessionObject(self, item.id)

    def start_from(self, segmentation: Segmentation, labels: Sequence[int | str] | None = None) -> list[SessionObject]:
        """Objects from an existing segmentation, to be corrected by clicks, or to be respected by others once locked.

        Where clicks change nothing they stay as they are, to the voxel.

        Args:
            segmentation: on the scan's grid.
            labels: which of its structures, all that have voxels if ``None``. One that is called like a class of the
                model is taken for it.

        Raises:
            GridError: it lies on another grid.
            AnatomyError: it has no such structure.
        """
        items, details = import_items(self.state, self.bench, segmentation, labels)
        self._do(self._with(items), "start_from", details)
        return [SessionObject(self, item.id) for item in items]

    def change(
        self,
        which: ObjectRef,
        *,
        name: str | None = None,
        colour: Colour | None = None,
        locked: bool | None = None,
        visible: bool | None = None,
    ) -> None:
        """Rename, recolour, lock or hide an object; only what is given changes.

        Raises:
            PromptError: there is no such object, or the name cannot be used.
        """
        item = self._find(which)
        changed = item if name is None else renamed(self.state, item, name)
        changed = replace(
            changed,
            colour=item.colour if colour is None else colour,
            locked=item.locked if locked is None else locked,
            visible=item.visible if visible is None else visible,
        )
        given = {"name": name, "colour": colour and list(colour), "locked": locked, "visible": visible}
        details = {key: value for key, value in given.items() if value is not None}
        self._do(self._with([changed]), "change", {"object": item.name, **details})

    def remove(self, which: ObjectRef) -> None:
        """Take an object away.

        Raises:
            PromptError: there is none, or it is locked.
        """
        item = self._find(which)
        if item.locked:
            raise PromptError(f"object {item.name!r} is locked: unlock it first")
        self._do(self.state.without(item.id), "remove", {"object": item.name})

    def move(self, which: ObjectRef, position: int) -> None:
        """Put an object at another place of the order: 0 lies lowest, -1 on top of all.

        Raises:
            PromptError: there is no such object.
        """
        item = self._find(which)
        place = len(self.state.objects) - 1 if position == -1 else position
        self._do(self.state.moved(item.id, place), "move", {"object": item.name, "position": place})

    # --- prompts ----------------------------------------------------------------------------------------------

    def click(
        self, voxel: Sequence[float], object: ObjectRef | None = None, positive: bool = True, **choices: Any
    ) -> Answer:
        """One click; see :meth:`clicks` for the choices.

        Args:
            voxel: x, y, z in voxels of the scan; 0 is the centre of the first voxel. In mm with ``world=True``.
            object: what it is on.
            positive: the object is there; False: it is not.
        """
        x, y, z = voxel
        return self.clicks([Click((x, y, z), positive)], object, **choices)

    def clicks(
        self,
        clicks: Sequence[Click],
        object: ObjectRef | None = None,
        *,
        world: bool = False,
        grow: bool | None = None,
        automatic: bool | None = None,
        progress: Report = silent,
    ) -> Answer:
        """Clicks on one object, answered together and undone together.

        Args:
            clicks: in voxels of the scan.
            object: handle, id or name of an object; or a class, which makes an object that starts from its automatic
                result; ``None`` for the unnamed object.
            world: they are in RAS+ mm.
            grow: whether the mask goes on into neighbouring windows; the profile's choice if ``None``.
            automatic: whether an object made for a class starts from its automatic result; ``None``: if the model has
                an automatic branch.
            progress: told about windows.

        Returns:
            What was done. Clicks outside the scan change nothing, and the answer says so.

        Raises:
            PromptError: the object is locked, or a group.
            AnatomyError: nothing is called so.
            ModelError: the model answers no clicks.
        """
        clicks = [self._in_voxels(click) for click in clicks] if world else list(clicks)
        choices = {"grow": grow, "automatic": automatic}
        return self._prompt(clicks, object, "clicks", _details(clicks), choices, progress)

    def box(
        self, box: Sequence[Sequence[float]], object: ObjectRef | None = None, positive: bool = True, **choices: Any
    ) -> Answer:
        """A box around an object, or on one slice: turned into clicks (:mod:`openvista.session.drawing`).

        Args:
            box: (first, stop) along X, Y, Z in voxels of the scan, half-open.
            object, choices: as for :meth:`clicks`, without ``world``.
            positive: False: the object is not in there.
        """
        clicks = clicks_of_box(box, self.scan.grid.shape, positive)
        details = {"box": [list(side) for side in box], "positive": positive}
        return self._drawn(clicks, object, "box", details, **choices)

    def scribble(
        self,
        drawn: NDArray[np.bool_] | Sequence[Sequence[float]],
        object: ObjectRef | None = None,
        positive: bool = True,
        **choices: Any,
    ) -> Answer:
        """A stroke as a mask [X, Y, Z] or as the voxels it went through: turned into clicks, as :meth:`box`."""
        clicks = clicks_of_scribble(drawn, positive)
        if isinstance(drawn, np.ndarray):
            return self._drawn(clicks, object, "clicks", _details(clicks), **choices)
        details = {"points": [list(point) for point in drawn], "positive": positive}
        return self._drawn(clicks, object, "scribble", details, **choices)

    def lasso(
        self, drawn: NDArray[np.bool_] | Contour, object: ObjectRef | None = None, positive: bool = True, **choices: Any
    ) -> Answer:
        """A closed contour on a slice, as a filled mask [X, Y, Z] or as (points, axis, index): turned into clicks."""
        if isinstance(drawn, np.ndarray):
            clicks = clicks_of_lasso(drawn, positive)
            return self._drawn(clicks, object, "clicks", _details(clicks), **choices)
        points, axis, index = drawn
        clicks = clicks_of_lasso(fill_contour(points, axis, index, self.scan.grid.shape), positive)
        details = {"points": [list(p) for p in points], "axis": axis, "index": index, "positive": positive}
        return self._drawn(clicks, object, "lasso", details, **choices)

    # --- time ---------------------------------------------------------------------------------------------------

    def is_undone(self, event: Event) -> bool:
        """Whether what an event changed is not part of the present state."""
        return self.history.is_undone(event)

    @property
    def can_undo(self) -> bool:
        """Whether there is something to undo."""
        return len(self.history.past) > 1

    @property
    def can_redo(self) -> bool:
        """Whether there is something to redo."""
        return bool(self.history.future)

    @property
    def revision(self) -> int:
        """Grows with every change, undo and redo."""
        return self.history.revision

    def undo(self) -> bool:
        """Take back the last change, as often as there is one; False if there is none."""
        return self.history.undo()

    def redo(self) -> bool:
        """Take back the last undo; False if there is none."""
        return self.history.redo()

    # --- results ------------------------------------------------------------------------------------------------

    def mask(self, which: ObjectRef) -> NDArray[np.bool_]:
        """[X, Y, Z] where an object is, on the scan's own voxels, whatever lies over it.

        Raises:
            PromptError: there is no such object.
        """
        part = self.bench.show(self._find(which))
        result = np.zeros(self.scan.grid.shape, dtype=bool)
        result[part.slices] = part.values_XYZ > 0
        return result

    def segmentation(self, overlap: str = "order") -> Segmentation:
        """One label map of all objects on the scan's grid.

        Args:
            overlap: who gets voxels that several objects claim. ``"order"``: later objects lie on top, what was clicked
                on top of automatic results, and these share by the larger logit. ``"logit"``: the larger logit. Nothing
                is taken from locked objects. What somebody lost is logged as a warning, and written down in the
                provenance.

        Raises:
            InputError: no such policy.
        """
        return make_segmentation(self.bench, self.state, self.events, overlap)

    def layers(self) -> list[Segmentation]:
        """As few label maps as it takes for every object to keep all its voxels."""
        return make_layers(self.bench, self.state, self.events)

    def save(self, path: str | Path) -> Path:
        """Write all of it to one file, ``.ovsession``; :meth:`openvista.Model.open` brings it back bit by bit.

        Raises:
            OutputError: it cannot be written there.
        """
        from openvista.session.store import pack  # that one needs this one

        return write_session(pack(self), path)

    # --- inside -------------------------------------------------------------------------------------------------

    def _find(self, which: ObjectRef) -> ObjectState:
        return find_object(self.state, which.id if isinstance(which, SessionObject) else which)

    def _with(self, items: Sequence[ObjectState]) -> SessionState:
        state = self.state
        for item in items:
            state = state.with_object(item)
        return state

    def _do(self, state: SessionState, action: str, details: Mapping[str, Any]) -> None:
        if state != self.state:
            self.history.do(state, action, details)

    def _prompt(
        self,
        clicks: Sequence[Click],
        which: ObjectRef | None,
        action: str,
        details: Mapping[str, Any],
        choices: Mapping[str, bool | None],
        progress: Report,
    ) -> Answer:
        wanted = self._find(which).id if isinstance(which, SessionObject) else which
        state, answer = answer_clicks(self.bench, self.state, clicks, wanted, **choices, progress=progress)
        asked = state.find(answer.name)
        if which is not None and asked is not None:
            told = {"object": answer.name, "class": asked.description.class_id, **details}
        else:
            told = {"object": None, **details}
        self._do(state, action, told | {key: value for key, value in choices.items() if value is not None})
        return answer

    def _in_voxels(self, click: Click) -> Click:
        x, y, z = self.scan.grid.to_voxel(np.array([click.voxel]))[0].tolist()
        return Click((x, y, z), click.positive)

    def _drawn(
        self, clicks: Sequence[Click], which: ObjectRef | None, action: str, details: Mapping[str, Any], **choices: Any
    ) -> Answer:
        progress = choices.pop("progress", silent)
        if unknown := set(choices) - {"grow", "automatic"}:
            raise TypeError(f"unexpected argument {sorted(unknown)[0]!r}")
        return self._prompt(clicks, which, action, details, choices, progress)


def _details(clicks: Sequence[Click]) -> dict[str, Any]:
    return {"clicks": [[*click.voxel, click.positive] for click in clicks]}
