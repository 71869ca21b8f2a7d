"""A prompt answered: from clicks on a state to the next state, and to what the user should know."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from openvista.geometry.box import Box
from openvista.geometry.grid import Axis3
from openvista.inference.progress import Report, silent
from openvista.prompts import Click, is_inside, shown_voxel, voxel_of
from openvista.session.drawing import Drawn
from openvista.session.grow import GROW_LIMIT
from openvista.session.open_scan import OpenScan
from openvista.session.state import AUTOMATIC, MaskInputs, SessionState, find_or_make


@dataclass(frozen=True)
class Answer:
    """The answer to a prompt.

    Attributes:
        name: of the object.
        object_id: of the object; ``None`` if there is none because no click was usable.
        clicks: those that were used.
        action: the prompt: ``"clicks"``, ``"box"``, ``"scribble"`` or ``"lasso"``. Clicks that a drawing was turned
            into count like any, but the notes speak of the drawing.
        outside: those that lie outside the scan; they changed nothing.
        in_air: those that lie in air outside the body; they were used all the same.
        unseen: negative ones that no window of the object holds; they count as soon as one does.
        edited: those that contradict voxels which edits decided: these stay.
        encoded: windows that went through the encoder; 0 when all were known already.
        grown: windows that growing opened.
        goes_on: growing met its limit: the object may be larger.
        empty: the object has no voxel.
        changed: the voxels of the scan that may have changed: first, and the one after the last; ``None`` if none.
        seconds: it took.
        shape: of the scan.
    """

    name: str
    object_id: int | None
    clicks: tuple[Click, ...] = ()
    action: str = "clicks"
    outside: tuple[Click, ...] = ()
    in_air: tuple[Click, ...] = ()
    unseen: tuple[Click, ...] = ()
    edited: tuple[Click, ...] = ()
    encoded: int = 0
    grown: int = 0
    goes_on: bool = False
    empty: bool = False
    changed: Box | None = None
    seconds: float = 0.0
    shape: Axis3 = field(default=(0, 0, 0), repr=False)

    @property
    def notes(self) -> list[str]:
        """What the user should know, one line each; empty when all is well."""
        lines = self._of_clicks() if self.action == "clicks" else self._of_drawing()
        if self.empty and self.clicks:
            lines.append(
                f"the mask of {self.name!r} is empty: the model finds nothing there; click in the middle of it"
            )
        elif self.clicks and self.changed is None and not {*self.unseen, *self.edited}.intersection(self._own):
            lines.append(
                f"nothing changed in {self.name!r}: the model sees nothing else there; click in the middle of the error"
            )
        if self.goes_on:
            lines.append(f"{self.name!r} goes on beyond {self.grown} windows: click where it should go on growing")
        return lines

    def _of_clicks(self) -> list[str]:
        outside, in_air, unseen, edited = (
            [shown_voxel(click.voxel) for click in clicks]
            for clicks in (self.outside, self.in_air, self.unseen, self.edited)
        )
        lines = [f"click {place} lies outside the scan of shape {self.shape}: it changed nothing" for place in outside]
        lines += [f"click {place} lies in air outside the body" for place in in_air]
        lines += [
            f"negative click {place} lies outside every window of {self.name!r}: it counts once a positive click "
            "opens one there"
            for place in unseen
        ]
        return lines + [f"click {place} lies where {self._edits_stay}" for place in edited]

    def _of_drawing(self) -> list[str]:
        """The same of what was drawn."""
        own = self._own

        def lies(clicks: Sequence[Click], where: str) -> list[str]:
            found = [click for click in own if click in clicks]
            part = "" if len(found) == len(own) else "a part of "
            return [f"{part}the {self.action} lies {where}"] if found else []

        lines = lies(self.in_air, "in air outside the body")
        lines += lies(
            self.unseen, f"outside every window of {self.name!r}: it counts once a positive click opens one there"
        )
        lines += lies(self.edited, f"where {self._edits_stay}")
        if self.outside:
            part = "a part of " if own else ""
            lines.insert(0, f"{part}the {self.action} lies outside the scan of shape {self.shape}: it changed nothing")
        return lines

    @property
    def _own(self) -> list[Click]:
        """The clicks that notes are about: of a drawing not those of the other sign, such as those around a box."""
        return [click for click in self.clicks if self.action == "clicks" or click.positive == self.clicks[0].positive]

    @property
    def _edits_stay(self) -> str:
        return f"{self.name!r} was edited by hand, which clicks do not change: paint or erase there"


def answer_clicks(
    open_scan: OpenScan,
    state: SessionState,
    drawn: Drawn,
    wanted: int | str | None,
    grow: bool | None = None,
    automatic: bool | None = None,
    progress: Report = silent,
) -> tuple[SessionState, Answer]:
    """The state after a prompt on one object; the same state if none of its clicks lies in the scan.

    Args: as :meth:`openvista.session.session.Session.clicks`.
    """
    began = time.perf_counter()
    if automatic is None:
        automatic = open_scan.model.automatic is not None
    item, shape = find_or_make(state, open_scan.model.vocabulary, wanted, automatic), open_scan.scan.grid.shape
    there, clicks = state.find(item.id), drawn.marked
    usable = tuple(click for click in clicks if is_inside(click, shape))
    outside = tuple(click for click in clicks if not is_inside(click, shape))
    if not usable:
        there_id = there.id if there else None
        return state, Answer(item.name, there_id, action=drawn.action, outside=outside, shape=shape)
    if open_scan.model.clicks is not None:  # without a point branch nothing should be computed
        open_scan.prepare(progress)
    masks = open_scan.object_masks
    if item.inputs.base == AUTOMATIC and item.inputs.class_id is not None:
        open_scan.ensure_automatic([item.inputs.class_id], progress)
    known = masks.engine.features.made
    limit = GROW_LIMIT if (open_scan.profile.grow if grow is None else grow) else 0
    extended = masks.add_clicks(item.inputs.unedited, usable, limit, progress)
    mask = open_scan.object_mask(extended.inputs, progress).mask
    edits = open_scan.edits.decided_by(item.inputs.edits)
    inputs = replace(extended.inputs, edits=item.inputs.edits)
    answer = Answer(
        name=item.name,
        object_id=item.id,
        clicks=usable,
        action=drawn.action,
        outside=outside,
        in_air=tuple(click for click in usable if open_scan.in_air(click.voxel)),
        unseen=extended.unseen,
        edited=tuple(click for click in usable if edits.at(voxel_of(click), 0) == (-1 if click.positive else 1)),
        encoded=masks.engine.features.made - known,
        grown=extended.grown,
        goes_on=extended.goes_on,
        empty=not mask.values_XYZ.any() and not (edits.values_XYZ > 0).any(),
        changed=open_scan.changed_box(there.inputs if there else MaskInputs(), inputs),
        seconds=time.perf_counter() - began,
        shape=shape,
    )
    return state.with_objects([replace(item, inputs=inputs)]), answer
