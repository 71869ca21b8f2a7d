"""What a user drew in a labels layer, as edits of the objects of a session."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_openvista.engine import EngineSession, Object
from openvista.errors import OpenVistaError
from openvista.geometry.box import Box, Crop, plus
from openvista.geometry.grid import Axis3, triple
from openvista.session.edits import MAX_RUNS, Voxels


@dataclass(frozen=True)
class DrawnEdit:
    """One edit.

    Attributes:
        id: value of the label map: of an object, or of one that is yet to be made.
        edit: what is drawn or cleared.
    """

    id: int
    edit: Voxels


def drawn_edits(start: Axis3, before_XYZ: NDArray[Any], after_XYZ: NDArray[Any]) -> list[DrawnEdit]:
    """What to do to the objects of a label map so that another comes out: first clear, then draw.

    Args:
        start: the first voxel of both.
        before_XYZ, after_XYZ: ids, where they may differ.
    """
    box = Box.around(before_XYZ != after_XYZ)
    if box is None:
        return []
    before, after = before_XYZ[box.slices()], after_XYZ[box.slices()]
    differs = before != after
    edits = []
    for values, add in ((before, False), (after, True)):
        for value in np.unique(values[differs]).tolist():
            if value:
                drawn = Crop(plus(start, box.start), differs & (values == value))
                edits += [DrawnEdit(value, edit) for edit in _voxels(drawn, add)]
    return edits


def stroke_of(changes: Sequence[Any], data: NDArray[Any]) -> Crop:
    """What the array of a labels layer holds after a stroke, where the stroke was.

    napari tells of a stroke of the mouse once it is in the array, of others before.

    Args:
        changes: of napari's event ``paint``; each is a box, a mask of it (``None`` for all), old values and a new one;
            or indices, old values and new ones.
        data: the array.
    """
    boxes = [_box_of(change, data.shape) for change in changes]
    hull = Box.hull(boxes)
    after = data[hull.slices()].copy()
    for change, box in zip(changes, boxes, strict=True):
        if box.empty:
            continue
        if hasattr(change, "slice_key"):
            region = after[box.slices(hull.start)]
            region[... if change.mask is None else change.mask] = change.new_value
        else:
            indices, _, values = change
            after[tuple(np.asarray(each) - first for each, first in zip(indices, hull.start, strict=True))] = values
    return Crop(hull.start, after)


def _box_of(change: Any, shape: Sequence[int]) -> Box:
    if hasattr(change, "slice_key"):
        sides = [range(length)[part] for part, length in zip(change.slice_key, shape, strict=True)]
        return Box(triple(side.start for side in sides), triple(side.stop for side in sides))
    indices = [np.asarray(each) for each in change[0]]
    if not indices[0].size:
        return Box((0, 0, 0), (0, 0, 0))
    return Box(triple(int(each.min()) for each in indices), triple(int(each.max()) + 1 for each in indices))


def _voxels(drawn: Crop, add: bool) -> Iterator[Voxels]:
    """Edits of at most so many runs as one may have."""
    drawn = drawn.cropped(drawn.values_XYZ)
    longest = int(np.argmax(drawn.values_XYZ.shape))
    starts = np.count_nonzero(np.diff(drawn.values_XYZ.astype(np.int8), axis=0, prepend=0, append=0))
    if starts < MAX_RUNS - 1:  # with x fastest there are at most so many
        if starts:
            yield Voxels.of(drawn, add)
        return
    half = drawn.values_XYZ.shape[longest] // 2
    start = list(drawn.start)
    start[longest] += half
    parts = np.split(drawn.values_XYZ, [half], axis=longest)
    for corner, part in zip((drawn.start, (start[0], start[1], start[2])), parts, strict=True):
        yield from _voxels(Crop(corner, part), add)


def apply_edits(
    session: EngineSession, edits: Sequence[DrawnEdit], named: str | None
) -> tuple[list[str], int, int | None]:
    """Edits of the objects with these ids. Strokes of an id that no object has are on the class that is chosen, or on a
    new object.

    Returns:
        What the user should know, how many changes were made, and the object that was drawn last.
    """
    steps, known, last = 0, {item.id: item.id for item in session.items}, None
    for one in edits:
        if one.id not in known and not one.edit.add:
            continue
        before = session.revision
        try:
            if one.id not in known:
                wanted: Object = named or session.new_object("drawn")
                steps += int(session.revision != before)
                before = session.revision
                session.edit(one.edit, wanted)
                found = [item.id for item in session.items if wanted in (item.id, item.name)]
                known[one.id] = found[0]
            else:
                session.edit(one.edit, known[one.id])
        except OpenVistaError as error:
            return [str(error)], steps, last
        steps += int(session.revision != before)
        last = known[one.id]
    return [], steps, last
