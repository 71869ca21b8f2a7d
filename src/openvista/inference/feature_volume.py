"""The features of a whole scan, kept: a class that is asked for later costs a dot product."""

import logging
import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from openvista.geometry.box import EDGE_MARGIN, Crop
from openvista.geometry.grid import Axis3
from openvista.inference.profiles import Profile
from openvista.inference.progress import Progress, Report, silent
from openvista.inference.stitching import Storage, stitch
from openvista.inference.window_network import WindowNetwork
from openvista.inference.windows import cut_windows
from openvista.io.scratch import scratch_array
from openvista.memory import free_memory
from openvista.prepare import Prepared

logger = logging.getLogger(__name__)

_TOGETHER = 8
"""Classes answered in one pass over the features: their logits take a sixth of the features' own size."""


class FeatureVolume:
    """Stitched features of the part of a scan that holds the body.

    Args:
        values_XYZC: in memory or mapped from disk.
        origin: first voxel on the model grid.
        device: where to multiply.
    """

    def __init__(self, values_XYZC: NDArray[Any], origin: Axis3, device: torch.device) -> None:
        self.values_XYZC, self.origin, self.device = values_XYZC, origin, device

    @property
    def nbytes(self) -> int:
        """Memory of the features; 0 if they are mapped from disk."""
        return 0 if isinstance(self.values_XYZC, np.memmap) else int(self.values_XYZC.nbytes)

    def logits_of(self, embeddings_KC: torch.Tensor, progress: Report = silent) -> list[Crop]:
        """Logits of classes, each on the box around its positive voxels; empty where there are none.

        Args:
            embeddings_KC: one row per class, float32.
            progress: called after every row.
        """
        crops: list[Crop] = []
        for some_KC in embeddings_KC.split(_TOGETHER):
            done, share = len(crops) / len(embeddings_KC), len(some_KC) / len(embeddings_KC)
            crops += self._some_logits(some_KC, done, share, progress)
        return crops

    def _some_logits(self, embeddings_KC: torch.Tensor, done: float, share: float, progress: Report) -> list[Crop]:
        """Of a few classes: first their logits everywhere, then the boxes. float16 as the features, or float32."""
        rows = len(self.values_XYZC)
        logits_KXYZ = np.empty((len(embeddings_KC), *self.values_XYZC.shape[:3]), dtype=self.values_XYZC.dtype)
        weights_CK = embeddings_KC.to(self.device).T
        for row in range(rows):
            plane_YZC = torch.from_numpy(np.ascontiguousarray(self.values_XYZC[row])).to(self.device)
            logits_KXYZ[:, row] = (plane_YZC.float() @ weights_CK).permute(2, 0, 1).cpu().numpy()
            progress(Progress("label", round(rows * (done + share * (row + 1) / rows)), rows))
        return [Crop(self.origin, logits_XYZ).cropped(logits_XYZ > 0, EDGE_MARGIN) for logits_XYZ in logits_KXYZ]


def compute_features(
    network: WindowNetwork, prepared: Prepared, profile: Profile, budget: int | None = None, progress: Report = silent
) -> FeatureVolume:
    """Encode all windows of a scan and keep what they say.

    Args:
        network: with the automatic branch.
        prepared: the scan on the model grid.
        profile: where windows lie and how they are averaged.
        budget: bytes that may be kept in memory, half of what is free if ``None``; a larger volume goes to disk.
        progress: called after every window.

    Raises:
        OutputError: it goes to disk, and there is no space.
    """
    preset = network.network.preset
    windowed = cut_windows(prepared, preset, profile, device=network.compute.device)
    dtype = network.compute.storage_dtype
    shape = (*windowed.plan.volume, preset.filters)
    values_XYZC = _array(shape, torch.empty(0, dtype=dtype).numpy().dtype, budget)
    axis, storage = windowed.plan.streaming_axis, Storage(torch.device("cpu"), dtype)
    for slab in stitch(windowed, network.stream, preset.filters, storage, progress):
        rows = [slice(None)] * 3
        rows[axis] = slice(slab.first, slab.first + slab.values_XYZC.shape[axis])
        values_XYZC[tuple(rows)] = slab.values_XYZC.numpy()
    return FeatureVolume(values_XYZC, windowed.box.start, network.compute.device)


def _array(shape: tuple[int, ...], dtype: np.dtype[Any], budget: int | None) -> NDArray[Any]:
    size = math.prod(shape) * dtype.itemsize
    if budget is None:
        free = free_memory(torch.device("cpu"))
        budget = size if free is None else free // 2
    if size <= budget:
        return np.zeros(shape, dtype=dtype)
    logger.info("features of %.1f GB go to disk: %.1f GB of memory may be used", size / 1e9, budget / 1e9)
    return scratch_array(shape, dtype)
