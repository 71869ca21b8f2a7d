"""Distances between the surfaces of two masks, in mm, each piece of surface weighted by its area.

Two definitions of "surface":

``elements``
    The default, and the definition of DeepMind's ``surface-distance`` (Nikolov et al. 2021), which public challenges
    use. A surface element sits at every voxel corner whose eight voxels are not all alike; its area is that of the
    marching-cubes surface through these eight voxels.
``voxels``
    MONAI's: every voxel of the mask with a neighbour (through a face) outside counts one, whatever its area.

In both, what lies beyond the array counts as outside, so a mask that touches the border has surface there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations, product
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from openvista.geometry.box import Box
from openvista.geometry.grid import Float3

Surface = Literal["elements", "voxels"]
Corner = tuple[int, int, int]
_TREE_COST = 10
"""A place costs about as much in the tree as so many voxels in the distance transform (seen: 8 to 14)."""
_CORNERS: tuple[Corner, ...] = tuple(product((0, 1), (0, 1), (0, 1)))  # corner i is bit i of a neighbourhood's code


@dataclass(frozen=True, eq=False)
class SurfaceDistances:
    """How far each piece of either surface is from the other one.

    Attributes:
        truth_mm: [N] distance of each piece of the truth's surface to the predicted one.
        truth_area: [N] its weight: mm² for ``elements``, 1 for ``voxels``.
        predicted_mm, predicted_area: [M] the same the other way round.
        surface: the definition.
    """

    truth_mm: NDArray[np.float64]
    truth_area: NDArray[np.float64]
    predicted_mm: NDArray[np.float64]
    predicted_area: NDArray[np.float64]
    surface: Surface

    def within(self, tolerance_mm: float) -> float:
        """Surface Dice (NSD): the share (0..1) of both surfaces together that is that near to the other one."""
        near = self.truth_area[self.truth_mm <= tolerance_mm].sum()
        near += self.predicted_area[self.predicted_mm <= tolerance_mm].sum()
        return float(near / (self.truth_area.sum() + self.predicted_area.sum()))

    def hausdorff_mm(self, percent: float = 95.0) -> float:
        """Percentile (0..100) of the distances, for the worse of the two directions.

        For ``elements`` the smallest distance within which that share of the area lies; for ``voxels`` interpolated
        linearly between neighbours, as MONAI does.
        """
        if self.surface == "voxels":
            return float(max(np.percentile(self.truth_mm, percent), np.percentile(self.predicted_mm, percent)))
        truth = _weighted_percentile(self.truth_mm, self.truth_area, percent)
        return max(truth, _weighted_percentile(self.predicted_mm, self.predicted_area, percent))


def surface_distances(
    truth_XYZ: NDArray[np.bool_],
    predicted_XYZ: NDArray[np.bool_],
    spacing: Float3,
    surface: Surface = "elements",
    open_axis: int | None = None,
) -> SurfaceDistances | None:
    """Distances between the surfaces of two masks on one grid; ``None`` when either mask is empty.

    Args:
        truth_XYZ: bool.
        predicted_XYZ: bool, of the same shape.
        spacing: mm per axis.
        surface: the definition of surface, see above.
        open_axis: the masks are cut out of longer ones along this axis, so its two end faces are no surface.
    """
    box = Box.around(truth_XYZ | predicted_XYZ)
    if box is None or not (truth_XYZ.any() and predicted_XYZ.any()):
        return None
    ends = _open_ends(box, truth_XYZ.shape, open_axis)
    pieces = []
    for mask in (truth_XYZ, predicted_XYZ):
        padded = _pad(mask[box.slices()], ends)
        pieces.append(_elements(padded, spacing, ends) if surface == "elements" else _edge_voxels(padded))
    (truth_N3, truth_area), (predicted_M3, predicted_area) = pieces
    return SurfaceDistances(
        _nearest_mm(truth_N3, predicted_M3, spacing),
        truth_area,
        _nearest_mm(predicted_M3, truth_N3, spacing),
        predicted_area,
        surface,
    )


def _open_ends(box: Box, shape: tuple[int, ...], open_axis: int | None) -> list[tuple[int, int]]:
    """``(axis, 0 or -1)`` of each face of the box beyond which the masks go on unseen."""
    if open_axis is None:
        return []
    first, last = box.start[open_axis] == 0, box.stop[open_axis] == shape[open_axis]
    return [(open_axis, end) for end, cut in ((0, first), (-1, last)) if cut]


def _pad(mask: NDArray[np.bool_], ends: list[tuple[int, int]]) -> NDArray[np.bool_]:
    """One voxel of outside around; at open ends one more slice of the same instead."""
    padded = np.pad(mask, 1)
    for axis, end in ends:
        along = np.moveaxis(padded, axis, 0)  # a view
        along[end] = along[end + 1 if end == 0 else end - 1]
    return padded


def _elements(
    padded: NDArray[np.bool_], spacing: Float3, ends: list[tuple[int, int]]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Places [N, 3] (voxel corners) and areas [N] in mm² of the surface elements of a padded mask."""
    x, y, z = (length - 1 for length in padded.shape)
    codes = np.zeros((x, y, z), np.uint8)
    voxels = padded.view(np.uint8)
    for bit, (i, j, k) in enumerate(_CORNERS):
        codes |= voxels[i : i + x, j : j + y, k : k + z] << bit
    places = np.argwhere((codes != 0) & (codes != 255))
    areas = element_areas(spacing)[codes[tuple(places.T)]]
    for axis, end in ends:  # such an element lies half outside
        areas[places[:, axis] == (0 if end == 0 else codes.shape[axis] - 1)] *= 0.5
    return places, areas


def _edge_voxels(padded: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    edge = padded & ~ndimage.binary_erosion(padded, border_value=1)
    inner = np.argwhere(edge[1:-1, 1:-1, 1:-1])
    return inner, np.ones(len(inner))


def _nearest_mm(from_N3: NDArray[np.int64], to_M3: NDArray[np.int64], spacing: Float3) -> NDArray[np.float64]:
    """Distance [N] of each place to the nearest of the others.

    Organs have few places in a large box, which suits a tree; noise has so many that a distance transform is faster.
    """
    first = np.minimum(from_N3.min(axis=0), to_M3.min(axis=0))
    shape = np.maximum(from_N3.max(axis=0), to_M3.max(axis=0)) - first + 1
    dense = shape.prod() < _TREE_COST * (len(from_N3) + len(to_M3))
    return (_by_transform if dense else _by_tree)(from_N3 - first, to_M3 - first, spacing)


def _by_tree(from_N3: NDArray[np.int64], to_M3: NDArray[np.int64], spacing: Float3) -> NDArray[np.float64]:
    """By a k-d tree.

    Distances are taken from whole voxel steps, not from products with the spacing: one that equals a tolerance must
    not miss it by a rounding error.
    """
    scale = np.array(spacing)
    tree = cKDTree(to_M3 * scale, balanced_tree=False, compact_nodes=False)
    _, nearest = tree.query(from_N3 * scale)
    return np.asarray(np.sqrt((((from_N3 - to_M3[nearest]) * scale) ** 2).sum(axis=1)))


def _by_transform(from_N3: NDArray[np.int64], to_M3: NDArray[np.int64], spacing: Float3) -> NDArray[np.float64]:
    """By a distance transform of the box around all places; the box starts at 0."""
    elsewhere = np.ones(np.maximum(from_N3.max(axis=0), to_M3.max(axis=0)) + 1, bool)
    elsewhere[tuple(to_M3.T)] = False
    return np.asarray(ndimage.distance_transform_edt(elsewhere, sampling=spacing)[tuple(from_N3.T)])


def _weighted_percentile(values: NDArray[np.float64], weights: NDArray[np.float64], percent: float) -> float:
    order = np.argsort(values, kind="stable")
    share = np.cumsum(weights[order]) / weights.sum()
    return float(values[order][min(int(np.searchsorted(share, percent / 100)), len(values) - 1)])


def element_areas(spacing: Float3) -> NDArray[np.float64]:
    """Area [256] in mm² of the surface through 2×2×2 voxels, by their code (bit 4x + 2y + z is set when inside)."""
    sx, sy, sz = spacing
    projected = _element_normals() * np.array([sy * sz, sx * sz, sx * sy])
    return np.asarray(np.linalg.norm(projected, axis=2).sum(axis=1))


@cache
def _element_normals() -> NDArray[np.float64]:
    """[256, P, 3]: normals of the planar pieces of each code's surface, as long as their area, for cubes of side 1."""
    pieces: list[list[Sequence[float]]] = []
    for code in range(256):
        inside = [corner for bit, corner in enumerate(_CORNERS) if code >> bit & 1]
        # where the surface is ambiguous the fewer corners are kept apart, so a code and its complement share one
        fewer = inside if len(inside) <= 4 else [corner for corner in _CORNERS if corner not in inside]
        pieces.append([normal for part in _connected(fewer) for normal in _normals(part)])
    table = np.zeros((256, max(map(len, pieces)), 3))
    for code, normals in enumerate(pieces):
        if normals:
            table[code, : len(normals)] = normals
    return table


def _connected(corners: list[Corner]) -> list[list[Corner]]:
    """Corners of the cube grouped by its edges."""
    left, parts = list(corners), []
    while left:
        part = [left.pop()]
        for corner in part:  # grows while it is read
            joined = [other for other in left if _edge(corner, other) is not None]
            left = [other for other in left if other not in joined]
            part += joined
        parts.append(part)
    return parts


def _edge(first: Corner, second: Corner) -> int | None:
    """The axis of the cube's edge between two corners."""
    differing = [axis for axis in range(3) if first[axis] != second[axis]]
    return differing[0] if len(differing) == 1 else None


def _normals(part: list[Corner]) -> list[Sequence[float]]:
    """Planar pieces that cut up to four connected corners off a cube, through the middles of its edges.

    Signs do not matter for areas and are left out.
    """
    edges = {pair: axis for pair in combinations(part, 2) if (axis := _edge(*pair)) is not None}
    unused = [axis for axis in range(3) if axis not in edges.values()]
    if len(part) == 1:  # a triangle
        return [(0.125, 0.125, 0.125)]
    if len(part) == 2:  # a rectangle along the edge
        return [[0.5 * (axis in unused) for axis in range(3)]]
    if len(part) == 3:  # a triangle in the plane of the three, and a trapezium
        return [[0.5 * (axis in unused) for axis in range(3)], (0.375, 0.375, 0.375)]
    if len(edges) == 4:  # a face: the square half-way
        return [[1.0 * (axis in unused) for axis in range(3)]]
    degree = {corner: sum(corner in pair for pair in edges) for corner in part}
    if max(degree.values()) == 3:  # a corner and its three neighbours: a regular hexagon
        return [(0.75, 0.75, 0.75)]
    middle = next(axis for pair, axis in edges.items() if degree[pair[0]] == degree[pair[1]] == 2)
    ends = [axis for axis in range(3) if axis != middle]
    return [(0.5, 0.5, 0.5), *([0.25 * (axis in (middle, end)) for axis in range(3)] for end in ends)]
