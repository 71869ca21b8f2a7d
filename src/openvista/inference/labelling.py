"""Labelling: from stitched channels to label maps, slab by slab, on the model grid and on the scan's own.

Shape letters: N voxels, K classes, C channels, X Y Z voxels in RAS order. A "place" is a class's place in the list
that was asked for, counted from 1; 0 is background.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from openvista.geometry.box import Box
from openvista.geometry.grid import Grid
from openvista.geometry.resample import axis_map, resample_nearest
from openvista.inference.device import logits_of
from openvista.inference.stitching import Slab

_MIXED = -1


class Download:
    """Takes tensors to the host. A GPU goes on meanwhile: what it sends is on its way while the next is computed.

    Args:
        waits: whether a tensor is put in its place by :meth:`finish` only; ``None``: where it comes from a GPU.
    """

    def __init__(self, waits: bool | None = None) -> None:
        self.waits = waits
        self._arriving: list[tuple[Callable[[NDArray[Any]], None], Tensor, torch.cuda.Event | None]] = []

    def send(self, values: Tensor, put: Callable[[NDArray[Any]], None]) -> None:
        """Send a tensor; ``put`` will be called with it."""
        if not (values.is_cuda if self.waits is None else self.waits):
            put(values.cpu().numpy())
            return
        # without pinned memory the GPU would have to wait
        on_host = torch.empty(values.shape, dtype=values.dtype, pin_memory=values.is_cuda)
        on_host.copy_(values, non_blocking=True)
        self._arriving.append((put, on_host, torch.cuda.current_stream().record_event() if values.is_cuda else None))

    def finish(self) -> None:
        """Put everything in its place. Best called when the GPU has got its next work."""
        for put, on_host, sent in self._arriving:
            if sent is not None:
                sent.synchronize()
            put(on_host.numpy())
        self._arriving.clear()


@dataclass(frozen=True, eq=False)
class Decision:
    """How channels become a place: logits, and the largest wins if it is above 0.

    Attributes:
        embeddings_KC: one row per class; ``None`` where the channels are the logits already.
        chunk: voxels decided at once, which bounds the memory for logits.
    """

    embeddings_KC: Tensor | None
    chunk: int

    def places(self, channels_NC: Tensor) -> Tensor:
        """Places [N] int16. On equal logits the class asked for first wins. Logits are float32."""
        logits_NK = channels_NC.float()
        if self.embeddings_KC is not None:
            logits_NK = logits_of(logits_NK, self.embeddings_KC.to(logits_NK.device))
        best, index = logits_NK.max(1)
        return torch.where(best > 0, index + 1, 0).to(torch.int16)

    def places_of_slab(self, values_XYZC: Tensor) -> Tensor:
        """Places [X, Y, Z] int16 of a slab."""
        shape = values_XYZC.shape[:3]
        chunks = values_XYZC.reshape(shape.numel(), -1).split(self.chunk)
        return torch.cat([self.places(chunk) for chunk in chunks]).view(shape)


def label_table(ids: Sequence[int]) -> NDArray[np.unsignedinteger]:
    """Place to class id: uint8 where that is enough, else uint16."""
    return np.array([0, *ids], dtype=np.uint8 if max(ids, default=0) < 256 else np.uint16)


class ExactLabels:
    """Decide on the model grid, then give each voxel of the scan the nearest voxel's class.

    Args:
        grid: the model grid.
        box: the part of it that slabs come from.
        scan_grid: the grid the result is wanted on.
        axis: the axis along which slabs arrive.
        decision: channels to places.
        ids: class ids in the order of the decision.
    """

    def __init__(
        self, grid: Grid, box: Box, scan_grid: Grid, axis: int, decision: Decision, ids: Sequence[int]
    ) -> None:
        self.grid, self.box, self.scan_grid, self.axis = grid, box, scan_grid, axis
        self.decision = decision
        self.table = label_table(ids)
        self.labels_XYZ = torch.from_numpy(np.zeros(grid.shape, dtype=self.table.dtype))
        self.download = Download()

    def add(self, slab: Slab) -> None:
        """Decide the next slab."""
        self.download.finish()
        places_XYZ = self.decision.places_of_slab(slab.values_XYZC)
        rows = self.labels_XYZ[self.box.slices()].narrow(self.axis, slab.first, places_XYZ.shape[self.axis]).numpy()
        self.download.send(places_XYZ, lambda places_XYZ: np.copyto(rows, self.table[places_XYZ]))

    def result(self) -> NDArray[np.unsignedinteger]:
        """Ids on the scan's grid, in the scan's voxel order."""
        self.download.finish()
        return resample_nearest(self.labels_XYZ, self.grid, self.scan_grid).numpy()


class SmoothLabels:
    """Interpolate the channels to each voxel of the scan, then decide: edges as fine as the scan.

    Only voxels between unlike neighbours need that. Interpolation is a weighted mean with weights that sum to 1, so
    where all eight surrounding voxels of the model grid have the same winner, it wins in between as well (and where
    no logit is above 0 in any of them, none is in between). Everywhere else channels are gathered and interpolated.

    Args: as :class:`ExactLabels`.
    """

    def __init__(
        self, grid: Grid, box: Box, scan_grid: Grid, axis: int, decision: Decision, ids: Sequence[int]
    ) -> None:
        self.axis, self.decision = axis, decision
        self.table = label_table(ids)
        mapping = axis_map(grid, scan_grid)
        scan_axes = [mapping.axes.index(model_axis) for model_axis in range(3)]
        self.labels = np.zeros(scan_grid.shape, dtype=self.table.dtype)
        self.labels_XYZ = self.labels.transpose(scan_axes)  # the same memory, seen along the model grid's axes
        self.lookups = [
            AxisLookup.between(mapping.positions(scan_axis, scan_grid.shape[scan_axis]), side, length)
            for scan_axis, side, length in zip(scan_axes, box.slices(), grid.shape, strict=True)
        ]
        self.last_row: tuple[Tensor, Tensor] | None = None
        self.download = Download()

    def add(self, slab: Slab) -> None:
        """Decide the voxels of the scan that lie between rows of this slab, or between it and the one before."""
        self.download.finish()
        values_XYZC = slab.values_XYZC
        places_XYZ = self.decision.places_of_slab(values_XYZC)
        if self.last_row is not None:
            self._paint(
                torch.cat([self.last_row[0], values_XYZC.narrow(self.axis, 0, 1)], self.axis),
                torch.cat([self.last_row[1], places_XYZ.narrow(self.axis, 0, 1)], self.axis),
                slab.first - 1,
            )
        self._paint(values_XYZC, places_XYZ, slab.first)
        last = values_XYZC.shape[self.axis] - 1
        self.last_row = (
            values_XYZC.narrow(self.axis, last, 1).clone(),
            places_XYZ.narrow(self.axis, last, 1).clone(),
        )

    def result(self) -> NDArray[np.unsignedinteger]:
        """Ids on the scan's grid, in the scan's voxel order."""
        self.download.finish()
        return self.labels

    def _paint(self, values_XYZC: Tensor, places_XYZ: Tensor, first: int) -> None:
        """Label the voxels of the scan whose surrounding rows all lie in these rows, which start at ``first``."""
        lookups = list(self.lookups)
        lookups[self.axis] = lookups[self.axis].within(first, values_XYZC.shape[self.axis])
        if any(len(lookup.low) == 0 for lookup in lookups):
            return
        painted_XYZ = agreed_places(places_XYZ)
        for axis, lookup in enumerate(lookups):
            painted_XYZ = painted_XYZ.index_select(axis, lookup.low.to(painted_XYZ.device))
        painted_N = painted_XYZ.view(-1)
        for mixed in (painted_N == _MIXED).nonzero()[:, 0].split(self.decision.chunk):
            painted_N[mixed] = self.decision.places(interpolate(values_XYZC, lookups, mixed))
        x, y, z = (lookup.target for lookup in lookups)
        rows = self.labels_XYZ[x, y, z]
        self.download.send(painted_XYZ, lambda painted_XYZ: np.copyto(rows, self.table[painted_XYZ]))


@dataclass(frozen=True, eq=False)
class AxisLookup:
    """Where the voxels of the scan lie between the rows of the model grid, along one axis.

    Attributes:
        target: which voxels of the scan, along the matching axis.
        low, high: the rows on either side of each, counted in the box.
        weight: how far each lies from ``low`` towards ``high``, 0..1.
    """

    target: slice
    low: Tensor
    high: Tensor
    weight: Tensor

    @classmethod
    def between(cls, positions: NDArray[np.float64], side: slice, length: int) -> "AxisLookup":
        """The voxels that lie in the box.

        Args:
            positions: of the scan's voxels, in rows of the model grid; rising or falling.
            side: rows of the box.
            length: rows of the model grid; beyond its ends the border row is repeated.
        """
        rows = side.stop - side.start
        inside = (positions >= side.start) | (side.start == 0)
        inside &= (positions <= side.stop - 1) | (side.stop == length)
        chosen = np.flatnonzero(inside)
        place = (positions[chosen] - side.start).clip(0, rows - 1)
        low = np.minimum(np.floor(place).astype(np.int64), max(rows - 2, 0))
        high = np.minimum(low + 1, rows - 1)
        target = slice(int(chosen[0]), int(chosen[-1]) + 1) if len(chosen) else slice(0, 0)
        return cls(target, torch.from_numpy(low), torch.from_numpy(high), torch.from_numpy(place - low).float())

    def within(self, first: int, rows: int) -> "AxisLookup":
        """Those that lie between these rows; ``low`` and ``high`` count from ``first``."""
        chosen = ((self.low >= first) & (self.high < first + rows)).nonzero()[:, 0]
        if len(chosen) == 0:
            return AxisLookup(slice(0, 0), chosen, chosen, self.weight[:0])
        start, stop = int(chosen[0]), int(chosen[-1]) + 1
        target = slice(self.target.start + start, self.target.start + stop)
        return AxisLookup(target, self.low[start:stop] - first, self.high[start:stop] - first, self.weight[start:stop])


def agreed_places(places_XYZ: Tensor) -> Tensor:
    """For each cell between 2³ neighbours the place they share, or -1; one shorter along axes longer than 1."""
    agreed = places_XYZ
    for axis in range(3):
        length = agreed.shape[axis]
        if length > 1:
            here, next_ = agreed.narrow(axis, 0, length - 1), agreed.narrow(axis, 1, length - 1)
            agreed = torch.where(here == next_, here, _MIXED)
    return agreed.clone() if agreed is places_XYZ else agreed


def interpolate(values_XYZC: Tensor, lookups: Sequence[AxisLookup], chosen_N: Tensor) -> Tensor:
    """Trilinearly interpolated channels [N, C] of chosen voxels.

    Args:
        values_XYZC: contiguous.
        lookups: the target's axes; together they span a target volume.
        chosen_N: flat indices into that volume.
    """
    device = values_XYZC.device
    _, y_length, z_length = values_XYZC.shape[:3]
    _, y_target, z_target = (len(lookup.low) for lookup in lookups)
    indices = (chosen_N // (y_target * z_target), chosen_N // z_target % y_target, chosen_N % z_target)
    sides = []
    for lookup, index in zip(lookups, indices, strict=True):
        weight = lookup.weight.to(device)[index]
        sides.append(((lookup.low.to(device)[index], 1 - weight), (lookup.high.to(device)[index], weight)))
    corners, weights = [], []
    for (x, weight_x), (y, weight_y), (z, weight_z) in product(*sides):
        corners.append((x * y_length + y) * z_length + z)
        weights.append(weight_x * weight_y * weight_z)
    # embedding_bag is torch's fused "gather rows and sum them with weights": no [8, N, C] in between
    return functional.embedding_bag(
        torch.stack(corners, 1),
        values_XYZC.view(-1, values_XYZC.shape[-1]),
        mode="sum",
        per_sample_weights=torch.stack(weights, 1).to(values_XYZC.dtype),
    )
