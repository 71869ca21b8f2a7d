"""Another body than the map's: stretched, bent, organs larger and elsewhere, taken from another map, or missing.

Everything here says where in a body a voxel of the drawing comes from. Arrays are [X, Y, Z] in RAS order, places in mm
from the body's first corner.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from openvista.geometry.grid import Axis3, Float3, triple
from openvista.synthesis.anatomy import COARSE, SPACING_MM, Anatomy, Atlas
from openvista.synthesis.draws import Draws

_NODE_MM = 10.0
"""Distance of the places where the deformation is worked out; between them it is interpolated."""

_MOVING = {
    *("liver", "spleen", "kidney", "pancreas", "adrenal gland", "gallbladder", "urine", "prostate", "thyroid", "heart"),
    *("stomach", "duodenum", "cyst", "lesion", "gland", "muscle", "small bowel", "colon"),
}
"""Tissues that grow, shrink and move by themselves; bones and vessels go with what is around them."""

_EXCHANGED = _MOVING - {"liver", "heart", "muscle", "small bowel", "colon"}
"""Tissues taken from another body: what is small enough not to leave a hole that fat cannot fill."""

_REMOVED = {
    "gallbladder": 0.12,
    "kidney": 0.04,
    "spleen": 0.04,
    "adrenal gland": 0.03,
    "prostate": 0.3,
    "thyroid": 0.05,
}
"""How often a patient lacks one (prostate: half of them have none by nature)."""

_GIVES_WAY = _MOVING | {"fat", "mixed bowel", "other", "vein", "disc"}
"""Tissues that an organ from another body may replace."""


@dataclass(frozen=True)
class Raster:
    """The voxels of a drawing.

    Attributes:
        shape: voxels along X, Y, Z.
        spacing: mm per voxel.
    """

    shape: Axis3
    spacing: Float3

    def finer(self, times: float) -> "Raster":
        """The same extent in so many times as many voxels along each axis."""
        shape = triple(max(1, round(side * times)) for side in self.shape)
        return Raster(
            shape, triple(mm * old / new for mm, old, new in zip(self.spacing, self.shape, shape, strict=True))
        )

    @property
    def extent_3(self) -> Tensor:
        """Size in mm."""
        return torch.tensor(self.shape) * torch.tensor(self.spacing)

    def offsets(self) -> tuple[Tensor, Tensor, Tensor]:
        """Places of the voxels along each axis, in mm from the middle of the frame."""
        x, y, z = (
            (torch.arange(side) + 0.5) * mm - side * mm / 2 for side, mm in zip(self.shape, self.spacing, strict=True)
        )
        return x, y, z


@dataclass(frozen=True)
class Lookup:
    """What lies at each voxel of a drawing.

    Attributes:
        numbers_XYZ: uint8 number of the structure.
        depth_XYZ: mm to that structure's surface.
        outline_XYZ: mm to the outline of the trunk; outside is positive.
        bone_XYZ: mm to the nearest bone.
        beyond_XYZ: bool, above or below the map: nobody knows what is there.
        height_XYZ: mm along the body's front.
        middle_XYZ: mm to the right of the middle of the body.
    """

    numbers_XYZ: Tensor
    depth_XYZ: Tensor
    outline_XYZ: Tensor
    bone_XYZ: Tensor
    beyond_XYZ: Tensor
    height_XYZ: Tensor
    middle_XYZ: Tensor


def draw_places(atlas: Atlas, body: Anatomy, frame: Raster, centre_3: Tensor, strength: float, draws: Draws) -> Tensor:
    """Where in the body each voxel of the frame comes from: mm, float32 [3, X, Y, Z].

    Args:
        atlas: tells the tissues of the body's structures.
        body: that is drawn.
        frame: voxels.
        centre_3: place in the body of the middle of the frame.
        strength: 1 for the usual deformations, 0 for none.
        draws: source of randomness.
    """
    linear = _linear(strength, draws)
    places = _affine(linear, centre_3, frame)
    if strength <= 0:
        return places
    nodes = triple(max(2, round(float(side) / _NODE_MM)) for side in frame.extent_3)
    coarse = Raster(nodes, triple((frame.extent_3 / torch.tensor(nodes)).tolist()))
    at_nodes = _affine(linear, centre_3, coarse)
    shift = torch.zeros_like(at_nodes)
    for shortest, longest, most in ((120, 250, 22.0), (30, 70, 9.0)):  # the whole body, then one organ's size
        if draws.chance(0.9):
            wavelength = draws.uniform(shortest, longest)
            deviation = strength * draws.uniform(0.1, 1) * min(most, wavelength / 6)
            shift += torch.stack([draws.field(nodes, coarse.spacing, wavelength) for _ in range(3)]) * deviation / 1.6
    shift += _moves(atlas, body, at_nodes + shift, strength, draws)
    return places + functional.interpolate(shift[None], size=frame.shape, mode="trilinear", align_corners=False)[0]


def _linear(strength: float, draws: Draws) -> Tensor:
    """Size, proportions, shear and turn of the whole body; [3, 3] from an offset in the drawing to one in the body."""
    size = math.exp(strength * draws.uniform(-0.22, 0.22))
    scales = torch.tensor([size * math.exp(strength * draws.uniform(-0.1, 0.1)) for _ in range(3)])
    turn = torch.eye(3)
    for a, b in ((1, 2), (0, 2), (0, 1)):
        angle = math.radians(12) * strength * draws.uniform(-1, 1)
        step = torch.eye(3)
        step[a, a] = step[b, b] = math.cos(angle)
        step[a, b], step[b, a] = -math.sin(angle), math.sin(angle)
        turn = turn @ step
    shear = torch.eye(3) + draws.normal(3, 3) * 0.05 * strength * (1 - torch.eye(3))
    return turn @ shear @ torch.diag(1 / scales)


def _affine(linear_33: Tensor, centre_3: Tensor, frame: Raster) -> Tensor:
    x, y, z = frame.offsets()
    along = [linear_33[:, axis, None] * offsets for axis, offsets in enumerate((x, y, z))]
    flat = along[0][:, :, None, None] + along[1][:, None, :, None] + along[2][:, None, None, :]
    return flat + centre_3[:, None, None, None]


def _moves(atlas: Atlas, body: Anatomy, at_3XYZ: Tensor, strength: float, draws: Draws) -> Tensor:
    """Shift of the places around organs that are larger or smaller, or lie elsewhere, than in the map.

    Within an organ's ellipsoid the scaling is full; outside it fades, so that neighbours give way without folds.
    """
    low, high = at_3XYZ.flatten(1).min(1).values, at_3XYZ.flatten(1).max(1).values
    shift = torch.zeros_like(at_3XYZ)
    for number, place in body.places.items():
        if atlas.structures[number].tissue not in _MOVING or place.compact < 0.25:
            continue
        if bool((place.centre_3 < low).any() | (place.centre_3 > high).any()) or not draws.chance(0.7):
            continue
        smaller = math.exp(-strength * draws.uniform(-0.23, 0.23)) - 1  # volumes of 0.5 to 2 times the map's
        moved_3 = draws.normal(3) * strength * draws.uniform(0, 7)
        away_3XYZ = at_3XYZ - place.centre_3[:, None, None, None]
        lengths = place.axes_33.norm(dim=0)
        inverse = (place.axes_33 / lengths.square() * (lengths / (lengths + 4))).T
        distance_XYZ = torch.einsum("ab,bxyz->axyz", inverse, away_3XYZ).norm(dim=0)
        weight_XYZ = torch.exp(-2 * (distance_XYZ - 1).clamp(min=0).square())
        shift += weight_XYZ * (smaller * away_3XYZ - moved_3[:, None, None, None])
    return shift


def look_up(body: Anatomy, at_3XYZ: Tensor) -> Lookup:
    """What lies in the body at these places."""
    index_XYZ = _voxels(body, at_3XYZ)
    numbers_XYZ = body.numbers_XYZ.view(-1)[index_XYZ]
    half = functional.interpolate(at_3XYZ[None], scale_factor=0.5, mode="trilinear", align_corners=False)
    extent_3 = torch.tensor(body.surface_2XYZ.shape[1:]) * (SPACING_MM * COARSE)
    normal_XYZ3 = (half[0] / extent_3[:, None, None, None] * 2 - 1).flip(0).permute(1, 2, 3, 0)[None]
    surface = functional.grid_sample(
        body.surface_2XYZ[None], normal_XYZ3, mode="bilinear", padding_mode="border", align_corners=False
    )
    surface = functional.interpolate(surface, size=at_3XYZ.shape[1:], mode="trilinear", align_corners=False)[0]
    extent = body.extent_3
    return Lookup(
        numbers_XYZ,
        body.depth_XYZ.view(-1)[index_XYZ].float(),
        surface[0],
        surface[1],
        (at_3XYZ[2] < 0) | (at_3XYZ[2] > extent[2]),
        at_3XYZ[1],
        at_3XYZ[0] - extent[0] / 2,
    )


def _voxels(body: Anatomy, at_3N: Tensor) -> Tensor:
    """Flat index of the voxel at each place; the nearest one beyond the border."""
    index = torch.zeros(at_3N.shape[1:], dtype=torch.long)
    for axis, side in enumerate(body.numbers_XYZ.shape):
        index = index * side + (at_3N[axis] * (1 / SPACING_MM)).long().clamp_(0, side - 1)
    return index


def remove_organs(atlas: Atlas, body: Anatomy, found: Lookup, draws: Draws) -> None:
    """Leave out some of the organs that patients may lack, in ``found`` itself."""
    for number in body.places:
        share = _REMOVED.get(atlas.structures[number].tissue, 0.0)
        if share and draws.chance(share):
            found.numbers_XYZ[found.numbers_XYZ == number] = 0


def exchange_organs(atlas: Atlas, body: Anatomy, found: Lookup, at_3XYZ: Tensor, draws: Draws) -> None:
    """Put up to three organs of another body in the place of the body's own, in ``found`` itself.

    Args:
        atlas: all bodies.
        body: the one that is drawn.
        found: what lies at each voxel; changed.
        at_3XYZ: places of the voxels in the body.
        draws: source of randomness.
    """
    others = [one for one in atlas.bodies if one is not body]
    if not others:
        return
    donor = others[draws.below(len(others))]
    low, high = at_3XYZ.flatten(1).min(1).values, at_3XYZ.flatten(1).max(1).values
    shared = [
        number
        for number, place in body.places.items()
        if number in donor.places
        and atlas.structures[number].tissue in _EXCHANGED
        and not place.touches_end
        and not donor.places[number].touches_end
        and bool((place.centre_3 > low).all() & (place.centre_3 < high).all())
    ]
    soft_S = torch.tensor([structure.tissue in _GIVES_WAY for structure in atlas.structures])
    for number in draws.some(shared, 3):
        _transplant(number, body, donor, found, at_3XYZ, soft_S, draws)


def _transplant(
    number: int, body: Anatomy, donor: Anatomy, found: Lookup, at_3XYZ: Tensor, soft_S: Tensor, draws: Draws
) -> None:
    """Put the donor's organ where the body's own is."""
    own, theirs = body.places[number], donor.places[number]
    reach = float(theirs.axes_33.norm(dim=0).max()) * 1.4 + 5
    near = ((at_3XYZ - own.centre_3[:, None, None, None]).abs() < reach).all(0).view(-1).nonzero()[:, 0]
    if len(near) == 0:
        return
    linear = _linear(1.0, draws)
    at_3N = linear @ (at_3XYZ.reshape(3, -1)[:, near] - own.centre_3[:, None]) + theirs.centre_3[:, None]
    index_N = _voxels(donor, at_3N)
    numbers, depth = found.numbers_XYZ.view(-1), found.depth_XYZ.view(-1)
    numbers[numbers == number] = 0
    new_N = (donor.numbers_XYZ.view(-1)[index_N] == number) & soft_S[numbers[near].long()]
    numbers[near[new_N]] = number
    depth[near[new_N]] = donor.depth_XYZ.view(-1)[index_N[new_N]].float()
