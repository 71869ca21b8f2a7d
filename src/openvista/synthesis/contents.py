"""What organs hold: gas, fluid and food, vessels of liver and lung, loops of the bowel, cysts and tumours."""

from dataclasses import dataclass

import torch
from torch import Tensor

from openvista.geometry.grid import Axis3, Float3
from openvista.synthesis.anatomy import Atlas
from openvista.synthesis.draws import Draws
from openvista.synthesis.tissue import Values
from openvista.synthesis.warp import Lookup, Raster

_GAS = {"stomach": 0.6, "duodenum": 0.25, "small bowel": 0.3, "colon": 0.9, "mixed bowel": 0.5, "esophagus": 0.35}
"""Largest share of gas in hollow organs."""

_LESIONS_IN = (
    "liver",
    "spleen",
    "kidney",
    "pancreas",
    "lung",
    "bone",
    "muscle",
    "prostate",
    "adrenal gland",
    "thyroid",
)
MOST_LESIONS = 3


@dataclass(frozen=True)
class Textures:
    """Random fields of a drawing, each [X, Y, Z] of deviation about 1.

    Attributes:
        grain_XYZ: what the eye sees as texture.
        broad_XYZ, fine_XYZ: wavelengths of an organ, and of a loop of bowel.
    """

    grain_XYZ: Tensor
    broad_XYZ: Tensor
    fine_XYZ: Tensor


def draw_textures(frame: Raster, draws: Draws) -> Textures:
    """Draw the fields that all contents share."""
    shape, mm = frame.shape, frame.spacing
    grain_XYZ = draws.field(shape, mm, 20) * 0.4 + draws.field(shape, mm, 7) * 0.6
    broad_XYZ = draws.field(shape, mm, draws.uniform(35, 80))
    return Textures(grain_XYZ, broad_XYZ, draws.field(shape, mm, draws.uniform(10, 24)))


def fill(hu_XYZ: Tensor, found: Lookup, atlas: Atlas, values: Values, textures: Textures, draws: Draws) -> None:
    """Fill what is hollow and vein what has vessels, in ``hu_XYZ`` itself."""
    present_S = torch.bincount(found.numbers_XYZ.view(-1).long(), minlength=len(atlas.structures))
    front = -1.0 if draws.chance(0.1) else 1.0  # lying on the belly
    for number, structure in enumerate(atlas.structures):
        if number == 0 or present_S[number] == 0:
            continue
        tissue = structure.tissue
        if tissue in _GAS:
            within = ((found.numbers_XYZ == number) & (found.depth_XYZ > values.wall_mm_S[number])).view(-1).nonzero()
            if tissue in ("small bowel", "mixed bowel") and draws.chance(0.7):
                _fold(hu_XYZ, within[:, 0], float(values.wall_S[number]), textures, draws)
            _gas(hu_XYZ, within[:, 0], found.height_XYZ * front, tissue, textures, draws)
        elif tissue == "liver":
            _vessels(hu_XYZ, found.numbers_XYZ == number, values.phase, textures, draws)
        elif tissue == "kidney" and draws.chance(0.7):  # fat and urine in the middle
            middle = (found.numbers_XYZ == number) & (found.depth_XYZ > draws.uniform(11, 17))
            hu_XYZ[middle] = draws.uniform(-90, 20)
    lungs = torch.isin(found.numbers_XYZ, torch.tensor(atlas.numbers_of("lung"), dtype=torch.uint8))
    if bool(lungs.any()):
        _fill_lungs(hu_XYZ, lungs, found, textures, draws)


def _fold(hu_XYZ: Tensor, within_N: Tensor, wall: float, textures: Textures, draws: Draws) -> None:
    """Walls between loops, which maps take for one thing: where a random field changes its sign."""
    folds_N = textures.fine_XYZ.view(-1)[within_N] + 0.5 * textures.broad_XYZ.view(-1)[within_N]
    chosen_N = within_N[folds_N.abs() < draws.uniform(0.08, 0.35)]
    hu_XYZ.view(-1)[chosen_N] = wall if draws.chance(0.7) else draws.uniform(-100, -60)


def _gas(hu_XYZ: Tensor, within_N: Tensor, height_XYZ: Tensor, tissue: str, textures: Textures, draws: Draws) -> None:
    """Gas rises to the front; what is below it may be faeces."""
    share = draws.uniform(-0.3 if tissue != "colon" else 0, _GAS[tissue])
    faeces = tissue == "colon" and draws.chance(0.75)
    if len(within_N) < 8 or (share <= 0 and not faeces):
        return
    flat = hu_XYZ.view(-1)
    filled_N = flat[within_N]
    level_N = height_XYZ.reshape(-1)[within_N] + textures.broad_XYZ.view(-1)[within_N] * 25
    some = level_N[:: max(1, len(level_N) // 4000)]
    gas_N = level_N > torch.quantile(some, min(1.0, 1 - share)) if share > 0 else torch.zeros_like(level_N).bool()
    if faeces:
        speckle_N = torch.rand(len(within_N), generator=draws.generator)
        speckle_N = (speckle_N + 0.25 * textures.fine_XYZ.view(-1)[within_N]).clamp(0, 1.2)
        filled_N = filled_N - speckle_N ** draws.uniform(1, 4) * draws.uniform(200, 1200)
    filled_N[gas_N] = draws.uniform(-1010, -900)
    flat[within_N] = filled_N


def _vessels(hu_XYZ: Tensor, organ_XYZ: Tensor, phase: str, textures: Textures, draws: Draws) -> None:
    """Branches in the liver: where two random fields are both near zero, which is along curves."""
    near_XYZ = textures.fine_XYZ.square() + textures.broad_XYZ.square() * 0.6
    contrast = {"plain": (-18, 0), "arterial": (-10, 20), "venous": (10, 60), "delayed": (0, 30)}[phase]
    hu_XYZ[organ_XYZ & (near_XYZ < draws.uniform(0.01, 0.06))] += draws.uniform(*contrast)


def _fill_lungs(hu_XYZ: Tensor, lungs_XYZ: Tensor, found: Lookup, textures: Textures, draws: Draws) -> None:
    """Vessels; and sometimes denser lung at the back."""
    vessels_XYZ = lungs_XYZ & (textures.grain_XYZ > draws.uniform(0.9, 1.7))
    hu_XYZ[vessels_XYZ] += draws.uniform(300, 800)
    if draws.chance(0.4):
        heights = found.height_XYZ[lungs_XYZ]
        lower_XYZ = (float(heights.mean()) - found.height_XYZ) / 60
        denser_XYZ = (textures.broad_XYZ + lower_XYZ).clamp(0, 3) * draws.uniform(0, 150)
        hu_XYZ[lungs_XYZ] += denser_XYZ[lungs_XYZ]


def add_lesions(
    hu_XYZ: Tensor, pieces_XYZ: Tensor, first: int, found: Lookup, atlas: Atlas, frame: Raster, draws: Draws
) -> None:
    """Round or ragged lesions in some organs: darker or brighter, each a piece of its own; the organ's label stays.

    Args:
        hu_XYZ, pieces_XYZ: changed.
        first: number of the first lesion's piece.
        found: what lies at each voxel.
        atlas: the structures.
        frame: the voxels.
        draws: source of randomness.
    """
    hosts = [n for n, one in enumerate(atlas.structures) if n and one.tissue in _LESIONS_IN]
    within = torch.isin(found.numbers_XYZ, torch.tensor(hosts, dtype=torch.uint8)).view(-1).nonzero()[:, 0]
    if len(within) == 0 or not draws.chance(0.4):
        return
    for count in range(1 + draws.below(MOST_LESIONS)):
        at = int(within[draws.below(len(within))])
        radius = draws.uniform(4, 10) if draws.chance(0.6) else draws.uniform(10, 28)
        lesion_XYZ = _ball(frame.shape, frame.spacing, at, radius, draws)
        lesion_XYZ &= found.numbers_XYZ == found.numbers_XYZ.view(-1)[at]
        hu_XYZ[lesion_XYZ] = hu_XYZ[lesion_XYZ] * draws.uniform(0.2, 1) + draws.uniform(-40, 60)
        pieces_XYZ[lesion_XYZ] = first + count


def _ball(shape: Axis3, spacing: Float3, at: int, radius: float, draws: Draws) -> Tensor:
    """A ragged ellipsoid around a voxel, given by its flat index."""
    middle = (at // (shape[1] * shape[2]), at // shape[2] % shape[1], at % shape[2])
    squares = [
        ((torch.arange(side) - one) * mm / draws.uniform(0.75, 1.3)) ** 2
        for side, one, mm in zip(shape, middle, spacing, strict=True)
    ]
    distance_XYZ = torch.sqrt(squares[0][:, None, None] + squares[1][None, :, None] + squares[2][None, None, :])
    ragged = draws.field(shape, spacing, max(8.0, radius)) * draws.uniform(0, 0.2)
    return distance_XYZ < radius * (1 + ragged)
