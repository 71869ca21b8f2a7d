"""Class maps: the logit or probability of every class at every voxel of a scan, filled slab by slab.

Shape letters: K classes, N voxels, C channels, X Y Z voxels along the model grid's axes.
"""

import numpy as np
import torch
from torch import Tensor

from openvista.geometry.resample import axis_map
from openvista.inference.labelling import AxisLookup, Decision
from openvista.inference.stitching import Slab
from openvista.inference.windows import Windowed, total_weights
from openvista.io.scratch import scratch_array
from openvista.scan import UNSEEN_LOGIT, ClassMaps, Scan

_TOGETHER = 8
"""Classes answered in one pass over the channels: their logits take a sixth of what 48 channels take."""


def empty_class_maps(kind: str, scan: Scan, names: dict[int, str]) -> ClassMaps:
    """Maps of classes on the scan's grid, on disk, as if nothing had been looked at.

    Args:
        kind: "probabilities" or "logits".
        scan: gives the grid.
        names: {id: name} of the classes, in their order.

    Raises:
        InputError: another kind.
        OutputError: the disk of temporary files (``TMPDIR``) is too small.
    """
    dtype = np.uint8 if kind == "probabilities" else np.float16
    # first axis fastest, as files have it
    values = scratch_array((len(names), *reversed(scan.grid.shape)), dtype).transpose(0, 3, 2, 1)
    if kind == "logits":
        values[:] = UNSEEN_LOGIT
    return ClassMaps(kind, values, scan.grid, dict(names), scan)


class ClassMapFiller:
    """Brings the logits of all classes back to the scan's grid, beside the labels.

    As labels are: interpolated (profile mode ``"smooth"``) or those of the nearest voxel (``"exact"``). At most one
    slab of a few classes is in memory. Where no window lay, nothing is written.

    Args:
        windowed: the scan and its windows.
        decision: channels to logits; the classes in the order of the maps.
        maps: to fill.
    """

    def __init__(self, windowed: Windowed, decision: Decision, maps: ClassMaps) -> None:
        grid, scan_grid = windowed.prepared.grid, windowed.prepared.scan_grid
        self.axis, self.decision, self.kind = windowed.plan.streaming_axis, decision, maps.kind
        mapping = axis_map(grid, scan_grid)
        scan_axes = [mapping.axes.index(model_axis) for model_axis in range(3)]
        self.values_KXYZ = maps.values_KXYZ.transpose(0, *(1 + axis for axis in scan_axes))  # the same memory
        self.lookups = []
        for scan_axis, side, length in zip(scan_axes, windowed.box.slices(), grid.shape, strict=True):
            positions = mapping.positions(scan_axis, scan_grid.shape[scan_axis])
            positions = np.rint(positions) if windowed.profile.mode == "exact" else positions
            self.lookups.append(AxisLookup.between(positions, side, length))
        plan = windowed.plan
        self.seen_XYZ = total_weights(plan, torch.ones(plan.window))[plan.inner.slices()] > 0
        self.last_row_KXYZ: Tensor | None = None

    def add(self, slab: Slab) -> None:
        """Fill the voxels of the scan that lie between rows of this slab, or between it and the one before."""
        rows, before = slab.values_XYZC.shape[self.axis], self.last_row_KXYZ
        first, rows = (slab.first, rows) if before is None else (slab.first - 1, rows + 1)
        lookups = list(self.lookups)
        lookups[self.axis] = lookups[self.axis].within(first, rows)
        x, y, z = (lookup.target for lookup in lookups)
        seen_XYZ = self._nearest(self.seen_XYZ.narrow(self.axis, first, rows), lookups).numpy()
        last_rows = []
        for start in range(0, len(self.values_KXYZ), _TOGETHER):
            some = slice(start, start + _TOGETHER)
            logits_KXYZ = self._logits(slab.values_XYZC, some)
            if before is not None:
                logits_KXYZ = torch.cat([before[some], logits_KXYZ], 1 + self.axis)
            last_rows.append(logits_KXYZ.narrow(1 + self.axis, rows - 1, 1).clone())
            for target_XYZ, logits_XYZ in zip(self.values_KXYZ[some, x, y, z], logits_KXYZ, strict=True):
                values_XYZ = self._stored(interpolated(logits_XYZ, lookups)).cpu().numpy()
                np.copyto(target_XYZ, values_XYZ, where=seen_XYZ)
        self.last_row_KXYZ = torch.cat(last_rows)

    def _logits(self, values_XYZC: Tensor, some: slice) -> Tensor:
        """Logits [K, X, Y, Z] float32 of some classes on a slab."""
        channels_NC = values_XYZC.reshape(-1, values_XYZC.shape[-1])
        if self.decision.embeddings_KC is None:
            logits_NK = channels_NC[:, some].float()
        else:
            embeddings_CK = self.decision.embeddings_KC[some].to(channels_NC.device).T
            logits_NK = torch.cat([chunk.float() @ embeddings_CK for chunk in channels_NC.split(self.decision.chunk)])
        return logits_NK.T.reshape(-1, *values_XYZC.shape[:3])

    def _stored(self, logits_XYZ: Tensor) -> Tensor:
        if self.kind == "logits":
            return logits_XYZ.half()
        return logits_XYZ.sigmoid_().mul_(255).round_().to(torch.uint8)

    def _nearest(self, values_XYZ: Tensor, lookups: list[AxisLookup]) -> Tensor:
        for axis, lookup in enumerate(lookups):
            values_XYZ = values_XYZ.index_select(axis, torch.where(lookup.weight > 0.5, lookup.high, lookup.low))
        return values_XYZ


def interpolated(values_XYZ: Tensor, lookups: list[AxisLookup]) -> Tensor:
    """Trilinear interpolation of a volume to the voxels that the lookups span; axis by axis, which is the same."""
    for axis, lookup in enumerate(lookups):
        low, high, weight = (part.to(values_XYZ.device) for part in (lookup.low, lookup.high, lookup.weight))
        shape = [-1 if other == axis else 1 for other in range(3)]
        values_XYZ = torch.lerp(
            values_XYZ.index_select(axis, low), values_XYZ.index_select(axis, high), weight.view(shape)
        )
    return values_XYZ
