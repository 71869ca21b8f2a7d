"""Session: one scan, any number of objects, clicks, undo. What interactive users of the library hold in their hands."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from openvista.anatomy.colours import Colour
from openvista.anatomy.vocabulary import ClassItem
from openvista.errors import PromptError
from openvista.inference.profiles import Profile
from openvista.inference.progress import Report, silent
from openvista.io.session_file import SessionContents, write_session
from openvista.prompts import Click
from openvista.scan import Scan, Segmentation
from openvista.session.answer import Answer, answer_clicks
from openvista.session.drawing import Contour, Drawn, draw_box, draw_lasso, draw_scribble
from openvista.session.editing import Edited, apply_edit
from openvista.session.edits import Edit, log_edit
from openvista.session.handle import SessionObject
from openvista.session.history import Event, History
from openvista.session.label_maps import import_items, make_layers, make_segmentation
from openvista.session.open_scan import OpenScan, SessionModel
from openvista.session.state import ObjectState, SessionState, class_items, find_object, new_item, renamed
from openvista.session.store import pack, unpack

if TYPE_CHECKING:
    from openvista.widgets.clicking import SessionViewer

ObjectRef = SessionObject | int | str
"""An object by handle, id or name; for prompts also a class by any of its names, which makes an object for it."""


class Session:
    """A scan with objects on it. Nothing is computed before it is asked for. Not for several threads at once.

    Made by :meth:`openvista.Model.open`.

    Args:
        model: what answers.
        scan: HU on its own grid, any orientation and spacing.
        profile: the choices.
        feature_budget: bytes of whole-scan features that may be kept in memory, half of what is free if ``None``; more
            go to disk.

    Attributes:
        open_scan: what it computes with, and what is kept of that.
        history: its states and its log.
    """

    def __init__(self, model: SessionModel, scan: Scan, profile: Profile, feature_budget: int | None = None) -> None:
        self.scan, self.profile = scan, profile
        self.open_scan = OpenScan(model, scan, profile, feature_budget)
        self.history = History()

    @classmethod
    def restored(
        cls, contents: SessionContents, model: SessionModel, scan: Scan, feature_budget: int | None = None
    ) -> "Session":
        """The session that :meth:`contents` tells of.

        Raises:
            SessionError: it belongs to another scan or another model, or is not complete.
        """
        history, open_scan = unpack(contents, model, scan, feature_budget)
        session = cls(model, scan, open_scan.profile)
        session.history, session.open_scan = history, open_scan
        return session

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
        ids = self.open_scan.model.vocabulary.expand(classes)
        items = class_items(self.state, self.open_scan.model.vocabulary, ids)
        self.open_scan.ensure_automatic(ids, progress)
        return self._do_with(items, "segment", {"classes": ids})

    def new_object(self, name: str, colour: Colour | None = None) -> SessionObject:
        """A new object that no class describes (zero-shot); empty until it is clicked on.

        Raises:
            PromptError: the name cannot be used. One that is taken gets a number.
        """
        item = new_item(self.state, self.open_scan.model.vocabulary, name, colour, zero_shot=True)
        return self._do_with([item], "new_object", {"name": item.name, "colour": list(item.colour)})[0]

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
        items, details = import_items(self.state, self.open_scan, segmentation, labels)
        return self._do_with(items, "start_from", details)

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
        given = {"name": name, "colour": colour, "locked": locked, "visible": visible}
        details: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
        changed = item if name is None else renamed(self.state, item, name)
        changed = replace(changed, **{**details, "name": changed.name})
        if colour is not None:
            details["colour"] = list(colour)
        self._do_with([changed], "change", {"object": item.name, **details})

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
        return self._prompt(Drawn.of_clicks(clicks), object, grow, automatic, progress)

    def box(
        self, box: Sequence[Sequence[float]], object: ObjectRef | None = None, positive: bool = True, **choices: Any
    ) -> Answer:
        """A box around an object, or on one slice: turned into clicks (:mod:`openvista.session.drawing`).

        Args:
            box: (first, stop) along X, Y, Z in voxels of the scan, half-open.
            object, choices: as for :meth:`clicks`, without ``world``.
            positive: False: the object is not in there.
        """
        return self._prompt(draw_box(box, self.scan.grid.shape, positive), object, **choices)

    def scribble(
        self,
        drawn: NDArray[np.bool_] | Sequence[Sequence[float]],
        object: ObjectRef | None = None,
        positive: bool = True,
        **choices: Any,
    ) -> Answer:
        """A stroke as a mask [X, Y, Z] or as the voxels it went through: turned into clicks, as :meth:`box`."""
        return self._prompt(draw_scribble(drawn, positive), object, **choices)

    def lasso(
        self, drawn: NDArray[np.bool_] | Contour, object: ObjectRef | None = None, positive: bool = True, **choices: Any
    ) -> Answer:
        """A closed contour on a slice, as a filled mask [X, Y, Z] or as (points, axis, index): turned into clicks."""
        return self._prompt(draw_lasso(drawn, self.scan.grid.shape, positive), object, **choices)

    def edit(self, edit: Edit, object: ObjectRef | None = None) -> Edited:
        """Change a mask by hand: paint, fill, smooth, ... (:mod:`openvista.session.edits`). No network is asked.

        Args:
            edit: what to do, in voxels and mm of the scan.
            object: as for :meth:`clicks`; an object made for a class starts empty.

        Raises:
            PromptError: the object is locked, or a group, or what was drawn lies outside the scan.
            AnatomyError: nothing is called so.
        """
        state, edited = apply_edit(self.open_scan, self.state, edit, self._wanted(object))
        about = self._about(state, object, edited.name)
        self._do(state, "edit", {**about, "edit": log_edit(edit)})
        return edited

    # --- time ---------------------------------------------------------------------------------------------------

    def is_undone(self, event: Event) -> bool:
        """Whether an event's change is not part of the present state."""
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
        result = np.zeros(self.scan.grid.shape, dtype=bool)
        for crop in self.open_scan.show(self._find(which)).crops:
            result[crop.slices] |= crop.values_XYZ > 0
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
        return make_segmentation(self.open_scan, self.state, self.events, overlap)

    def layers(self) -> list[Segmentation]:
        """As few label maps as it takes for every object to keep all its voxels."""
        return make_layers(self.open_scan, self.state, self.events)

    def save(self, path: str | Path) -> Path:
        """Write all of it to one file, ``.ovsession``; :meth:`openvista.Model.open` brings it back bit by bit.

        Raises:
            OutputError: it cannot be written there.
        """
        return write_session(self.contents(), path)

    def contents(self) -> SessionContents:
        """What :meth:`save` writes. Masks are not copied, so this is quick."""
        return pack(self.history, self.open_scan)

    def view(self, height: int | None = None) -> "SessionViewer":
        """A widget for notebooks: planes, 3D, clicks, undo, table; ``height`` in pixels. See :func:`openvista.view`."""
        from openvista.widgets import view_session  # widgets stands above session: loaded only when needed

        return view_session(self, height)

    # --- inside -------------------------------------------------------------------------------------------------

    def _find(self, which: ObjectRef) -> ObjectState:
        return find_object(self.state, which.id if isinstance(which, SessionObject) else which)

    def _do(self, state: SessionState, action: str, details: Mapping[str, Any]) -> None:
        if state != self.state:
            self.history.do(state, action, details)

    def _do_with(self, items: Sequence[ObjectState], action: str, details: Mapping[str, Any]) -> list[SessionObject]:
        """Add or change objects; gives back handles on them."""
        self._do(self.state.with_objects(items), action, details)
        return [SessionObject(self, item.id) for item in items]

    def _prompt(
        self,
        drawn: Drawn,
        which: ObjectRef | None,
        grow: bool | None = None,
        automatic: bool | None = None,
        progress: Report = silent,
    ) -> Answer:
        wanted = self._wanted(which)
        state, answer = answer_clicks(self.open_scan, self.state, drawn, wanted, grow, automatic, progress)
        about = self._about(state, which, answer.name)
        given = {key: value for key, value in (("grow", grow), ("automatic", automatic)) if value is not None}
        self._do(state, drawn.action, {**about, **drawn.details, **given})
        return answer

    def _wanted(self, which: ObjectRef | None) -> int | str | None:
        return self._find(which).id if isinstance(which, SessionObject) else which

    def _about(self, state: SessionState, which: ObjectRef | None, name: str) -> dict[str, Any]:
        """What the log says about the object of a prompt."""
        asked = None if which is None else state.find(name)
        return {"object": name, "class": asked.inputs.class_id} if asked else {"object": None}

    def _in_voxels(self, click: Click) -> Click:
        x, y, z = self.scan.grid.to_voxel(np.array([click.voxel]))[0].tolist()
        return Click((x, y, z), click.positive)
