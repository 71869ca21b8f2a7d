"""Windows: where they lie on a scan and how much each of their voxels counts.

Official placement and weights are the field's convention (MONAI's ``sliding_window_inference``), so that results can be
compared window by window.
"""

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import product

import torch
from torch import Tensor
from torch.nn import functional

from openvista.geometry.box import Box, Slices, minus, plus
from openvista.geometry.grid import Axis3
from openvista.inference.body import CELL, Body, find_body
from openvista.inference.profiles import Profile
from openvista.network import Preset
from openvista.prepare import Prepared

logger = logging.getLogger(__name__)

SIGMA_SCALE = 0.125
"""Standard deviation of the Gaussian weights, as a share of the window's side (MONAI's default)."""
SMALLEST_WEIGHT = 1e-3
"""No voxel of a window counts less (MONAI's rule for corners, where a Gaussian would underflow)."""


@dataclass(frozen=True)
class WindowPlan:
    """Windows on a padded volume.

    Attributes:
        volume: voxels of the volume along X, Y, Z.
        window: voxels of a window.
        pad_before, pad_after: voxels added so that no axis is shorter than a window.
        starts: first voxel of each window, in voxels of the padded volume.
    """

    volume: Axis3
    window: Axis3
    pad_before: Axis3
    pad_after: Axis3
    starts: tuple[Axis3, ...]

    @property
    def padded(self) -> Axis3:
        """Voxels of the padded volume."""
        return plus(plus(self.pad_before, self.volume), self.pad_after)

    @property
    def inner(self) -> Box:
        """The volume's own voxels in the padded volume."""
        return Box.sized(self.pad_before, self.volume)

    @property
    def streaming_axis(self) -> int:
        """The longest axis: slabs across it are smallest."""
        return self.padded.index(max(self.padded))

    def slices(self, start: Axis3) -> Slices:
        """The voxels of the window that starts here, as slices of the padded volume."""
        return Box.sized(start, self.window).slices()


def axis_starts(length: int, window: int, overlap: float, placement: str = "official") -> list[int]:
    """First voxels of the windows along one axis that is at least as long as a window.

    Steps are ``int(window · (1 - overlap))``, at least 1, and the last window is shifted back to end with the axis: the
    ``"official"`` placement. ``"even"``: as many windows, but all their steps are alike, to the voxel.
    """
    step = max(int(window * (1 - overlap)), 1)
    steps = math.ceil((length - window) / step)
    if placement == "even":
        return [round(index * (length - window) / max(steps, 1)) for index in range(steps + 1)]
    return [min(index * step, length - window) for index in range(steps + 1)]


def plan_windows(volume: Axis3, window: Axis3, overlap: float, placement: str = "official") -> WindowPlan:
    """All windows of a volume, X slowest. Axes shorter than a window are padded alike on both sides."""
    missing = [max(side - length, 0) for length, side in zip(volume, window, strict=True)]
    before = (missing[0] // 2, missing[1] // 2, missing[2] // 2)
    after = (missing[0] - before[0], missing[1] - before[1], missing[2] - before[2])
    lengths = [length + extra for length, extra in zip(volume, missing, strict=True)]
    per_axis = [axis_starts(length, side, overlap, placement) for length, side in zip(lengths, window, strict=True)]
    return WindowPlan(volume, window, before, after, tuple(product(*per_axis)))  # type: ignore[arg-type]


def pad(image_XYZ: Tensor, plan: WindowPlan, mode: str) -> Tensor:
    """The padded volume: 0 around it (``"constant"``) or its border repeated (``"replicate"``)."""
    if plan.padded == plan.volume:
        return image_XYZ
    ends = [n for axis in (2, 1, 0) for n in (plan.pad_before[axis], plan.pad_after[axis])]
    return functional.pad(image_XYZ[None, None], ends, mode=mode)[0, 0]


def importance_map(window: Axis3, weighting: str, device: torch.device | str = "cpu") -> Tensor:
    """How much each voxel of a window counts, [X, Y, Z] float32.

    Args:
        window: voxels of the window.
        weighting: ``"constant"``: 1 everywhere; ``"gaussian"``: product of three Gaussians around the centre with
            sigma = side / 8, but nowhere below ``SMALLEST_WEIGHT``.
        device: where to make it.
    """
    if weighting == "constant":
        return torch.ones(window, device=device)
    axes = []
    for side in window:
        distance = torch.arange(side, dtype=torch.float32, device=device) - (side - 1) / 2
        axes.append(torch.exp(distance**2 / (-2 * (SIGMA_SCALE * side) ** 2)))
    weights_XYZ = axes[0][:, None, None] * axes[1][None, :, None] * axes[2][None, None, :]
    return weights_XYZ.clamp_(min=max(float(weights_XYZ.min()), SMALLEST_WEIGHT))


def total_weights(plan: WindowPlan, importance_XYZ: Tensor) -> Tensor:
    """Sum of the importance of all windows over each voxel of the padded volume; 0 where there is none."""
    total_XYZ = torch.zeros(plan.padded, device=importance_XYZ.device)
    for start in plan.starts:
        total_XYZ[plan.slices(start)] += importance_XYZ
    return total_XYZ


def without_air(plan: WindowPlan, body: Body) -> WindowPlan:
    """The plan for the body's box without the windows that hold nothing of the body.

    Every voxel of the body keeps all its windows, so its result is the same as with all of them.
    """
    kept = []
    for start in plan.starts:
        cells = []
        for first, side, before in zip(start, plan.window, plan.pad_before, strict=True):
            cells.append(slice(max(first - before, 0) // CELL, -(-(first - before + side) // CELL)))
        if body.cells_XYZ[tuple(cells)].any():
            kept.append(start)
    return replace(plan, starts=tuple(kept))


def within(plan: WindowPlan, box: Box, needed: Box) -> tuple[WindowPlan, Box]:
    """The plan for a part of the model grid without the windows that hold nothing of what is needed.

    What is needed keeps all its windows, so its result is the same as with all of them.

    Args:
        plan: windows on ``box``.
        box: the part of the model grid that is looked at.
        needed: voxels of the model grid.

    Returns:
        ``(plan, box)``: the box is no larger than the windows that are left. Without one the box is empty.
    """
    wanted = needed.intersect(box)
    kept = []
    if wanted is not None:
        on_plan = wanted.shifted(minus(plan.pad_before, box.start))
        kept = [start for start in plan.starts if Box.sized(start, plan.window).intersect(on_plan)]
    hull = Box.hull(Box.sized(start, plan.window) for start in kept).intersect(plan.inner)
    if hull is None:
        return replace(plan, starts=()), Box.sized(box.start, (0, 0, 0))
    # an axis that is padded is one window long, so its padding stays
    moved = minus(hull.start, plan.pad_before)
    starts = tuple(minus(start, moved) for start in kept)
    return replace(plan, volume=hull.shape, starts=starts), Box.sized(plus(box.start, moved), hull.shape)


@dataclass(frozen=True, eq=False)
class Windowed:
    """A prepared scan cut into windows.

    Attributes:
        prepared: the scan on the model grid.
        profile: the choices.
        box: the part of the model grid that is looked at.
        plan: the windows on that part.
        image_XYZ: 0..1, that part with its padding.
        left_out: windows that hold nothing of what is asked for.
        encoded: channels [X, Y, Z, C] of windows that were encoded before, by their start.
    """

    prepared: Prepared
    profile: Profile
    box: Box
    plan: WindowPlan
    image_XYZ: Tensor
    left_out: int = 0
    encoded: Mapping[Axis3, Tensor] = field(default_factory=dict)

    def importance(self, device: torch.device | str = "cpu") -> Tensor:
        """Weight of each voxel of a window, see :func:`importance_map`."""
        return importance_map(self.plan.window, self.profile.weighting, device)

    def slab_bytes(self, channels: int, dtype: torch.dtype) -> int:
        """Memory of the rows that are summed at once: as many as a window has."""
        rows = list(self.plan.padded)
        rows[self.plan.streaming_axis] = self.plan.window[self.plan.streaming_axis]
        return math.prod(rows) * channels * dtype.itemsize


def cut_windows(
    prepared: Prepared,
    preset: Preset,
    profile: Profile,
    needed: Box | None = None,
    device: torch.device | str = "cpu",
) -> Windowed:
    """Cut a prepared scan into windows of the preset's size; where the profile says so, only what holds the body.

    A foreground that the scaling found is all that is looked at, in every profile.

    Args:
        prepared, preset, profile: the scan, and how.
        needed: the voxels of the model grid that are asked for; ``None`` for all. Without a window on them the box is
            empty.
        device: where the image shall lie. It goes there once; a voxel is in several windows.
    """
    image_XYZ = prepared.image_XYZ
    if prepared.foreground is not None:
        body = Body.filled(prepared.foreground)
    elif profile.skip_air:
        body = find_body(image_XYZ, prepared.grid.spacing, preset.hu_window, preset.window)
    else:
        body = Body.whole(image_XYZ.shape)
    everywhere = plan_windows(body.box.shape, preset.window, profile.overlap, profile.placement)
    plan = without_air(everywhere, body)
    logger.info(
        "model grid %s at %s mm, %s of it looked at in %d windows of %s; %d in air left out",
        prepared.grid.shape,
        tuple(round(length, 3) for length in prepared.grid.spacing),
        plan.volume,
        len(plan.starts),
        plan.window,
        len(everywhere.starts) - len(plan.starts),
    )
    box, left_out = body.box, 0
    if needed is not None:
        whole = len(plan.starts)
        plan, box = within(plan, box, needed)
        left_out = whole - len(plan.starts)
    part_XYZ = image_XYZ[box.slices()].to(device)
    if not box.empty:
        part_XYZ = pad(part_XYZ, plan, profile.padding)
    return Windowed(prepared, profile, box, plan, part_XYZ, left_out)
