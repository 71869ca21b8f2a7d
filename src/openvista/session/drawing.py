"""Boxes, scribbles and lassos: drawn by people, turned into clicks, which is what the network knows.

The rules, in voxels of the scan:

- **Box** (of one voxel along an axis: on a slice). Positive: a click in its middle, and negative ones beyond the middle
  of each face, a quarter of the box's side away (at least ``GAP`` voxels); those outside the scan are left out.
  Negative: one negative click in its middle.
- **Scribble**. Up to ``MOST`` clicks of its sign: the voxel nearest to its mean, then again and again the voxel
  farthest from the clicks so far, as long as that is at least ``GAP`` voxels away.
- **Lasso**, a closed contour on a slice. Up to ``MOST`` clicks of its sign inside: the voxel deepest inside the
  contour, then as for a scribble among the voxels at least half as deep.

No network and no image is asked: the same drawing always gives the same clicks. Needs no torch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from openvista.errors import PromptError
from openvista.geometry.box import Box
from openvista.geometry.grid import Axis3
from openvista.prompts import GAP, Click, box_clicks
from openvista.session.regions import contour_region, stroke_voxels

MOST = 5
"""Clicks that a scribble or lasso gives at most: in training an object has few clicks (paper facts §6)."""

Contour = tuple[Sequence[Sequence[float]], int, int]
"""Points along the two axes of a slice, the slice's axis, its index."""


@dataclass(frozen=True)
class Drawn:
    """Clicks, and what the log says about where they came from.

    Attributes:
        clicks: in voxels of the scan.
        action: the session's method that makes them again: ``"clicks"``, ``"box"``, ``"scribble"`` or ``"lasso"``.
        details: its arguments, as JSON can hold them.
    """

    clicks: Sequence[Click]
    action: str
    details: Mapping[str, Any]

    @property
    def marked(self) -> list[Click]:
        """The clicks, with a mark on those that nobody made."""
        return [replace(click, drawn=click.drawn or self.action != "clicks") for click in self.clicks]

    @classmethod
    def of_clicks(cls, clicks: Sequence[Click]) -> "Drawn":
        """Clicks as such: given by the user, or from a mask, which is too large for a log."""
        return cls(clicks, "clicks", {"clicks": [[*click.voxel, click.positive] for click in clicks]})


def draw_box(box: Sequence[Sequence[float]], shape: Axis3, positive: bool = True) -> Drawn:
    """Clicks of a box.

    Args:
        box: (first, stop) along X, Y, Z in voxels; half-open, so a slice is (k, k + 1).
        shape: of the scan; negative clicks outside it are left out.
        positive: whether the object is in there.

    Raises:
        PromptError: it is empty, or not three ranges.
    """
    if len(box) != 3 or any(len(side) != 2 or not side[0] < side[1] for side in box):
        raise PromptError(f"box {[list(side) for side in box]} is not understood: give first < stop along x, y and z")
    return Drawn(box_clicks(box, shape, positive), "box", {"box": [list(side) for side in box], "positive": positive})


def draw_scribble(drawn: NDArray[np.bool_] | Sequence[Sequence[float]], positive: bool = True) -> Drawn:
    """Clicks of a scribble.

    Args:
        drawn: [X, Y, Z] mask on the scan, or the voxels a stroke went through (the line between them counts).
        positive: its sign.

    Raises:
        PromptError: nothing was drawn, or more than a hand draws.
    """
    if isinstance(drawn, np.ndarray) and drawn.ndim == 3:
        voxels_N3 = np.argwhere(drawn).astype(float)
    else:
        voxels_N3 = stroke_voxels(drawn)
    if len(voxels_N3) == 0:
        raise PromptError("the scribble is empty: draw at least one voxel")
    first = ((voxels_N3 - voxels_N3.mean(axis=0)) ** 2).sum(axis=1).argmin()
    clicks = _spread(voxels_N3, int(first), positive)
    if isinstance(drawn, np.ndarray):
        return Drawn.of_clicks(clicks)
    return Drawn(clicks, "scribble", {"points": [list(point) for point in drawn], "positive": positive})


def draw_lasso(drawn: NDArray[np.bool_] | Contour, shape: Axis3, positive: bool = True) -> Drawn:
    """Clicks of a closed contour.

    Args:
        drawn: [X, Y, Z] mask on the scan, True inside the contour; or the contour.
        shape: of the scan.
        positive: its sign.

    Raises:
        PromptError: it is no contour, is empty, or lies on several slices.
    """
    if isinstance(drawn, np.ndarray):
        return Drawn.of_clicks(_deep_clicks(drawn, positive))
    points, axis, index = drawn
    region = contour_region(points, axis, index, shape)
    clicks = _deep_clicks(region.on(Box.whole(shape), False), positive)
    details = {"points": [list(p) for p in points], "axis": axis, "index": index, "positive": positive}
    return Drawn(clicks, "lasso", details)


def _deep_clicks(drawn: NDArray[np.bool_], positive: bool) -> list[Click]:
    """Clicks deep inside a mask on one slice."""
    voxels_N3 = np.argwhere(drawn)
    flat = [axis for axis in range(3) if len(voxels_N3) and np.ptp(voxels_N3[:, axis]) == 0]
    if not flat:
        raise PromptError("the lasso is empty or lies on several slices: draw a closed contour on one slice")
    low, high = voxels_N3.min(axis=0), voxels_N3.max(axis=0) + 1
    piece = drawn[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    in_plane = [1 if axis != flat[0] else 0 for axis in range(3)]
    padded = np.pad(piece, [(side, side) for side in in_plane])
    depth = ndimage.distance_transform_edt(padded)[tuple(slice(side, -side or None) for side in in_plane)]
    deep_N3 = (np.argwhere(depth >= depth.max() / 2) + low).astype(float)
    deepest = np.unravel_index(int(depth.argmax()), depth.shape) + low
    return _spread(deep_N3, int((deep_N3 == deepest).all(axis=1).argmax()), positive)


def _spread(voxels_N3: NDArray[np.float64], first: int, positive: bool) -> list[Click]:
    """Up to ``MOST`` of the voxels, far from each other; of equally far ones the first in order."""
    chosen = [first]
    distance_N = np.linalg.norm(voxels_N3 - voxels_N3[first], axis=1)
    while len(chosen) < MOST and distance_N.max() >= GAP:
        chosen.append(int(distance_N.argmax()))
        distance_N = np.minimum(distance_N, np.linalg.norm(voxels_N3 - voxels_N3[chosen[-1]], axis=1))
    clicks = []
    for number in chosen:
        x, y, z = voxels_N3[number].tolist()
        clicks.append(Click((x, y, z), positive))
    return clicks
