"""A prompt answered: from clicks on a state to the next state, and to what the user should know."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from openvista.errors import PromptError
from openvista.geometry.box import Box
from openvista.geometry.grid import Axis3
from openvista.inference.progress import Report, silent
from openvista.prompts import Click, check_inside
from openvista.session.grow import GROW_LIMIT
from openvista.session.open_scan import OpenScan
from openvista.session.state import AUTOMATIC, MaskInputs, ObjectState, SessionState, find_or_make


@dataclass(frozen=True)
class Answer:
    """The answer to a prompt.

    Attributes:
        name: of the object.
        object_id: of the object; ``None`` if there is none because no click was usable.
        clicks: those that were used.
        outside: those that lie outside the scan; they changed nothing.
        in_air: those that lie in air outside the body; they were used all the same.
        unseen: negative ones that no window of the object holds; they count as soon as one does.
        encoded: windows that went through the encoder; 0 when all were known already.
        grown: windows that growing opened.
        goes_on: growing met its limit: the object may be larger.
        empty: the object has no voxel.
        changed: the voxels of the scan that may have changed: first, and the one after the last; ``None`` if none.
        seconds: it took.
    """

    name: str
    object_id: int | None
    clicks: tuple[Click, ...] = ()
    outside: tuple[Click, ...] = ()
    in_air: tuple[Click, ...] = ()
    unseen: tuple[Click, ...] = ()
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
        size = ", ".join(map(str, self.shape))
        lines = [f"click {shown(c)} lies outside the scan of shape ({size}): it changed nothing" for c in self.outside]
        lines += [f"click {shown(c)} lies in air outside the body" for c in self.in_air]
        lines += [
            f"negative click {shown(c)} lies outside every window of {self.name!r}: it counts once a positive click "
            "opens one there"
            for c in self.unseen
        ]
        if self.empty and self.clicks:
            lines.append(
                f"the mask of {self.name!r} is empty: the model finds nothing there; click in the middle of it"
            )
        elif self.clicks and not self.unseen and self.changed is None:
            lines.append(
                f"nothing changed in {self.name!r}: the model sees nothing else there; click in the middle of the error"
            )
        if self.goes_on:
            lines.append(f"{self.name!r} goes on beyond {self.grown} windows: click where it should go on growing")
        return lines


def shown(click: Click) -> str:
    """A click for messages."""
    return f"({', '.join(f'{part:g}' for part in click.voxel)})"


def answer_clicks(
    bench: OpenScan,
    state: SessionState,
    clicks: Sequence[Click],
    wanted: int | str | None,
    grow: bool | None = None,
    automatic: bool | None = None,
    progress: Report = silent,
) -> tuple[SessionState, Answer]:
    """The state after clicks on one object; the same state if none of them lies in the scan.

    Args: as :meth:`openvista.session.session.Session.clicks`; clicks in voxels of the scan.
    """
    began = time.perf_counter()
    if automatic is None:
        automatic = bench.model.automatic is not None
    item = find_or_make(state, bench.model.vocabulary, wanted, automatic)
    usable, outside = _sorted_out(clicks, bench)
    if not usable:
        there = state.find(item.id)
        answer = Answer(item.name, there.id if there else None, outside=tuple(outside), shape=bench.scan.grid.shape)
        return state, answer
    answering = bench.answering  # first: without a point branch nothing else should be computed
    if item.description.start == AUTOMATIC and item.description.class_id is not None:
        bench.ensure_automatic([item.description.class_id], progress)
    known = answering.engine.features.made
    limit = GROW_LIMIT if (bench.profile.grow if grow is None else grow) else 0
    extended = answering.add_clicks(item.description, usable, limit, progress)
    layer = bench.layer(extended.description, progress)
    answer = Answer(
        name=item.name,
        object_id=item.id,
        clicks=tuple(usable),
        outside=tuple(outside),
        in_air=tuple(click for click in usable if bench.in_air(click.voxel)),
        unseen=extended.unseen,
        encoded=answering.engine.features.made - known,
        grown=extended.grown,
        goes_on=extended.goes_on,
        empty=not layer.mask.values_XYZ.any(),
        changed=bench.changed_box(_before(state, item), extended.description),
        seconds=time.perf_counter() - began,
        shape=bench.scan.grid.shape,
    )
    return state.with_object(replace(item, description=extended.description)), answer


def _before(state: SessionState, item: ObjectState) -> MaskInputs:
    """What the object was; one that is made now was empty."""
    there = state.find(item.id)
    return there.description if there else MaskInputs()


def _sorted_out(clicks: Sequence[Click], bench: OpenScan) -> tuple[list[Click], list[Click]]:
    """Those in the scan, and those outside."""
    usable: list[Click] = []
    outside: list[Click] = []
    for click in clicks:
        try:
            check_inside(click, bench.scan.grid.shape)
        except PromptError:
            outside.append(click)
        else:
            usable.append(click)
    return usable, outside
