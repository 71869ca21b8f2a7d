"""An edit carried out: from a state to the next state, and to what the user should know. No network is asked."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openvista.errors import PromptError
from openvista.geometry.box import Box, Crop
from openvista.geometry.grid import Axis3, triple
from openvista.prompts import Click, voxel_of
from openvista.session.decided import Decided
from openvista.session.edits import (
    Brush,
    Combine,
    CopySlice,
    Edit,
    FillHoles,
    Interpolate,
    KeepPiece,
    Margin,
    Polygon,
    Smooth,
    Voxels,
)
from openvista.session.open_scan import OpenScan
from openvista.session.regions import brush_region, contour_region, runs_region
from openvista.session.reshape import (
    combined,
    interpolated,
    piece_kept,
    slice_copied,
    smoothed,
    with_holes_filled,
    with_margin,
)
from openvista.session.state import AppliedEdit, ObjectState, SessionState, find_object, find_or_make


@dataclass(frozen=True)
class Edited:
    """What an edit has done.

    Attributes:
        name: of the object.
        object_id: of the object; ``None`` if there is none, because nothing was done.
        added: voxels that the object has got.
        removed: voxels that it has lost.
        changed: the box of these; ``None`` if there are none.
        applied: it has decided voxels, so there is something to undo.
    """

    name: str
    object_id: int | None
    added: int
    removed: int
    changed: Box | None
    applied: bool

    @property
    def notes(self) -> list[str]:
        """What the user should know, one line each; empty when all is well."""
        return [] if self.changed else [f"nothing changed in {self.name!r}: it is like that already"]


def apply_edit(
    open_scan: OpenScan, state: SessionState, edit: Edit, wanted: int | str | None
) -> tuple[SessionState, Edited]:
    """The state after an edit of one object; the same state if it has decided nothing.

    Args: as :meth:`openvista.session.session.Session.edit`.
    """
    item = find_or_make(state, open_scan.model.vocabulary, wanted, automatic=False)
    decided = _decide(open_scan, state, item, edit)
    before_XYZ = open_scan.show(item).on(decided.box) > 0
    now_XYZ = decided.over(Crop(decided.box.start, before_XYZ.astype(np.int8))).values_XYZ > 0
    differs = Box.around(before_XYZ != now_XYZ)
    edited = Edited(
        name=item.name,
        object_id=item.id if state.find(item.id) or not decided.box.empty else None,
        added=int((now_XYZ & ~before_XYZ).sum()),
        removed=int((before_XYZ & ~now_XYZ).sum()),
        changed=None if differs is None else differs.shifted(decided.box.start),
        applied=not decided.box.empty,
    )
    if not edited.applied:
        return state, edited
    inputs = item.inputs
    applied = AppliedEdit(edit.kind, open_scan.edits.add(decided), len(inputs.clicks))
    changed = replace(item, inputs=replace(inputs, edits=(*inputs.edits, applied)))
    return state.with_objects([changed]), edited


def _decide(open_scan: OpenScan, state: SessionState, item: ObjectState, edit: Edit) -> Decided:
    """The voxels that an edit decides."""
    if isinstance(edit, Brush | Polygon | Voxels):
        drawn, nothing = _drawn(open_scan, edit), Crop.nothing(bool)
        return Decided.of(drawn, nothing) if edit.add else Decided.of(nothing, drawn)
    before = open_scan.shown_mask(item)
    if before.box.empty and not isinstance(edit, Combine):
        raise PromptError(f"object {item.name!r} has no voxel yet: draw or click it first")
    return Decided.between(before, _reshaped(open_scan, state, item, before, edit))


def _drawn(open_scan: OpenScan, edit: Brush | Polygon | Voxels) -> Crop:
    grid = open_scan.scan.grid
    if isinstance(edit, Voxels):
        box = Box(triple(first for first, _ in edit.box), triple(stop for _, stop in edit.box))
        return runs_region(box, edit.runs, grid.shape)
    if isinstance(edit, Polygon):
        region = contour_region(edit.points, edit.axis, edit.slice, grid.shape)
        if not region.values_XYZ.any():
            raise PromptError("the polygon holds no centre of a voxel: draw a larger one")
        return region
    region = brush_region(edit.points, edit.radius_mm, edit.axis, grid.shape, grid.spacing)
    if edit.hu is None:
        return region
    low, high = edit.hu
    values_XYZ: NDArray[Any] = open_scan.scan.voxels[region.slices]
    chosen_XYZ = region.values_XYZ & (values_XYZ >= low) & (values_XYZ <= high)
    if not chosen_XYZ.any():
        raise PromptError(f"the brush touches no voxel of {low:g} to {high:g} HU: choose another range or place")
    return Crop(region.start, chosen_XYZ)


def _reshaped(open_scan: OpenScan, state: SessionState, item: ObjectState, before: Crop, edit: Edit) -> Crop:
    """The mask that an edit makes of the one before it."""
    shape, spacing = open_scan.scan.grid.shape, open_scan.scan.grid.spacing
    match edit:
        case FillHoles():
            return with_holes_filled(before, edit.axis)
        case KeepPiece():
            return piece_kept(before, _chosen(item, before, edit))
        case Smooth():
            return smoothed(before, edit.mm, shape, spacing)
        case Margin():
            return with_margin(before, edit.mm, shape, spacing)
        case Interpolate():
            return interpolated(before, edit.axis, edit.between, spacing)
        case CopySlice():
            return slice_copied(before, edit.axis, edit.slice, edit.by, shape)
        case Combine():
            other = find_object(state, edit.other)
            if other.id == item.id:
                raise PromptError(f"{item.name!r} cannot be combined with itself: choose another object")
            return combined(before, open_scan.shown_mask(other), edit.operation)
    raise TypeError(f"{edit!r} is no edit")


def _chosen(item: ObjectState, before: Crop, edit: KeepPiece) -> list[Axis3]:
    """The voxels whose pieces stay; none for the largest piece."""
    if edit.voxel is not None:
        return [voxel_of(Click(edit.voxel))]
    clicked = [voxel_of(click) for click in item.inputs.clicks if click.positive]
    return [voxel for voxel in clicked if before.at(voxel, 0) > 0]
