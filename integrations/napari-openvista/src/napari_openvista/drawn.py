"""What a user drew in a labels layer, as edits of the objects of a session."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openvista.geometry.box import Box, Crop
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


def drawn_edits(before_XYZ: NDArray[Any], after_XYZ: NDArray[Any]) -> list[DrawnEdit]:
    """What to do to the objects of one label map so that another comes out: first clear, then draw."""
    box = Box.around(before_XYZ != after_XYZ)
    if box is None:
        return []
    before, after = before_XYZ[box.slices()], after_XYZ[box.slices()]
    differs = before != after
    edits = []
    for values, add in ((before, False), (after, True)):
        for value in np.unique(values[differs]).tolist():
            if value:
                drawn = Crop(box.start, differs & (values == value))
                edits += [DrawnEdit(value, edit) for edit in _voxels(drawn, add)]
    return edits


def write_stroke(data: NDArray[Any], change: Any) -> None:
    """Write into the array of a labels layer what its event ``paint`` tells, one of the changes of a stroke.

    Args:
        data: the array.
        change: of napari: a box, a mask of it (``None`` for all), old values and a new one; or indices, old values and
            new ones.
    """
    if hasattr(change, "slice_key"):
        region = data[change.slice_key]
        region[... if change.mask is None else change.mask] = change.new_value
    else:
        indices, _, values = change
        data[indices] = values


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
