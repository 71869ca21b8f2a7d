"""The click: what a user points with."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from openvista.errors import PromptError
from openvista.geometry.grid import Axis3, triple

GAP = 2.0
"""Voxels: negative clicks of a box lie at least so far beyond it, and clicks of a stroke so far apart."""
_SIGNS = {"+": True, "-": False}


@dataclass(frozen=True)
class Click:
    """A point inside (positive) or outside (negative) the object that is wanted.

    Attributes:
        voxel: position x, y, z in voxels of the scan as it lies in its file; 0 is the centre of the first voxel.
        positive: True to include what is there, False to exclude it.
        drawn: it stands for a box, a scribble or a lasso: nobody clicked there. To the network it is a click like any.
    """

    voxel: tuple[float, float, float]
    positive: bool = True
    drawn: bool = field(default=False, compare=False)

    def __post_init__(self) -> None:
        if len(self.voxel) != 3:
            raise PromptError(f"a click needs three voxel coordinates x, y, z, not {len(self.voxel)}: {self.voxel}")
        x, y, z = (float(part) for part in self.voxel)
        if not all(map(math.isfinite, (x, y, z))):
            raise PromptError(f"click {shown_voxel((x, y, z))} is not a place: give three finite voxel coordinates")
        object.__setattr__(self, "voxel", (x, y, z))


def is_inside(click: Click, shape: Sequence[int]) -> bool:
    """Whether a click lies in a voxel of the scan; a voxel reaches half its width to either side of its centre.

    Args:
        click: where, in voxels.
        shape: of the scan, [X, Y, Z].
    """
    return all(-0.5 <= position < size - 0.5 for position, size in zip(click.voxel, shape, strict=True))


def voxel_of(click: Click) -> Axis3:
    """The voxel that a click falls into."""
    return triple(math.floor(part + 0.5) for part in click.voxel)


def box_clicks(box: Sequence[Sequence[float]], shape: Sequence[int], positive: bool = True) -> list[Click]:
    """A click in the middle of a box and, if that is positive, negative ones beyond the middle of each face.

    Args:
        box: (first, stop) along X, Y, Z in voxels, half-open and not empty. Along an axis of one voxel it has no faces.
        shape: of the scan, [X, Y, Z]; negative clicks outside it are left out.
        positive: whether the object is in there.
    """
    x, y, z = ((first + stop - 1) / 2 for first, stop in box)
    middle = (x, y, z)
    clicks = [Click(middle, positive)]
    for axis, (first, stop) in enumerate(box):
        if stop - first <= 1 or not positive:
            continue
        gap = max((stop - first) / 4, GAP)
        for place in (first - gap, stop - 1 + gap):
            if -0.5 <= place < shape[axis] - 0.5:
                beyond = list(middle)
                beyond[axis] = place
                clicks.append(Click((beyond[0], beyond[1], beyond[2]), False))
    return clicks


def parse_click(text: str) -> Click:
    """Read "X,Y,Z" or, with a sign as fourth part, "X,Y,Z,-" (negative) or "X,Y,Z,+".

    Raises:
        PromptError: it is not of that form.
    """
    parts = [part.strip() for part in text.split(",")]
    positive = _SIGNS.get(parts[3]) if len(parts) == 4 else True
    try:
        x, y, z = (float(part) for part in parts[:3])
    except ValueError:
        positive = None
    if positive is None or len(parts) > 4:
        raise PromptError(
            f"click {text!r} is not understood: write X,Y,Z in voxels, with ,- at the end for a negative one"
        )
    return Click((x, y, z), positive)


def shown_voxel(voxel: Sequence[float]) -> str:
    """A place for messages, such as (12, 7.5, 3)."""
    return f"({', '.join(f'{part:g}' for part in voxel)})"
