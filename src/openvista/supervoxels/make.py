"""Supervoxels of one scan, from HU to a label map on its own grid."""

import logging
import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from openvista.errors import ScanError
from openvista.geometry.box import Box
from openvista.geometry.grid import Grid
from openvista.geometry.resample import resample_nearest
from openvista.inference.progress import Progress, Report, silent
from openvista.scan import Scan, Segmentation
from openvista.supervoxels.cluster import SMALLEST_SHARE, cluster
from openvista.supervoxels.pieces import keep_together
from openvista.supervoxels.planes import count_voxels, look_up
from openvista.supervoxels.source import Clustering, FeatureSource
from openvista.supervoxels.volume import MOST_VOXELS, in_file_order, ras_voxels, resample, working_grid

logger = logging.getLogger(__name__)

AIR_HU = -500.0
"""Half-way between air and water: a voxel half filled with skin is on the border."""
_LEAST_SHARE = 0.01
"""Of the scan: smaller pieces of air at its sides (gas cut by the border, noise) belong to the patient."""
_MARGIN_MM = 15.0
"""Kept around the body: what inference keeps as well."""


def make_supervoxels(
    scan: Scan,
    source: FeatureSource,
    clustering: Clustering,
    progress: Report = silent,
    most_voxels: int = MOST_VOXELS,
) -> Segmentation:
    """Cut a scan into supervoxels.

    Args:
        scan: HU on its own grid; any orientation and spacing.
        source: where features come from.
        clustering: how many, how round, how smooth.
        progress: called after each step, with stages ``"prepare"``, ``"encode"`` and ``"cluster"``.
        most_voxels: scans with more are clustered on a coarser grid and brought back, which bounds the memory.

    Returns:
        uint16 labels 1, 2, ... without gaps on the scan's own grid, each in one piece; 0 in the air around the patient
        and in specks of tissue in it. The same input gives the same labels.

    Raises:
        ScanError: there is nothing but air.
        MissingExtraError: scikit-image is not installed.
    """
    body = ~outside_air(scan.voxels, scan.grid)
    box = Box.around(body, [math.ceil(_MARGIN_MM / mm) for mm in scan.grid.spacing])
    if box is None:
        raise ScanError(f"{scan.name}: nothing above {AIR_HU:g} HU; is it a CT in HU?")
    cropped, body = scan.cropped(box), body[box.slices()]
    grid = working_grid(cropped.grid, most_voxels)
    own_body_XYZ = ras_voxels(Scan(body.astype(np.uint8), cropped.grid))
    body_XYZ = resample(own_body_XYZ, cropped.grid.in_ras_order(), grid).numpy() > 0.5
    if not body_XYZ.any():  # thinner than the working voxels
        body_XYZ = np.ones(grid.shape, bool)
    features = source.features(cropped, grid, progress)
    progress(Progress("cluster", 0, 1))
    coarse = cluster(features, body_XYZ, clustering)
    labels = np.zeros(scan.grid.shape, np.uint16)
    labels[box.slices()] = _on_scan(coarse, grid, cropped.grid, body)
    progress(Progress("cluster", 1, 1))
    logger.info("%s: %d supervoxels, worked on at %s", scan.name, labels.max(), grid.shape)
    return Segmentation(labels, scan.grid, {}, {}, scan, provenance(source, clustering))


def outside_air(voxels: NDArray[Any], grid: Grid) -> NDArray[np.bool_]:
    """True in the air around the patient, [X, Y, Z] in the order of ``voxels``.

    That is each large piece of air that reaches the right, left, front or back side of the scan; so lungs, which may
    reach its lower end, stay tissue. Where no air reaches a side (a round field of view), it is the largest piece of
    air, which is the rule of the paper (paper facts §6).

    Args:
        voxels: HU.
        grid: says which axes run to the patient's sides.
    """
    pieces, count = ndimage.label(voxels < AIR_HU)
    if count == 0:
        return np.zeros(voxels.shape, bool)
    sizes = count_voxels(pieces, count + 1)
    sizes[0] = 0  # of what is no air: never chosen
    at_side = np.zeros(count + 1, bool)
    for axis in grid.ras_order[0][:2]:
        for end in (0, -1):
            at_side[np.unique(pieces.take(end, axis))] = True
    chosen = at_side & (sizes >= _LEAST_SHARE * voxels.size)
    if not chosen.any():
        chosen[np.argmax(sizes)] = True
    return np.asarray(look_up(chosen, pieces))


def provenance(source: FeatureSource, clustering: Clustering) -> dict[str, object]:
    """All that the labels of a scan depend on, as JSON has it."""
    return {
        "supervoxels": {
            **source.describe(),
            "segments": clustering.segments,
            "compactness": clustering.compactness,
            "sigma_mm": clustering.sigma_mm,
            "smallest_share": SMALLEST_SHARE,
            "air_hu": AIR_HU,
        }
    }


def _on_scan(labels_XYZ: NDArray[np.int32], grid: Grid, target: Grid, body: NDArray[np.bool_]) -> NDArray[np.uint16]:
    """Labels from the working grid on the voxels of the target, a cropped scan's; 0 outside ``body``."""
    if grid == target.in_ras_order():
        return np.where(body, in_file_order(labels_XYZ, target), 0).astype(np.uint16)
    _, nearest = ndimage.distance_transform_edt(labels_XYZ == 0, grid.spacing, return_indices=True)
    filled = torch.as_tensor(labels_XYZ[tuple(nearest)])  # tissue that the coarser grid took for air gets a label too
    return keep_together(np.where(body, resample_nearest(filled, grid, target).numpy(), 0)).astype(np.uint16)
