"""A prompt answered: from clicks on a state to the next state, and to what the user should know."""

import time
from collections.abc import Sequence
from dataclasses import replace

from openvista.errors import PromptError
from openvista.inference.grow import GROW_LIMIT
from openvista.inference.objects import AUTOMATIC, Description, ObjectState, SessionState
from openvista.inference.progress import Report, silent
from openvista.inference.session_answer import Answer
from openvista.inference.targets import find_or_make
from openvista.inference.workbench import Workbench
from openvista.prompts import Click, check_inside


def answer_clicks(
    bench: Workbench,
    state: SessionState,
    clicks: Sequence[Click],
    wanted: int | str | None,
    grow: bool | None = None,
    automatic: bool | None = None,
    report: Report = silent,
) -> tuple[SessionState, Answer]:
    """The state after clicks on one object; the same state if none of them lies in the scan.

    Args: as :meth:`openvista.inference.session.Session.clicks`; clicks in voxels of the scan.
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
        bench.ensure_automatic([item.description.class_id], report)
    known = answering.engine.features.made
    limit = GROW_LIMIT if (bench.profile.grow if grow is None else grow) else 0
    extended = answering.add_clicks(item.description, usable, limit, report)
    layer = bench.layer(extended.description, report)
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


def _before(state: SessionState, item: ObjectState) -> Description:
    """What the object was; one that is made now was empty."""
    there = state.find(item.id)
    return there.description if there else Description()


def _sorted_out(clicks: Sequence[Click], bench: Workbench) -> tuple[list[Click], list[Click]]:
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
