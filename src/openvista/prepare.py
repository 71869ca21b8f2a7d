"""Prepare: a scan becomes what the network wants to see, and knows its way back.

One order in training and evaluation: orient to RAS, resample (linear), scale HU to 0..1. (Profile ``bundle`` resamples
first, as the official bundle does: then voxels lie elsewhere by less than one, where the file's axes run against RAS.)
Models for MR have no HU: there the foreground is found after resampling, and its percentiles scale the image.
Orientation and spacing are one step here, because from the scan's own voxels to the model grid each axis only
moves, flips and stretches: the map is one line per axis, so it is exact, cheap and has an exact inverse.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from openvista.errors import GridError
from openvista.geometry.box import Box
from openvista.geometry.grid import Float3, Grid, triple
from openvista.geometry.resample import bytes_to_resample, resample_linear
from openvista.memory import free_memory
from openvista.network.presets import ForegroundPercentiles, Scaling
from openvista.scan import Scan

MOST_VOXELS = 2**31
"""Of a model grid: 2 m of a patient, 50 cm wide, at 0.6 mm."""


def scale_hu(volume: Tensor, hu_window: tuple[float, float], out: Tensor | None = None) -> Tensor:
    """Clip HU to the window and scale it linearly to 0..1; into ``out``, which may be the volume, if it is given."""
    low, high = hu_window
    return torch.sub(volume, low, out=out).div_(high - low).clamp_(0, 1)


def foreground_of(volume_XYZ: Tensor, margin: int) -> Box:
    """The box around the voxels above 0 and a margin of voxels; all of a volume without any."""
    box = Box.around((volume_XYZ > 0).cpu().numpy(), margin)
    return Box.whole(volume_XYZ.shape) if box is None else box


def percentile_window(volume_XYZ: Tensor, box: Box, scaling: ForegroundPercentiles) -> tuple[float, float]:
    """The values at the percentiles of a part of a volume, 1 apart where they are the same."""
    values = volume_XYZ[box.slices()].cpu().numpy()
    low, high = np.percentile(values, (scaling.lower, scaling.upper)).tolist()
    return low, high if high > low else low + 1


def model_grid(scan_grid: Grid, spacing: Float3 | None, orient_first: bool = True) -> Grid:
    """RAS order at ``spacing`` mm (R, A, S); ``None`` keeps the scan's own voxel size.

    It starts at the scan's first voxel in RAS order, or at the first of the file if it is not oriented first.

    Raises:
        GridError: the scan is larger than any patient.
    """
    scan_grid.refuse_extent()
    ras = scan_grid.in_ras_order()
    if spacing is None:
        return ras
    if orient_first:
        return ras.with_spacing(spacing)
    axes, _ = scan_grid.ras_order
    return scan_grid.with_spacing(triple(spacing[axes.index(axis)] for axis in range(3))).in_ras_order()


def affordable_grid(
    scan_grid: Grid,
    spacing: Float3 | None,
    name: str,
    device: torch.device,
    most_voxels: int = MOST_VOXELS,
    orient_first: bool = True,
) -> Grid:
    """The model grid, if a scan can be brought onto it here; said by the grids alone, before anything is computed.

    Args:
        scan_grid, spacing, orient_first: as for :func:`model_grid`.
        name: what messages call the scan.
        device: where its memory is wanted.
        most_voxels: of the model grid.

    Raises:
        GridError: it is too large for this device, or for anything.
    """
    try:
        grid = model_grid(scan_grid, spacing, orient_first)
    except GridError as error:
        raise GridError(f"{name}: {error}") from None
    what = f"{name}: at the model's {_shown(grid.spacing)} mm it has"
    remedy = "check the voxel size in the header, or crop the scan"
    refuse_too_large(grid, bytes_to_resample(scan_grid, grid), device, what, remedy, most_voxels)
    return grid


def refuse_too_large(
    grid: Grid, needed: int, device: torch.device, what: str, remedy: str, most_voxels: int = MOST_VOXELS
) -> None:
    """Refuse a grid that is too large for a device, or for anything.

    Args:
        grid: that a scan is to be brought onto.
        needed: bytes that this takes.
        device: where its memory is wanted.
        what: how the message begins: "ct: it has"; the number of voxels follows.
        remedy: how the message ends: what to do.
        most_voxels: of any grid.

    Raises:
        GridError: it is.
    """
    size = f"{what} {_shown(grid.shape)} voxels"
    if math.prod(grid.shape) > most_voxels:
        raise GridError(f"{size}, more than {most_voxels}; {remedy}")
    free = free_memory(device)
    if free is not None and needed > free:
        raise GridError(f"{size}, which needs {needed / 1e9:.1f} GB where {free / 1e9:.1f} GB are free; {remedy}")


@dataclass(frozen=True)
class Prepared:
    """A scan on the model grid.

    Attributes:
        image_XYZ: float32, 0..1, axes R A S.
        grid: the model grid the image lies on.
        scan_grid: the grid of the scan it came from: the way back.
        foreground: what of the grid is looked at, where the scaling looked at no more; ``None`` for all.
    """

    image_XYZ: Tensor
    grid: Grid
    scan_grid: Grid
    foreground: Box | None = None


@dataclass(frozen=True, eq=False)
class PreparedScan:
    """A scan with the first step of its segmentation done: :meth:`openvista.model.Model.prepare`.

    Attributes:
        scan: HU on its own grid.
        prepared: it on the grid of the model.
    """

    scan: Scan
    prepared: Prepared


def prepare(
    scan: Scan,
    spacing: Float3 | None,
    scaling: Scaling,
    device: torch.device | str = "cpu",
    between: Callable[[], None] = lambda: None,
    orient_first: bool = True,
) -> Prepared:
    """Scan to network input.

    Args:
        scan: HU, or the values of MR, on its own grid.
        spacing: mm of the model grid (R, A, S), or ``None`` to keep the scan's.
        scaling: HU that become 0 and 1; or percentiles of the foreground, and then nothing else is looked at.
        device: where to do it and to leave the result.
        between: called between the steps; what it raises ends the work.
        orient_first: see :func:`model_grid`.

    Raises:
        GridError: the model grid is too large for this device, or for anything.
    """
    grid = affordable_grid(scan.grid, spacing, scan.name, torch.device(device), orient_first=orient_first)
    voxels = scan.voxels if min(scan.voxels.strides) > 0 else np.ascontiguousarray(scan.voxels)  # as torch wants them
    volume = torch.as_tensor(voxels).to(device)
    image_XYZ = resample_linear(volume, scan.grid, grid, between)
    foreground, window = None, scaling
    if isinstance(window, ForegroundPercentiles):
        foreground = foreground_of(image_XYZ, window.margin)
        window = percentile_window(image_XYZ, foreground, window)
    return Prepared(scale_hu(image_XYZ, window, out=image_XYZ), grid, scan.grid, foreground)


def _shown(values: tuple[float, ...]) -> str:
    return " x ".join(f"{value:.4g}" if isinstance(value, float) else str(value) for value in values)
