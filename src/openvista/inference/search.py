"""Search: for few classes, only the windows that lie where they are.

First some windows of the plan that leave gaps between them, then, while there is one, every window near what was found.
So none is encoded for the search alone, and none twice.
"""

import logging
import math
from dataclasses import replace

import torch
from torch import Tensor

from openvista.geometry.grid import Axis3
from openvista.inference.labelling import Decision
from openvista.inference.progress import Progress, Report, silent
from openvista.inference.stitching import Encode, Storage, stitch
from openvista.inference.strays import CELL_MM
from openvista.inference.windows import Windowed, WindowPlan

logger = logging.getLogger(__name__)

LARGEST_GAP = 0.4
"""Between the first windows, along each axis, as a share of their side (benchmarks/search_speed.py). What lies in gaps
only is not found, and then the scan is looked at everywhere."""
MARGIN_MM = 2 * CELL_MM
"""Around what was found. Pieces that are further apart do not count as one (:mod:`openvista.inference.strays`)."""


def first_windows(plan: WindowPlan) -> tuple[Axis3, ...]:
    """Windows of a plan that leave at most gaps of ``LARGEST_GAP`` along each axis: all of them, where no fewer do."""
    axes = []
    for axis, (side, length) in enumerate(zip(plan.window, plan.padded, strict=True)):
        starts = sorted({start[axis] for start in plan.starts})
        gap, chosen, end = LARGEST_GAP * side, set(), 0
        for start, following in zip(starts, [*starts[1:], length], strict=True):
            if following - end > gap:
                chosen.add(start)
                end = start + side
        axes.append(chosen)
    return tuple(start for start in plan.starts if all(one in axis for one, axis in zip(start, axes, strict=True)))


def search_bytes(plan: WindowPlan, classes: int) -> int:
    """Memory of what windows said, which is kept until the end."""
    return len(plan.starts) * math.prod(plan.window) * classes * torch.float32.itemsize


def search(
    windowed: Windowed, encode: Encode, decision: Decision, classes: int, storage: Storage, progress: Report = silent
) -> Windowed:
    """The windows near what is found, encoded.

    When it ends, every voxel within ``MARGIN_MM`` of what is found has all its windows. So what is found is, to the
    bit, what all windows say there, and there is no more of it within that margin. Where one class is not found at
    all, every window is encoded. All that can be lost is a piece further away, which the first windows did not see.

    Args:
        windowed: the scan and all its windows.
        encode: the network, giving logits.
        decision: logits to classes.
        classes: how many.
        storage: where to keep sums.
        progress: called after every window. The total is that of all windows first, and then what is known to be
            needed, which may grow.
    """
    plan, encoded = windowed.plan, dict[Axis3, Tensor]()
    todo, total = first_windows(plan), len(plan.starts)
    while todo:
        answers = encode(windowed.image_XYZ[plan.slices(start)] for start in todo)
        for start, logits_XYZK in zip(todo, answers, strict=True):
            encoded[start] = logits_XYZK
            progress(Progress("encode", len(encoded), total))
        near = replace(plan, starts=tuple(start for start in plan.starts if start in encoded))
        found = replace(windowed, plan=near, encoded=encoded)
        places_XYZ = _places(found, decision, classes, storage)
        todo = _windows_near(places_XYZ > 0, plan, encoded, windowed.prepared.grid.spacing)
        if not todo and not set(range(1, classes + 1)) <= set(places_XYZ.unique().tolist()):
            todo = tuple(start for start in plan.starts if start not in encoded)
        total = len(encoded) + len(todo)
    logger.info("%d of %d windows encoded: the others are not near what was found", len(encoded), len(plan.starts))
    return found


def _places(windowed: Windowed, decision: Decision, classes: int, storage: Storage) -> Tensor:
    """Places [X, Y, Z] int16 by the windows encoded so far; 0 where there is none."""
    axis = windowed.plan.streaming_axis
    slabs = stitch(windowed, iter, classes, storage)  # every window has been encoded
    return torch.cat([decision.places_of_slab(slab.values_XYZC).cpu() for slab in slabs], axis)


def _windows_near(
    found_XYZ: Tensor, plan: WindowPlan, encoded: dict[Axis3, Tensor], spacing: tuple[float, float, float]
) -> tuple[Axis3, ...]:
    """The windows, of those not encoded, that reach within the margin of what was found."""
    margins = [max(math.ceil(MARGIN_MM / mm), 1) for mm in spacing]
    near = []
    for start in plan.starts:
        sides = []
        for first, side, before, margin in zip(start, plan.window, plan.pad_before, margins, strict=True):
            sides.append(slice(max(first - before - margin, 0), first - before + side + margin))
        if start not in encoded and found_XYZ[tuple(sides)].any():
            near.append(start)
    return tuple(near)
