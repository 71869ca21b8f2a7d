"""What was drawn, as voxels: strokes, contours, brushes. Everything in voxels of the scan; needs no torch.

Voxels count by their centres, so a viewer that draws by the same rule shows what will be there.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from openvista.errors import PromptError
from openvista.geometry.box import Box, Crop
from openvista.geometry.contours import fill_contours
from openvista.geometry.grid import Axis3, Float3, triple
from openvista.prompts import Click

LONGEST = 100_000
"""Voxels along a stroke at most. No hand draws so far; a wrong coordinate does."""
_FAR = 1e6
"""Voxels: what lies beyond lies so far."""
_PIECE = 64
"""Voxels of a stroke that are painted at once, so that the box around them stays small."""

Points = Sequence[Sequence[float]]


def stroke_voxels(points: Points | NDArray[np.generic]) -> NDArray[np.float64]:
    """The voxels [N, 3] along the lines from point to point.

    Raises:
        PromptError: a point is no place, or the stroke is longer than a hand draws.
    """
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


def contour_region(points: Points, axis: int, index: int, shape: Axis3) -> Crop:
    """The voxels of a slice inside a closed contour (even-odd rule), on a box that holds all of the slice.

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
    corners_N2 = np.clip(np.array(points, dtype=float), -_FAR, _FAR)
    inside_RC = fill_contours([corners_N2[:, ::-1]], rows, columns)
    start = triple(index if each == axis else 0 for each in range(3))
    return Crop(start, np.expand_dims(inside_RC, axis))


def brush_region(points: Points, radius_mm: float, axis: int | None, shape: Axis3, spacing: Float3) -> Crop:
    """The voxels whose centres lie within a radius of the centre of a voxel that a stroke goes through.

    Args:
        points: of the stroke.
        radius_mm: mm; at 0 it is the stroke's voxels alone.
        axis: a disk, on the slice along this axis; ``None`` for a sphere.
        shape: of the scan; what lies outside it is left out.
        spacing: mm per voxel along X, Y, Z.

    Raises:
        PromptError: no voxel of the scan is within reach, or a disk's stroke leaves its slice.
    """
    voxels_N3 = stroke_voxels(points)
    if axis is not None and np.ptp(voxels_N3[:, axis]):
        raise PromptError("a disk paints on one slice, and the stroke leaves it: stay on the slice, or use a sphere")
    whole = Box.whole(shape)
    reach_3 = np.array([0 if each == axis else int(radius_mm / spacing[each]) for each in range(3)])
    near = ((voxels_N3 >= -reach_3) & (voxels_N3 < np.array(shape) + reach_3)).all(axis=1)
    voxels_N3 = voxels_N3[near].astype(int)
    pieces = []
    for first in range(0, len(voxels_N3), _PIECE):
        piece_N3 = voxels_N3[first : first + _PIECE]
        low, high = piece_N3.min(axis=0) - reach_3, piece_N3.max(axis=0) + reach_3 + 1
        away_XYZ = np.ones(high - low, dtype=bool)
        away_XYZ[tuple((piece_N3 - low).T)] = False
        box = Box(triple(low.tolist()), triple(high.tolist()))
        shared = box.intersect(whole)
        if shared is not None:
            within_XYZ = ndimage.distance_transform_edt(away_XYZ, sampling=spacing) <= radius_mm
            pieces.append(Crop(shared.start, within_XYZ[shared.slices(box.start)]))
    region = Crop.nothing(bool)
    if pieces:
        box = Box.hull(piece.box for piece in pieces)
        region = Crop(box.start, np.zeros(box.shape, dtype=bool))
        for piece in pieces:
            region.values_XYZ[piece.box.slices(box.start)] |= piece.values_XYZ
    if not region.values_XYZ.any():
        raise PromptError(f"the brush touches no voxel of the scan of shape {shape}: check its points")
    return region


def runs_region(box: Box, runs: Sequence[int], shape: Axis3) -> Crop:
    """The voxels of a box that were drawn, from how many in turn are not drawn and drawn.

    Args:
        box: of the scan.
        runs: not drawn, drawn, not drawn, ...; x fastest.
        shape: of the scan.

    Raises:
        PromptError: the box leaves the scan, the runs are not as long as the box, or nothing is drawn.
    """
    if box.intersect(Box.whole(shape)) != box:
        raise PromptError(f"the voxels of {box.start} to {box.stop} are not all in the scan of shape {shape}")
    count = int(np.prod(box.shape))
    if sum(runs) != count or not sum(runs[1::2]):
        raise PromptError(f"runs of {sum(runs)} voxels, {sum(runs[1::2])} drawn, do not fit a box of {count}: give all")
    drawn = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return Crop(box.start, drawn.reshape(box.shape, order="F"))
