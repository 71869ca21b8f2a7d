"""Features of a segmentation model: what its automatic branch knows of each voxel before it is asked anything."""

from dataclasses import replace

import torch

from openvista.errors import ModelError
from openvista.geometry.grid import Grid
from openvista.inference.automatic import with_room_on_host
from openvista.inference.device import plan_storage
from openvista.inference.profiles import BEST
from openvista.inference.progress import Progress, Report, silent
from openvista.inference.stitching import Storage, stitch
from openvista.inference.windows import cut_windows
from openvista.model import Model
from openvista.prepare import prepare
from openvista.scan import Scan
from openvista.supervoxels.volume import Gathering, GridFeatures, along, grid_weights

PROFILE = replace(BEST, name="supervoxels", overlap=0.125)
"""A quarter of the windows of ``best``: a boundary between likes is no edge of a structure, and lists are long."""
_ROWS_AT_ONCE = 8


class ModelFeatures:
    """The mapped features of a model's automatic branch, stitched from windows.

    Args:
        model: from :func:`openvista.model.load_model`.

    Raises:
        ModelError: it has no automatic branch.
    """

    compactness = 0.01

    def __init__(self, model: Model) -> None:
        if "automatic" not in model.card.branches:
            raise ModelError(f"model {model.card.name!r} has no automatic branch; use another, or --features intensity")
        self.model = model

    def describe(self) -> dict[str, object]:
        card = self.model.card
        return {
            "features": "model",
            "model": card.name,
            "weights_sha256": card.weights_sha256,
            "overlap": PROFILE.overlap,
        }

    def features(self, scan: Scan, grid: Grid, progress: Report = silent) -> GridFeatures:
        """See :class:`FeatureSource`.

        Raises:
            DeviceError: the GPU is too small for a single window.
        """
        network = self.model.network
        preset, dtype = network.network.preset, network.compute.storage_dtype
        progress(Progress("prepare", 0, 1))
        prepared = prepare(scan, preset.spacing, preset.scaling)
        windowed = cut_windows(prepared, preset, PROFILE, device=network.compute.device)
        matrices = grid_weights(prepared.grid, grid)
        weights = [matrix[:, side] for matrix, side in zip(matrices, windowed.box.slices(), strict=True)]
        axis = windowed.plan.streaming_axis

        def gather(device: torch.device) -> GridFeatures:
            gathering = Gathering(grid, preset.filters)
            for slab in stitch(windowed, network.stream, preset.filters, Storage(device, dtype), progress):
                first = slab.first
                for rows_XYZC in slab.values_XYZC.split(_ROWS_AT_ONCE, axis):
                    values_XYZC = rows_XYZC.float().cpu()
                    for other in {0, 1, 2} - {axis}:
                        values_XYZC = along(weights[other], values_XYZC, other)
                    stop = first + rows_XYZC.shape[axis]
                    gathering.add(values_XYZC, axis, weights[axis][:, first:stop])
                    first = stop
                del slab
            return gathering.volume()

        return with_room_on_host(gather, plan_storage(network.compute, windowed.slab_bytes(preset.filters, dtype)))
