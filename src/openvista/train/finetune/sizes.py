"""How large structures are, and which spacing and patch follow from that."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from openvista.datalist import Case
from openvista.geometry.box import Box
from openvista.geometry.grid import Axis3, Float3, Grid, triple
from openvista.inference.strays import stray_voxels
from openvista.io import read_labels
from openvista.network import Preset, build_empty

T = TypeVar("T")

THINNEST = 2.0
"""Voxels across a structure below which a model does not resolve it. The starter's thinnest structures, esophagus and
spinal cord, have a median of 3.1 and 3.5 voxels across in its training cases and are found."""
COMFORTABLE = 4.0
"""Voxels across the thinnest structure after a finer spacing was chosen because of :data:`THINNEST`."""
THICKEST = 0.5
"""Share of the window's shortest side: where even the thinnest structure is thicker, most windows lie inside one."""
ROOMY = 0.25
"""The same share after a coarser spacing was chosen because of :data:`THICKEST`."""
MEMORY_SHARE = 0.8
"""Of what is free; the rest is for what the backward pass needs for a moment, and for cases kept in memory."""


@dataclass(frozen=True)
class CaseSizes:
    """Sizes in one case, axes R A S.

    Attributes:
        spacing: mm per voxel.
        extent_mm: of the whole scan.
        thickness_mm: class id to the diameter of the largest ball inside the structure, of those that are there.
        in_pieces: those of which a stray piece would be left out, if they were said to be in one piece.
    """

    spacing: Float3
    extent_mm: Float3
    thickness_mm: Mapping[int, float]
    in_pieces: frozenset[int] = frozenset()

    def windows(self, window: Axis3, spacing: Float3) -> int:
        """How many windows side by side cover the scan at this spacing."""
        sides = zip(self.extent_mm, window, spacing, strict=True)
        return math.prod(math.ceil(extent / (side * length)) for extent, side, length in sides)


@dataclass(frozen=True)
class PlannedValue(Generic[T]):
    """A decision and why."""

    value: T
    reason: str


@dataclass(frozen=True)
class StepMemory:
    """What a training step keeps in memory.

    Attributes:
        classes: class prompts at once.
        patches: patches at once.
        clicks: the point branch is trained too.
        half: activations have 16 bits.
    """

    classes: int
    patches: int
    clicks: bool
    half: bool

    def bytes(self, model: Preset, voxels: int) -> int:
        """Memory for patches of so many voxels.

        Per voxel and filter, autograd keeps 111 bytes with class prompts alone and 161 with clicks as well (66 and 95
        in bfloat16): summed over the tensors it saves, for both presets, at 32³ to 64³. Each class prompt costs
        logits, probabilities, targets and products. Weights count five times: gradient, AdamW's two, average.
        """
        per_filter = (95 if self.clicks else 66) if self.half else (161 if self.clicks else 111)
        per_voxel = model.filters * per_filter + self.classes * 24
        return _weights(model) * 4 * 5 + voxels * self.patches * per_voxel


def measure_case(case: Case, classes: Mapping[int, int]) -> CaseSizes:
    """Sizes of the structures of a case.

    Args:
        case: from a data list.
        classes: label value to class id.

    Raises:
        ScanError: the label map cannot be read.
    """
    labels, grid = read_labels(case.label, apart=True)
    thickness: dict[int, float] = {}
    in_pieces = set()
    for class_id in sorted(set(classes.values())):
        mask_XYZ = np.isin(labels, [value for value, other in classes.items() if other == class_id])
        if mask_XYZ.any():
            thickness[class_id] = thickness_mm(mask_XYZ, grid)
            if stray_voxels(mask_XYZ, grid.spacing) is not None:
                in_pieces.add(class_id)
    ras = grid.in_ras_order()
    extent_mm = triple(count * length for count, length in zip(ras.shape, ras.spacing, strict=True))
    return CaseSizes(ras.spacing, extent_mm, thickness, frozenset(in_pieces))


def thickness_mm(mask_XYZ: NDArray[np.bool_], grid: Grid) -> float:
    """Diameter of the largest ball inside a mask that has voxels: what is thin is thin, however long it is."""
    box = Box.around(mask_XYZ) or Box.whole(mask_XYZ.shape)
    depth_mm = ndimage.distance_transform_edt(np.pad(mask_XYZ[box.slices()], 1), sampling=grid.spacing)
    return float(2 * depth_mm.max() - min(grid.spacing))  # depths run to the middle of the next voxel outside


def plan_spacing(model: Preset, cases: Sequence[CaseSizes], wanted: str | Float3 = "auto") -> PlannedValue[Float3]:
    """Voxel size for a fine-tune, in mm along R, A, S.

    ``"auto"`` keeps the model's own unless the structures are far outside of what it resolves, because all that it
    knows it knows at that size. ``"keep"`` is that of the data (the median), as is best for very small or non-human
    bodies (paper facts §2).

    Args:
        model: what the fine-tune starts from.
        cases: at least one.
        wanted: ``"auto"``, ``"keep"`` or the spacing itself.
    """
    if not isinstance(wanted, str):
        return PlannedValue(wanted, "as asked for")
    data = triple(statistics.median(case.spacing[axis] for case in cases) for axis in range(3))
    if wanted == "keep":
        return PlannedValue(_rounded(data), "that of the data, as asked for")
    thinnest = _thinnest(cases)
    own = model.spacing
    across = thinnest / _mean(own)
    if across < THINNEST:
        return _finer(own, data, thinnest)
    window_mm = min(side * length for side, length in zip(model.window, own, strict=True))
    if thinnest > THICKEST * window_mm:
        factor = thinnest / (ROOMY * window_mm)
        reason = f"coarser than the model's {_text(own)} mm: the thinnest structure is {thinnest:.3g} mm across"
        coarser = triple(length * factor for length in own)
        return PlannedValue(_rounded(coarser), f"{reason}, over half of the model's window")
    return PlannedValue(own, f"the model's own: the thinnest structure is {across:.2g} voxels across")


def plan_patch(
    model: Preset, spacing: Float3, cases: Sequence[CaseSizes], free_bytes: int | None, memory: StepMemory
) -> PlannedValue[Axis3]:
    """Voxels of a patch, along R, A, S; it becomes the window of the model that comes out.

    The model's own window, cut to the largest scan where even that is shorter (not with clicks, whose positions are
    learnt relative to the window's sides), then cut at its longest side until training fits the memory.

    Args:
        model: what the fine-tune starts from.
        spacing: mm per voxel.
        cases: at least one.
        free_bytes: memory that is free where the network trains; ``None`` where nobody can tell.
        memory: what is kept for the backward pass.
    """
    window, reasons = list(model.window), ["the model's own"]
    multiple = model.window_multiple
    if not memory.clicks:
        for axis in range(3):
            longest = max(case.extent_mm[axis] for case in cases) / spacing[axis]
            window[axis] = min(window[axis], max(math.ceil(longest / multiple), 2) * multiple)
        if window != list(model.window):
            reasons = [f"the model's own ({_text(model.window)}), no longer than the largest scan"]
    budget = math.inf if free_bytes is None else free_bytes * MEMORY_SHARE
    before = tuple(window)
    while memory.bytes(model, math.prod(window)) > budget and max(window) > 2 * multiple:
        longest_axis = max(range(3), key=lambda axis: window[axis])
        window[longest_axis] -= multiple
    if tuple(window) != before:
        needed = memory.bytes(model, math.prod(before)) / 1e9
        reasons.append(f"cut from {_text(before)}, which needs {needed:.1f} GB of {(free_bytes or 0) / 1e9:.1f} GB")
    return PlannedValue(triple(window), "; ".join(reasons))


@cache
def _weights(model: Preset) -> int:
    """Number of parameters."""
    return sum(parameter.numel() for parameter in build_empty(model).parameters())


def _finer(own: Float3, data: Float3, thinnest: float) -> PlannedValue[Float3]:
    """Between the model's spacing and that of the data, axis by axis: there is nothing to see below the latter."""
    factor = thinnest / (COMFORTABLE * _mean(own))
    finer = triple(min(mine, max(mine * factor, theirs)) for mine, theirs in zip(own, data, strict=True))
    across = (
        f"the thinnest structure is {thinnest:.3g} mm across, {thinnest / _mean(own):.2g} voxels of {_text(own)} mm"
    )
    if finer == own:
        return PlannedValue(own, f"the model's own: {across}, but the scans are no finer")
    return PlannedValue(_rounded(finer), f"finer than the model's: {across}")


def _thinnest(cases: Sequence[CaseSizes]) -> float:
    """Thickness of the thinnest structure, each by its median over cases, in mm."""
    found: dict[int, list[float]] = {}
    for case in cases:
        for class_id, thickness in case.thickness_mm.items():
            found.setdefault(class_id, []).append(thickness)
    return min(statistics.median(values) for values in found.values())


def _mean(spacing: Float3) -> float:
    return math.prod(spacing) ** (1 / 3)


def _rounded(spacing: Float3) -> Float3:
    """To three digits: people read it."""
    return triple(float(f"{length:.3g}") for length in spacing)


def _text(numbers: Sequence[float]) -> str:
    return " x ".join(f"{number:g}" for number in numbers)
