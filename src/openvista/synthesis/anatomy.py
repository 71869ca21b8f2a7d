"""Bodies to draw: label maps on one spacing, with what the drawing asks of every voxel, worked out once.

Shape letters: X Y Z voxels in RAS order, S structures by number.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import ConvexHull, QhullError
from torch import Tensor

from openvista.errors import ScanError
from openvista.geometry.resample import resample_nearest
from openvista.synthesis.maps import NamedMap
from openvista.synthesis.structure import DrawnStructure, other_side

SPACING_MM = 2.0
"""Voxels of a body: fine enough for walls, small enough to keep several bodies in memory."""

COARSE = 2
"""Voxels of a body along each axis for one of its distances to the outline and to bone, which are smooth."""

ROOM_MM = 90.0
"""Around what is labelled, in plane: room for fat, muscle, skin and arms."""

_DEEPEST_MM, _FARTHEST_MM = 40.0, 100.0
_NOTHING = DrawnStructure("nothing", None, "fat", "nothing")
_DISC = DrawnStructure("intervertebral discs", None, "disc", "intervertebral discs")
_LIMBS = {87, 88, 89, 90, 91, 92, 120}
"""Arms, shoulders and skull (ids), which the outline of the trunk leaves out."""


@dataclass(frozen=True)
class Site:
    """Where a structure lies in a body.

    Attributes:
        centre_3: mm.
        axes_33: columns are the semi-axes of the ellipsoid of the same second moments, mm.
        compact: share of that ellipsoid that the structure fills; low for what is long, bent or hollow.
        touches_end: it reaches the first or last slice, so a part of it may be missing.
    """

    centre_3: Tensor
    axes_33: Tensor
    compact: float
    touches_end: bool


@dataclass(frozen=True, eq=False)
class Anatomy:
    """One anatomy, without a CT.

    Attributes:
        name: of its label map.
        numbers_XYZ: uint8 number of each voxel's structure in the atlas, 0 for none.
        depth_XYZ: float16 mm from the middle of a voxel to the surface of its structure.
        surface_2XYZ: float32 mm from the outline of the trunk (outside is positive), and from the nearest bone; on
            voxels ``COARSE`` times as large.
        places: number to where the structure lies.
    """

    name: str
    numbers_XYZ: Tensor
    depth_XYZ: Tensor
    surface_2XYZ: Tensor
    places: dict[int, Site]

    @property
    def extent_3(self) -> Tensor:
        """Size in mm."""
        return torch.tensor(self.numbers_XYZ.shape) * SPACING_MM


@dataclass(frozen=True, eq=False)
class Atlas:
    """Several bodies and the one table of structures that they share.

    Attributes:
        structures: by number; number 0 is what no label names.
        bodies: at least one.
    """

    structures: tuple[DrawnStructure, ...]
    bodies: tuple[Anatomy, ...]

    @property
    def twins_S(self) -> Tensor:
        """Number of the same structure on the other side of the body."""
        by_name = {structure.name: number for number, structure in enumerate(self.structures)}
        return torch.tensor([by_name[structure.twin] for structure in self.structures], dtype=torch.uint8)

    def numbers_of(self, tissue: str) -> list[int]:
        """Numbers of all structures of a tissue."""
        return [number for number, one in enumerate(self.structures) if number and one.tissue == tissue]


def make_atlas(maps: Sequence[NamedMap]) -> Atlas:
    """Prepare label maps for drawing; takes some seconds for each.

    Raises:
        ScanError: more than 255 different structures.
    """
    table = {_NOTHING.name: _NOTHING, _DISC.name: _DISC}
    for one in maps:
        for structure in one.structures.values():
            table.setdefault(structure.name, structure)
    for structure in list(table.values()):
        if structure.twin not in table:
            twin = DrawnStructure(structure.twin, None, structure.tissue, other_side(structure.twin))
            table[twin.name] = twin
    if len(table) > 256:
        raise ScanError(f"the label maps name {len(table) - 1} structures together: at most 255 can be told apart")
    numbers = {name: number for number, name in enumerate(table)}
    structures = tuple(table.values())
    return Atlas(structures, tuple(_body(one, numbers, structures) for one in maps))


def _body(one: NamedMap, numbers: dict[str, int], structures: tuple[DrawnStructure, ...]) -> Anatomy:
    lookup = np.zeros(int(one.labels_XYZ.max()) + 1, np.uint8)
    for key, structure in one.structures.items():
        lookup[key] = numbers[structure.name]
    grid = one.grid.with_spacing((SPACING_MM, SPACING_MM, SPACING_MM))
    numbers_XYZ = resample_nearest(torch.from_numpy(lookup[one.labels_XYZ]), one.grid, grid).numpy()
    box = ndimage.find_objects((numbers_XYZ > 0).astype(np.uint8))[0]
    room = round(ROOM_MM / SPACING_MM)
    numbers_XYZ = np.pad(numbers_XYZ[box], ((room, room), (room, room), (0, 0)))
    _add_discs(numbers_XYZ, structures, numbers[_DISC.name])
    boxes = ndimage.find_objects(numbers_XYZ)
    present = [(number, found) for number, found in enumerate(boxes, start=1) if found is not None]
    depth_XYZ = np.zeros(numbers_XYZ.shape, np.float32)
    for number, found in present:
        mask = np.pad(numbers_XYZ[found] == number, 1)
        mask[:, :, 0], mask[:, :, -1] = mask[:, :, 1], mask[:, :, -2]  # nothing ends where the map ends
        depth_XYZ[found] += (ndimage.distance_transform_edt(mask) * SPACING_MM)[1:-1, 1:-1, 1:-1]
    coarse_XYZ = numbers_XYZ[::COARSE, ::COARSE, ::COARSE]
    bones = np.isin(coarse_XYZ, [n for n, one in enumerate(structures) if one.tissue in ("bone", "cartilage")])
    surface = np.stack([_outline_distance(coarse_XYZ, structures), _distance_to(bones)])
    return Anatomy(
        one.name,
        torch.from_numpy(numbers_XYZ),
        torch.from_numpy(depth_XYZ.clip(0, _DEEPEST_MM)).half(),
        torch.from_numpy(surface.clip(-_FARTHEST_MM, _FARTHEST_MM)).float(),
        {number: _place(numbers_XYZ, number, found) for number, found in present},
    )


def _place(numbers_XYZ: NDArray[np.uint8], number: int, box: tuple[slice, ...]) -> Site:
    voxels_N3 = np.argwhere(numbers_XYZ[box] == number)
    points_N3 = (voxels_N3 + [side.start for side in box] + 0.5) * SPACING_MM
    spread = np.cov(points_N3.T) if len(points_N3) > 1 else np.zeros((3, 3))
    lengths, directions = np.linalg.eigh(spread + np.eye(3))
    semi_axes = np.sqrt(5 * lengths)  # a solid ellipsoid's variance along an axis is a fifth of its semi-axis squared
    volume = 4 / 3 * np.pi * semi_axes.prod()
    ends = (box[2].start == 0) or (box[2].stop == numbers_XYZ.shape[2])
    return Site(
        torch.tensor(points_N3.mean(0), dtype=torch.float32),
        torch.tensor(directions * semi_axes, dtype=torch.float32),
        float(len(points_N3) * SPACING_MM**3 / volume),
        ends,
    )


def _add_discs(numbers_XYZ: NDArray[np.uint8], structures: tuple[DrawnStructure, ...], disc: int) -> None:
    """Fill the gap between the bodies of neighbouring vertebrae, which label maps of bones leave out.

    A voxel of no structure belongs to a disc if both vertebrae are near, and if it lies in front of the spinal canal.
    """
    spine = {one.class_id: n for n, one in enumerate(structures) if one.class_id in range(33, 57)}
    sacrum = [n for n, one in enumerate(structures) if one.class_id in (97, 127)]
    pairs = [(spine[lower], spine[lower + 1]) for lower in spine if lower is not None and lower + 1 in spine]
    pairs += [(one, spine[33]) for one in sacrum if 33 in spine]
    boxes = ndimage.find_objects(numbers_XYZ)
    most = round(9 / SPACING_MM)
    for a, b in pairs:
        if a > len(boxes) or b > len(boxes) or boxes[a - 1] is None or boxes[b - 1] is None:
            continue
        low = [max(min(one.start, two.start) - most, 0) for one, two in zip(boxes[a - 1], boxes[b - 1], strict=True)]
        high = [max(one.stop, two.stop) + most for one, two in zip(boxes[a - 1], boxes[b - 1], strict=True)]
        crop = numbers_XYZ[tuple(slice(start, stop) for start, stop in zip(low, high, strict=True))]
        apart = [ndimage.distance_transform_edt(crop != one) * SPACING_MM for one in (a, b)]
        front = np.median(np.argwhere((crop == a) | (crop == b))[:, 1])  # the canal lies about there
        gap = (crop == 0) & (apart[0] + apart[1] < 15) & (np.arange(crop.shape[1])[None, :, None] > front)
        crop[gap] = disc


def _outline_distance(numbers_XYZ: NDArray[np.uint8], structures: tuple[DrawnStructure, ...]) -> NDArray[np.float64]:
    """Signed distance in mm to the outline of the trunk: the convex hull of each slice, smoothed along the body."""
    limbs = [n for n, one in enumerate(structures) if one.class_id in _LIMBS]
    trunk_XYZ = (numbers_XYZ > 0) & ~np.isin(numbers_XYZ, limbs)
    places_N2 = np.stack(np.meshgrid(*map(np.arange, numbers_XYZ.shape[:2]), indexing="ij"), -1).reshape(-1, 2)
    hull_XYZ = np.zeros(numbers_XYZ.shape, np.float32)
    for z in range(numbers_XYZ.shape[2]):
        points_N2 = np.argwhere(trunk_XYZ[:, :, z])
        try:
            sides = ConvexHull(points_N2).equations
        except (QhullError, ValueError):  # too little in this slice
            continue
        inside_N = (places_N2 @ sides[:, :2].T + sides[:, 2] <= 0).all(1)
        hull_XYZ[:, :, z] = inside_N.reshape(numbers_XYZ.shape[:2])
    smooth_XYZ = ndimage.gaussian_filter(hull_XYZ, (1, 1, 3), mode="nearest") > 0.5
    ends = np.pad(smooth_XYZ, ((0, 0), (0, 0), (10, 10)), mode="edge")
    distance = ndimage.distance_transform_edt(~ends) - ndimage.distance_transform_edt(ends)
    outline: NDArray[np.float64] = distance[:, :, 10:-10] * (SPACING_MM * COARSE)
    return outline


def _distance_to(mask_XYZ: NDArray[np.bool_]) -> NDArray[np.float64]:
    """In mm, from every voxel; far where there is nothing to be near to."""
    if not mask_XYZ.any():
        return np.full(mask_XYZ.shape, _FARTHEST_MM)
    distance: NDArray[np.float64] = ndimage.distance_transform_edt(~mask_XYZ) * (SPACING_MM * COARSE)
    return distance
