"""Stitching: windows in, finished slabs out, and never the whole volume at once.

Shape letters: C channels (features, or logits of few classes), X Y Z voxels in RAS order.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from openvista.geometry.grid import Axis3
from openvista.inference.progress import Progress, Report, silent
from openvista.inference.windows import Windowed, WindowPlan, total_weights

Encode = Callable[[Iterable[Tensor]], Iterator[Tensor]]
"""Windows [X, Y, Z] to their channels [X, Y, Z, C], in order; any layout in memory, channels innermost is fastest."""


@dataclass(frozen=True)
class Storage:
    """Where and how stitched channels are kept.

    Attributes:
        device: the network's device, or the host when that is too small.
        dtype: float16 halves the memory; float32 for exactness. Sums are always made in float32.
    """

    device: torch.device
    dtype: torch.dtype


@dataclass(frozen=True, eq=False)
class Slab:
    """Rows of the volume whose channels are final.

    Attributes:
        first: the slab's first row along the streaming axis.
        values_XYZC: stitched channels; 0 where no window lies.
    """

    first: int
    values_XYZC: Tensor

    def parts(self, axis: int, rows: int) -> "Iterator[Slab]":
        """The slab in pieces of at most so many rows along an axis, in order."""
        if self.values_XYZC.shape[axis] <= rows:
            yield self
            return
        offset = 0
        for part_XYZC in self.values_XYZC.split(rows, axis):
            yield Slab(self.first + offset, part_XYZC.contiguous())
            offset += part_XYZC.shape[axis]


def stitch(
    windowed: Windowed, encode: Encode, channels: int, storage: Storage, progress: Report = silent
) -> Iterator[Slab]:
    """Encode every window, average where they overlap, and yield slabs from first to last row of the longest axis.

    Windows are visited in order along that axis, and a slab is yielded as soon as no later window touches it. So at
    most as many rows as a window has are held at once, whatever the length of the scan.

    Args:
        windowed: the scan and its windows.
        encode: the network; not given windows that are encoded already.
        channels: C of what ``encode`` returns.
        storage: where to keep sums.
        progress: called after every window that is encoded.
    """
    plan, importance_XYZ = windowed.plan, windowed.importance(storage.device)
    axis = plan.streaming_axis
    # dividing by the total first keeps every sum within the range of the channels, which float16 needs
    total_XYZ = total_weights(plan, importance_XYZ)
    layers: dict[int, list[Axis3]] = {}
    for start in plan.starts:
        layers.setdefault(start[axis], []).append(start)
    visited = (start for first in sorted(layers) for start in layers[first] if start not in windowed.encoded)
    encoded = encode(windowed.image_XYZ[plan.slices(start)] for start in visited)
    active: dict[int, Slab] = {}
    done = 0
    for first, stop in (segments := _segments(plan, axis)):
        for start in layers.get(first, []):
            covered = [segment for segment in segments if first <= segment[0] < first + plan.window[axis]]
            for segment in covered:
                if segment[0] not in active:
                    active[segment[0]] = _empty_slab(plan, axis, *segment, channels, storage)
            weights_XYZ = importance_XYZ / total_XYZ[plan.slices(start)]
            slabs = [active[segment[0]] for segment in covered]
            known_XYZC = windowed.encoded.get(start)
            values_XYZC = next(encoded) if known_XYZC is None else known_XYZC
            _add_window(slabs, plan, axis, start, values_XYZC, weights_XYZ)
            slabs.clear()
            del values_XYZC
            done += 1
            if known_XYZC is None:
                progress(Progress("encode", done, len(plan.starts)))
        if first not in active:
            active[first] = _empty_slab(plan, axis, first, stop, channels, storage)
        yield _without_padding(active.pop(first), plan)  # no name keeps it here: it is freed once the caller is done


def _segments(plan: WindowPlan, axis: int) -> list[tuple[int, int]]:
    """The padded axis, cut wherever a window starts or ends; so a window covers each segment wholly or not at all."""
    starts = {start[axis] for start in plan.starts}
    cuts = sorted({0, plan.padded[axis], *starts, *(start + plan.window[axis] for start in starts)})
    return list(pairwise(cuts))


def _empty_slab(plan: WindowPlan, axis: int, first: int, stop: int, channels: int, storage: Storage) -> Slab:
    shape = list(plan.padded)
    shape[axis] = stop - first
    return Slab(first, torch.zeros(*shape, channels, dtype=storage.dtype, device=storage.device))


def _add_window(
    slabs: list[Slab], plan: WindowPlan, axis: int, start: Axis3, values_XYZC: Tensor, weights_XYZ: Tensor
) -> None:
    """Add one window's weighted channels to the slabs that it covers."""
    for slab in slabs:
        length = slab.values_XYZC.shape[axis]
        offset = slab.first - start[axis]
        box = list(plan.slices(start))
        box[axis] = slice(0, length)
        _add_weighted(
            slab.values_XYZC[tuple(box)],
            values_XYZC.narrow(axis, offset, length),
            weights_XYZ.narrow(axis, offset, length),
        )


def _add_weighted(sum_XYZC: Tensor, values_XYZC: Tensor, weights_XYZ: Tensor) -> None:
    """``sum += values · weights`` in float32; plane by plane, so that on a CPU temporaries stay in its cache."""
    step = 1 if sum_XYZC.device.type == "cpu" else len(sum_XYZC)
    values_XYZC = values_XYZC.to(sum_XYZC.device)
    weights_XYZ1 = weights_XYZ.to(sum_XYZC.device)[..., None]
    for x in range(0, len(sum_XYZC), step):
        plane = slice(x, x + step)
        sum_XYZC[plane] = torch.addcmul(sum_XYZC[plane].float(), values_XYZC[plane].float(), weights_XYZ1[plane])


def _without_padding(slab: Slab, plan: WindowPlan) -> Slab:
    """The slab's voxels that belong to the volume.

    This holds along the streaming axis as well: where it is padded it is one window long, so there is one slab.
    """
    values_XYZC = slab.values_XYZC
    for axis in range(3):
        if plan.padded[axis] != plan.volume[axis]:
            values_XYZC = values_XYZC.narrow(axis, plan.pad_before[axis], plan.volume[axis])
    return Slab(slab.first, values_XYZC.contiguous())
