"""What no label names: fat, the muscular wall, skin, arms, the table; and the end of the scan's field of view."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from openvista.synthesis.draws import Draws
from openvista.synthesis.tissue import Values
from openvista.synthesis.warp import Lookup, Raster

AIR = -1000.0
PARTS = ("fat under the skin", "muscular wall", "skin", "fat inside", "soft tissue inside", "arm", "bone of the arm")
"""What is drawn without a label, each a thing that can be clicked on; arms count for each side."""


@dataclass(frozen=True)
class Around:
    """Surroundings of a drawing.

    Attributes:
        hu_XYZ: HU where no structure is.
        parts_XYZ: uint8 which of ``PARTS``, from 1; 0 for air, and the table.
    """

    hu_XYZ: Tensor
    parts_XYZ: Tensor


def draw_around(found: Lookup, frame: Raster, values: Values, shares: tuple[float, float], draws: Draws) -> Around:
    """Draw what lies between and around the structures.

    Args:
        found: what lies at each voxel.
        frame: the voxels.
        values: HU of muscle and fat.
        shares: of drawings with arms beside the body, and with a table.
        draws: source of randomness.
    """
    shape, mm = frame.shape, frame.spacing
    broad_XYZ = draws.field(shape, mm, draws.uniform(35, 80))
    fine_XYZ = draws.field(shape, mm, draws.uniform(12, 25))
    outline_XYZ = found.outline_XYZ
    parts_XYZ = torch.full(shape, 1 + PARTS.index("fat inside"), dtype=torch.uint8)
    parts_XYZ[outline_XYZ > 0] = 1 + PARTS.index("fat under the skin")
    wall_XYZ = (draws.uniform(4, 16) + broad_XYZ * draws.uniform(0, 4)).clamp_(min=1.5)
    threshold = draws.uniform(0.6, 2.2)  # mesenteric vessels, nodes, fasciae
    inside = (outline_XYZ < draws.uniform(-4, 4)) & (fine_XYZ + 0.5 * broad_XYZ > threshold)
    parts_XYZ[inside] = 1 + PARTS.index("soft tissue inside")
    parts_XYZ[_muscle(found, wall_XYZ, broad_XYZ, fine_XYZ, draws)] = 1 + PARTS.index("muscular wall")
    flesh = draws.uniform(6, 22)  # around bones that lie outside the trunk, such as those of the shoulder
    parts_XYZ[(outline_XYZ > 0) & (found.bone_XYZ + 3 * fine_XYZ < flesh)] = 1 + PARTS.index("muscular wall")
    skin_XYZ = wall_XYZ + (_fat_thickness(draws) + broad_XYZ * draws.uniform(0, 8)).clamp_(min=2)
    beyond_XYZ = torch.minimum(outline_XYZ - skin_XYZ, found.bone_XYZ - flesh - draws.uniform(3, 12))
    parts_XYZ[beyond_XYZ > -draws.uniform(1.5, 4)] = 1 + PARTS.index("skin")
    parts_XYZ[beyond_XYZ > 0] = 0
    if draws.chance(shares[0]):
        _add_arms(parts_XYZ, found, frame, broad_XYZ, draws)
    soft = values.muscle + draws.uniform(-10, 10)
    bone = draws.uniform(150, 700)
    levels = [AIR, values.fat, soft, draws.uniform(-20, 60), values.fat + draws.uniform(0, 15), soft, soft - 5, bone]
    hu_XYZ = torch.tensor(levels)[parts_XYZ.long()]
    hu_XYZ += torch.where(parts_XYZ > 0, fine_XYZ * draws.uniform(3, 18), 0)
    if draws.chance(shares[1]):
        _add_table(hu_XYZ, parts_XYZ, found, draws)
    return Around(hu_XYZ, parts_XYZ)


def _fat_thickness(draws: Draws) -> float:
    """Fat under the skin in mm: mostly little, sometimes much."""
    return draws.uniform(3, 25) if draws.chance(0.7) else draws.uniform(20, 60)


def _muscle(found: Lookup, wall_XYZ: Tensor, broad_XYZ: Tensor, fine_XYZ: Tensor, draws: Draws) -> Tensor:
    """Where unlabelled muscle is: a ring around the trunk, with gaps; beside ribs; around the hips and the spine."""
    ring_XYZ = (found.outline_XYZ >= draws.uniform(-6, 2)) & (found.outline_XYZ < wall_XYZ)
    muscle_XYZ = ring_XYZ & (fine_XYZ < draws.uniform(1, 2.5))
    within_XYZ = found.outline_XYZ < wall_XYZ
    if draws.chance(0.6):
        muscle_XYZ |= within_XYZ & (found.bone_XYZ < draws.uniform(4, 16) + 3 * fine_XYZ)
    if draws.chance(0.7):
        near = (found.bone_XYZ < draws.uniform(20, 55)) & (found.outline_XYZ > -draws.uniform(15, 50))
        muscle_XYZ |= near & within_XYZ & (broad_XYZ + 0.4 * fine_XYZ > draws.uniform(-1.2, 0.6))
    return muscle_XYZ


def _add_arms(parts_XYZ: Tensor, found: Lookup, frame: Raster, broad_XYZ: Tensor, draws: Draws) -> None:
    """Arms beside the body or in front of it, each with one bone or two, never inside the trunk."""
    x, y, z = found.middle_XYZ, found.height_XYZ, frame.offsets()[2]
    body_XYZ = parts_XYZ > 0
    if not bool(body_XYZ.any()):
        return
    low, high = (float(one) for one in torch.aminmax(y[body_XYZ]))
    for sign in (-1, 1):
        if draws.chance(0.15):  # only one arm is in the picture
            continue
        side, radius = float((sign * x[body_XYZ]).max()), draws.uniform(28, 55)
        centre_x = sign * (side + radius + draws.uniform(-25, 25))
        centre_y = low + (high - low) * draws.uniform(0.2, 0.9)
        lean_x, lean_y = (math.tan(math.radians(draws.uniform(-18, 18))) for _ in range(2))
        dx, dy = x - centre_x - lean_x * z, y - centre_y - lean_y * z
        distance_XYZ = torch.sqrt(dx**2 + (dy * draws.uniform(0.8, 1.2)) ** 2) + broad_XYZ * 2
        arm_XYZ = (distance_XYZ < radius) & ~body_XYZ & (found.numbers_XYZ == 0)
        parts_XYZ[arm_XYZ] = 1 + PARTS.index("fat under the skin")
        parts_XYZ[arm_XYZ & (distance_XYZ > radius - 3)] = 1 + PARTS.index("skin")
        parts_XYZ[arm_XYZ & (distance_XYZ < radius * draws.uniform(0.6, 0.9))] = 1 + PARTS.index("arm")
        apart = draws.uniform(9, 16) if draws.chance(0.5) else 0.0  # forearm: two bones
        thick = draws.uniform(6, 9) if apart else draws.uniform(9, 14)
        for shift in {-apart, apart}:
            bone_XYZ = arm_XYZ & ((dx - shift) ** 2 + dy**2 < thick**2)
            parts_XYZ[bone_XYZ] = 1 + PARTS.index("bone of the arm")


def _add_table(hu_XYZ: Tensor, parts_XYZ: Tensor, found: Lookup, draws: Draws) -> None:
    """A mattress and a shell behind the back, flat or curved."""
    body_XYZ = (parts_XYZ > 0) | (found.numbers_XYZ > 0)
    if not bool(body_XYZ.any()):
        return
    back = float(found.height_XYZ[body_XYZ].min()) - draws.uniform(0, 25)
    depth_XYZ = found.height_XYZ - back - found.middle_XYZ**2 * draws.uniform(0, 0.0008)
    thick, shell = draws.uniform(4, 40), draws.uniform(2, 5)
    free_XYZ = ~body_XYZ & (depth_XYZ < 0)
    hu_XYZ[free_XYZ & (depth_XYZ > -thick)] = draws.uniform(-900, -400)
    hu_XYZ[free_XYZ & (depth_XYZ > -shell)] = draws.uniform(-300, 200)
    if draws.chance(0.3):
        lower_XYZ = (depth_XYZ < -thick) & (depth_XYZ > -thick - shell)
        hu_XYZ[free_XYZ & lower_XYZ] = draws.uniform(-300, 200)


def seen(frame: Raster, slab: float, cut: float, draws: Draws) -> Tensor | None:
    """Where the scan has anything to show, bool [X, Y, Z]; ``None`` for everywhere.

    Args:
        frame: the voxels.
        slab: share of drawings that are a slab of 30 to 120 mm along the body.
        cut: share of drawings that a round field of view cuts.
        draws: source of randomness.
    """
    x, y, z = frame.offsets()
    seen_XYZ: Tensor | None = None
    if draws.chance(slab):
        thick = draws.uniform(30, 120)
        middle = draws.uniform(-0.5, 0.5) * max(float(frame.extent_3[2]) - thick, 0)
        seen_XYZ = ((z - middle).abs() < thick / 2).expand(frame.shape)
    if draws.chance(cut):
        radius = draws.uniform(120, 230)
        inside_XY = (x[:, None] - draws.uniform(-60, 60)) ** 2 + (y[None, :] - draws.uniform(-60, 60)) ** 2 < radius**2
        inside_XYZ = inside_XY[:, :, None].expand(frame.shape)
        seen_XYZ = inside_XYZ if seen_XYZ is None else seen_XYZ & inside_XYZ
    return seen_XYZ
