"""A synthetic CT, or a patch of one: anatomy, then tissue, then the scanner. Seeded and exact."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields

import torch
from torch import Tensor

from openvista.errors import GridError, RecipeError
from openvista.geometry.grid import Float3, triple
from openvista.synthesis.anatomy import SPACING_MM, Anatomy, Atlas
from openvista.synthesis.contents import add_lesions, draw_textures, fill
from openvista.synthesis.draws import Draws
from openvista.synthesis.scanner import scan_body
from openvista.synthesis.surroundings import AIR, PARTS, draw_around, seen
from openvista.synthesis.tissue import draw_values
from openvista.synthesis.warp import Lookup, Raster, draw_places, exchange_organs, look_up, remove_organs

MOST_VOXELS = 50_000_000
"""Of a whole drawing; each takes about 100 bytes while it is drawn."""

OFF_MIDDLE = 0.35
"""Share of the body's width and depth at each side in which no patch is centred, unless it is on a structure."""

LEAST_INSIDE = 0.75
"""Share of the frame along the body that lies between the map's ends then."""

FINER = 1.5
"""Voxels of a drawing along each axis for one of the scan's: so edges are as soft as a scanner makes them."""


@dataclass(frozen=True)
class Variety:
    """How much drawings differ from the label maps and from each other.

    Attributes:
        strength: of all deformations; 1 as described in docs/learning-from-label-maps.md, 0 for the map as it is.
        exchange: share of drawings in which organs are taken from another map.
        removal: whether organs that patients may lack are left out now and then.
        lesions: whether organs may have lesions.
        mirror: share of drawings that are mirrored; right structures are then called left.
        arms, table: share of drawings that show them.
        slab: share of patches that show 30 to 120 mm along the body only.
        cut: share of patches that a round field of view cuts.

    Raises:
        RecipeError: a share is not from 0 to 1, or the strength is negative.
    """

    strength: float = 1.0
    exchange: float = 0.4
    removal: bool = True
    lesions: bool = True
    mirror: float = 0.1
    arms: float = 0.4
    table: float = 0.6
    slab: float = 0.15
    cut: float = 0.15

    def __post_init__(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            if one.name != "strength" and not 0 <= value <= 1:
                raise RecipeError(f"synthesis: {one.name} is {value:g}: give a share from 0 to 1")
        if self.strength < 0:
            raise RecipeError(f"synthesis: strength is {self.strength:g}: give 0 or more; 1 is usual")


@dataclass(frozen=True, eq=False)
class Drawing:
    """A synthetic CT and what it shows.

    Attributes:
        hu_XYZ: float32 HU, RAS.
        numbers_XYZ: uint8 number of the structure in the atlas; 0 for none, and outside the field of view.
        pieces_XYZ: int16 everything that is drawn, structures by their numbers, then what has no label: fat, wall of
            the trunk, skin, arms, lesions; 0 for air.
        phase: of contrast.
        body: name of the label map.
    """

    hu_XYZ: Tensor
    numbers_XYZ: Tensor
    pieces_XYZ: Tensor
    phase: str
    body: str


@dataclass(frozen=True, eq=False)
class Subject:
    """What is to be drawn.

    Attributes:
        body: index in the atlas.
        centre_3: place of the middle of the frame in the body, mm.
    """

    body: int
    centre_3: Tensor = field(default_factory=lambda: torch.zeros(3))


def draw_ct(
    atlas: Atlas, subject: Subject, frame: Raster, variety: Variety, draws: Draws, finer: float = FINER
) -> Drawing:
    """Draw a synthetic CT.

    Args:
        atlas: all bodies.
        subject: body and place.
        frame: voxels of the result.
        variety: how much it may differ from the label map.
        draws: source of all randomness.
        finer: voxels along each axis that are drawn for one of the result; 1 for large frames.
    """
    body, fine = atlas.bodies[subject.body], frame.finer(finer)
    mirror = draws.chance(variety.mirror)
    at_3XYZ = draw_places(atlas, body, fine, subject.centre_3, variety.strength, draws)
    found = look_up(body, at_3XYZ)
    if variety.removal:
        remove_organs(atlas, body, found, draws)
    if draws.chance(variety.exchange):
        exchange_organs(atlas, body, found, at_3XYZ, draws)
    del at_3XYZ
    values = draw_values(atlas.structures, draws)
    index_XYZ = found.numbers_XYZ.long()
    found.numbers_XYZ[found.depth_XYZ < values.shrink_mm_S[index_XYZ]] = 0
    index_XYZ = found.numbers_XYZ.long()
    textures = draw_textures(fine, draws)
    hu_XYZ = torch.where(
        found.depth_XYZ < values.wall_mm_S[index_XYZ], values.wall_S[index_XYZ], values.inside_S[index_XYZ]
    )
    hu_XYZ += values.texture_S[index_XYZ] * textures.grain_XYZ
    fill(hu_XYZ, found, atlas, values, textures, draws)
    around = draw_around(found, fine, values, (variety.arms, variety.table), draws)
    empty_XYZ = found.numbers_XYZ == 0
    hu_XYZ = torch.where(empty_XYZ, around.hu_XYZ, hu_XYZ)
    count = len(atlas.structures)
    parts_XYZ = torch.where(around.parts_XYZ > 0, around.parts_XYZ.to(torch.int16) + (count - 1), 0)
    pieces_XYZ = torch.where(empty_XYZ, parts_XYZ, found.numbers_XYZ.to(torch.int16))
    if variety.lesions:
        add_lesions(hu_XYZ, pieces_XYZ, count + len(PARTS), found, atlas, fine, draws)
    hidden_XYZ = _hidden(found, fine, variety, draws)
    hu_XYZ[hidden_XYZ] = AIR if draws.chance(0.5) else -1024.0
    scanned_XYZ = scan_body(hu_XYZ, frame, draws)
    numbers_XYZ = nearest(found.numbers_XYZ.masked_fill(hidden_XYZ, 0), frame)
    pieces_XYZ = nearest(pieces_XYZ.masked_fill(hidden_XYZ, 0), frame)
    if mirror:
        scanned_XYZ, numbers_XYZ, pieces_XYZ = _mirrored(atlas, scanned_XYZ, numbers_XYZ, pieces_XYZ)
    return Drawing(scanned_XYZ, numbers_XYZ, pieces_XYZ, values.phase, body.name)


def draw_whole(atlas: Atlas, body: int, spacing: Float3, variety: Variety, draws: Draws) -> Drawing:
    """Draw a whole body, as far as its map goes, on voxels of this size in mm.

    Raises:
        GridError: these would be too many voxels.
    """
    extent_3 = atlas.bodies[body].extent_3
    shape = triple(max(16, round(float(side) / mm)) for side, mm in zip(extent_3, spacing, strict=True))
    voxels = math.prod(shape)
    if voxels > MOST_VOXELS:
        enough = math.ceil(min(spacing) * (voxels / MOST_VOXELS) ** (1 / 3) * 10) / 10
        raise GridError(
            f"{atlas.bodies[body].name}: a drawing with voxels of {min(spacing):g} mm would have {voxels / 1e6:.0f} "
            f"million of them; at most {MOST_VOXELS // 10**6} million are drawn: take {enough:g} mm"
        )
    return draw_ct(atlas, Subject(body, extent_3 / 2), Raster(shape, spacing), variety, draws, finer=1.0)


def _hidden(found: Lookup, fine: Raster, variety: Variety, draws: Draws) -> Tensor:
    """Where there is nothing to see: beyond the map, and beyond the field of view."""
    seen_XYZ = seen(fine, variety.slab, variety.cut, draws)
    return found.beyond_XYZ if seen_XYZ is None else found.beyond_XYZ | ~seen_XYZ


def nearest(volume_XYZ: Tensor, frame: Raster) -> Tensor:
    """The voxels of a finer volume in the middles of a frame's voxels."""
    result = volume_XYZ
    for axis, side in enumerate(frame.shape):
        if result.shape[axis] != side:
            middles = (torch.arange(side) + 0.5) * (result.shape[axis] / side) - 0.5
            result = result.index_select(axis, middles.round().long())
    return result


def _mirrored(atlas: Atlas, hu_XYZ: Tensor, numbers_XYZ: Tensor, pieces_XYZ: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Right becomes left, in the picture and in the names."""
    twins_S = atlas.twins_S
    hu_XYZ, numbers_XYZ, pieces_XYZ = (one.flip(0) for one in (hu_XYZ, numbers_XYZ, pieces_XYZ))
    labelled = pieces_XYZ < len(twins_S)
    swapped = twins_S[pieces_XYZ.clamp(max=len(twins_S) - 1).long()].to(torch.int16)
    return hu_XYZ, twins_S[numbers_XYZ.long()], torch.where(labelled, swapped, pieces_XYZ)


def random_place(body: Anatomy, wanted: Sequence[Sequence[int]], around: float, frame: Raster, draws: Draws) -> Tensor:
    """A place to centre a patch on, mm: a voxel of one of the structures, or a place in the middle of the trunk.

    In the second case most of the frame lies between the map's ends, as a window lies in a scan.

    Args:
        body: the one that is drawn.
        wanted: numbers of structures, in groups that are drawn alike; what the body lacks does not count.
        around: share of places on one of them.
        frame: voxels of the patch.
        draws: source of randomness.
    """
    there = ([number for number in group if number in body.places] for group in wanted)
    present = [group for group in there if group]
    if not present or not draws.chance(around):
        inside = LEAST_INSIDE * float(frame.extent_3[2]) / float(body.extent_3[2])
        low = torch.tensor([OFF_MIDDLE, OFF_MIDDLE, min(0.5, inside / 2)])
        return (low + torch.rand(3, generator=draws.generator) * (1 - 2 * low)) * body.extent_3
    group = present[draws.below(len(present))]
    place = body.places[group[draws.below(len(group))]]
    within = draws.normal(3) / 2.5  # most of an ellipsoid
    spot_3 = place.centre_3 + place.axes_33 @ within
    return torch.minimum(spot_3.clamp(min=SPACING_MM), body.extent_3 - SPACING_MM)
