"""RT Structure Sets as label maps: contours filled on a scan's grid."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, dcmread

from openvista.anatomy.colours import Colour
from openvista.errors import GridError, ScanError, first_line
from openvista.geometry.contours import fill_contours
from openvista.geometry.grid import Grid
from openvista.io.dicom.described import class_id_of
from openvista.io.dicom.instances import UNREADABLE
from openvista.io.dicom.placing import Painting
from openvista.scan import Segmentation

_FLAT = 0.1
"""Voxels by which the points of a contour may leave its plane."""


@dataclass(frozen=True)
class _Region:
    """A region of interest: its id, name and colour, and its closed contours [N, 3] in mm, LPS."""

    label_id: int
    name: str
    colour: Colour | None
    contours: tuple[NDArray[np.float64], ...]


def read_rtstruct(path: Path, grid: Grid) -> Segmentation:
    """Read an RT Structure Set. Inside is what lies in an odd number of contours of a plane.

    A slice takes the nearest contours of a structure, up to half their distance: so contours on every second slice of
    a scan leave no gaps. Where structures overlap, the smaller one lies on top, and a warning says so.

    Args:
        path: the file.
        grid: to put it on, as a rule the scan's, with its slices along one of the axes.

    Returns:
        Ids are those of the classes in objects that we wrote, and ROI numbers in others.

    Raises:
        ScanError: no RT Structure Set, damaged, or without contours.
        GridError: nothing in it lies on the grid, or contours are oblique to its axes.
    """
    try:
        regions = _regions(dcmread(path, force=True))
    except (OSError, *UNREADABLE) as error:
        raise ScanError(f"{path}: not an RT structure set that can be read: {first_line(error)}") from error
    if not regions:
        raise ScanError(f"{path}: an RT structure set without closed contours")
    names = {one.label_id: one.name for one in regions}
    painting = Painting(grid, names)
    filled = [(one, _voxels_in(one, grid, path)) for one in regions]
    for one, voxels in sorted(filled, key=lambda pair: -len(pair[1][0])):
        painting.put(voxels, one.label_id)
    if not painting.labels_XYZ.any():
        raise GridError(f"{path}: nothing in it lies on the scan: it belongs to another one")
    painting.warn(path)
    return Segmentation(painting.labels_XYZ, grid, names, {one.label_id: one.colour for one in regions if one.colour})


def _regions(whole: Dataset) -> list[_Region]:
    """What has closed contours."""
    outlines = {int(item.ReferencedROINumber): item for item in whole.ROIContourSequence}
    items = [item for item in whole.StructureSetROISequence if int(item.ROINumber) in outlines]
    own_ids = [class_id_of(str(item.get("ROIDescription", ""))) for item in items]
    ours = all(own_ids) and len(set(own_ids)) == len(own_ids)
    regions = []
    for number, (item, own_id) in enumerate(zip(items, own_ids, strict=True), start=1):
        outline = outlines[int(item.ROINumber)]
        closed = [
            one for one in outline.get("ContourSequence", []) if str(one.ContourGeometricType).startswith("CLOSED")
        ]
        contours = tuple(points for points in map(_points, closed) if len(points) >= 3)
        if not contours:
            continue
        red, green, blue = map(int, outline.get("ROIDisplayColor") or (0, 0, 0))
        label_id = own_id if ours and own_id else int(item.ROINumber) or number
        name = str(item.get("ROIName") or f"ROI {item.ROINumber}")
        regions.append(_Region(label_id, name, (red, green, blue) if red or green or blue else None, contours))
    return regions


def _points(contour: Dataset) -> NDArray[np.float64]:
    """[N, 3] mm, LPS. Straight from the text: pydicom would make an object of each of a million numbers."""
    value = contour.get_item("ContourData").value
    texts = value.split(b"\\") if isinstance(value, bytes) else value
    points = np.array([float(text) for text in texts]).reshape(-1, 3)
    if not np.isfinite(points).all():
        raise ValueError("a contour holds what is no number")
    return points


def _voxels_in(region: _Region, grid: Grid, path: Path) -> tuple[NDArray[np.intp], ...]:
    """The voxels inside a region's contours, as index arrays along the three axes."""
    contours = [grid.to_voxel(points * (-1.0, -1.0, 1.0)) for points in region.contours]
    axis = _flat_axis(contours)
    if axis is None:
        raise GridError(f"{path}: the contours of {region.name} lie oblique to the slices of the scan")
    first, second = (other for other in range(3) if other != axis)
    planes: dict[float, list[NDArray[np.float64]]] = {}
    for points in contours:
        planes.setdefault(round(float(points[:, axis].mean()), 1), []).append(points[:, (second, first)])
    found: list[NDArray[np.intp]] = []
    for index, position in _nearest_planes(sorted(planes), grid.shape[axis]):
        inside = fill_contours(planes[position], grid.shape[first], grid.shape[second])
        voxels = np.zeros((3, np.count_nonzero(inside)), dtype=np.intp)
        voxels[[first, second]], voxels[axis] = np.nonzero(inside), index
        found.append(voxels)
    x, y, z = np.concatenate([np.zeros((3, 0), dtype=np.intp), *found], axis=1)
    return x, y, z


def _flat_axis(contours: list[NDArray[np.float64]]) -> int | None:
    """The axis across which all contours are flat; None if there is none."""
    spread = np.max([np.ptp(points, axis=0) for points in contours], axis=0)
    axis = int(spread.argmin())
    return axis if spread[axis] <= _FLAT else None


def _nearest_planes(positions: list[float], length: int) -> list[tuple[int, float]]:
    """Slices with the position of the contours that they take: the nearest, up to half the usual distance of two."""
    distance = max(1.0, float(np.median(np.diff(positions)))) if len(positions) > 1 else 1.0
    reach = distance / 2 + 1e-3
    taken = []
    for index in range(max(0, math.floor(positions[0] - reach)), min(length - 1, math.ceil(positions[-1] + reach)) + 1):
        nearest = min(positions, key=lambda position: (abs(position - index), position))
        if abs(nearest - index) <= reach:
            taken.append((index, nearest))
    return taken
