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
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from openvista.errors import PromptError
from openvista.geometry.grid import Axis3
from openvista.prompts import GAP, Click, box_clicks

MOST = 5
"""Clicks that a scribble or lasso gives at most: in training an object has few clicks (paper facts §6)."""
LONGEST = 100_000
"""Voxels along a stroke at most. No hand draws so far; a wrong coordinate does."""

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
        voxels_N3 = _stroke(drawn)
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
        drawn: [X, Y, Z] mask on the scan, True inside the contour; or the contour, see :func:`fill_contour`.
        shape: of the scan.
        positive: its sign.

    Raises:
        PromptError: it is no contour, is empty, or lies on several slices.
    """
    if isinstance(drawn, np.ndarray):
        return Drawn.of_clicks(_deep_clicks(drawn, positive))
    points, axis, index = drawn
    clicks = _deep_clicks(fill_contour(points, axis, index, shape), positive)
    details = {"points": [list(p) for p in points], "axis": axis, "index": index, "positive": positive}
    return Drawn(clicks, "lasso", details)


def fill_contour(points: Sequence[Sequence[float]], axis: int, index: int, shape: Axis3) -> NDArray[np.bool_]:
    """A closed contour on a slice as a mask of the scan (even-odd rule; a voxel counts by its centre).

    Args:
        points: at least three, in voxels along the two other axes in rising order; the last is joined to the first.
        axis: the slice's axis.
        index: the slice.
        shape: of the scan.

    Raises:
        PromptError: fewer points, or no such slice.
    """
    if len(points) < 3 or any(len(point) != 2 for point in points):
        raise PromptError(f"a contour needs at least three points of two coordinates, not {len(points)}")
    if axis not in (0, 1, 2) or not 0 <= index < shape[axis]:
        raise PromptError(f"there is no slice {index} along axis {axis} in a scan of shape {shape}")
    rows, columns = (shape[other] for other in range(3) if other != axis)
    row_R1, column_1C = np.arange(rows)[:, None], np.arange(columns)[None, :]
    inside = np.zeros((rows, columns), dtype=bool)
    for (r1, c1), (r2, c2) in pairwise([*points, points[0]]):
        if r1 != r2:
            crosses_R1 = (r1 > row_R1) != (r2 > row_R1)
            inside ^= crosses_R1 & (column_1C < (c2 - c1) * (row_R1 - r1) / (r2 - r1) + c1)
    mask = np.zeros(shape, dtype=bool)
    np.moveaxis(mask, axis, 0)[index] = inside
    return mask


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


def _stroke(points: Sequence[Sequence[float]] | NDArray[np.generic]) -> NDArray[np.float64]:
    """The voxels [N, 3] along the lines from point to point."""
    clicks = [Click(tuple(map(float, point))) for point in points]  # type: ignore[arg-type]  # checks coordinates
    corners_N3 = np.array([click.voxel for click in clicks], dtype=float).reshape(-1, 3)
    with np.errstate(over="ignore"):
        lengths = np.ceil(np.abs(np.diff(corners_N3, axis=0)).max(axis=1, initial=1.0))
    if not lengths.sum() <= LONGEST:
        raise PromptError(f"the scribble is longer than {LONGEST} voxels: check its points, or draw a shorter one")
    voxels = [np.rint(corners_N3[:1])]
    for start, end, steps in zip(corners_N3[:-1], corners_N3[1:], lengths.astype(int), strict=True):
        shares_N1 = np.arange(1, steps + 1)[:, None] / steps
        voxels.append(np.rint(start + (end - start) * shares_N1))
    return np.unique(np.concatenate(voxels), axis=0)


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
