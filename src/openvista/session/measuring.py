"""Measurements that people draw on a scan: lengths, angles, HU of an ellipse. Plain values; needs no torch.

They belong to the scan's own voxels, in mm and HU, and change no mask; so they are no part of a session's history.
"""

import math
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from openvista.errors import PromptError
from openvista.scan import Scan

_FAR = 1e6
"""Voxels: nothing is measured further away."""
_Coordinate = Annotated[float, Field(ge=-_FAR, le=_FAR, allow_inf_nan=False)]
_Voxel = Annotated[
    tuple[_Coordinate, _Coordinate, _Coordinate], Field(description="x, y, z; 0 is the centre of the first voxel")
]


class _Measurement(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    name: Annotated[str, Field(max_length=120)] = ""


class Ruler(_Measurement):
    """The length of a straight line."""

    kind: Literal["ruler"] = "ruler"
    points: tuple[_Voxel, _Voxel]


class Angle(_Measurement):
    """The angle at the second of three points."""

    kind: Literal["angle"] = "angle"
    points: tuple[_Voxel, _Voxel, _Voxel]


class Ellipse(_Measurement):
    """Area and HU of the ellipse that fills a rectangle on a slice. Voxels count by their centres."""

    kind: Literal["ellipse"] = "ellipse"
    axis: Annotated[int, Field(ge=0, le=2, description="array axis that the slice is perpendicular to")]
    points: Annotated[tuple[_Voxel, _Voxel], Field(description="opposite corners of the rectangle")]


Measurement = Annotated[Ruler | Angle | Ellipse, Field(discriminator="kind")]
"""Any of them; as JSON an object with its ``kind``."""


@dataclass(frozen=True)
class MeasuredValues:
    """What a measurement says; ``None`` for what its kind does not measure, and for HU where there is no voxel.

    Attributes:
        length_mm: of a ruler.
        degrees: of an angle, 0 to 180.
        area_mm2: of an ellipse.
        voxels: whose centres lie in the ellipse and in the scan.
        mean_hu, sd_hu, min_hu, max_hu: of these voxels; the standard deviation is that of all of them.
    """

    length_mm: float | None = None
    degrees: float | None = None
    area_mm2: float | None = None
    voxels: int | None = None
    mean_hu: float | None = None
    sd_hu: float | None = None
    min_hu: float | None = None
    max_hu: float | None = None


def measure(scan: Scan, measurement: Ruler | Angle | Ellipse) -> MeasuredValues:
    """Measure on a scan.

    Raises:
        PromptError: an ellipse whose corners lie on different slices, or on none of the scan; an angle without sides.
    """
    points_N3 = np.array(measurement.points)
    if isinstance(measurement, Ellipse):
        return _measure_ellipse(scan, measurement.axis, points_N3)
    places_N3 = scan.grid.to_world(points_N3)
    if isinstance(measurement, Ruler):
        return MeasuredValues(length_mm=float(np.linalg.norm(places_N3[1] - places_N3[0])))
    sides_23 = places_N3[[0, 2]] - places_N3[1]
    lengths = np.linalg.norm(sides_23, axis=1)
    if not lengths.all():
        raise PromptError("an angle needs three different points; two of them are the same")
    return MeasuredValues(degrees=math.degrees(math.acos(np.clip(sides_23[0] @ sides_23[1] / lengths.prod(), -1, 1))))


def _measure_ellipse(scan: Scan, axis: int, points_23: NDArray[np.float64]) -> MeasuredValues:
    shape = scan.grid.shape
    first, second = np.rint(points_23[:, axis]).astype(int).tolist()
    if first != second or not 0 <= first < shape[axis]:
        there = f"0 to {shape[axis] - 1}, not on {first} and {second}"
        raise PromptError(f"an ellipse lies on one slice of axis {axis}: {there}")
    u, v = (other for other in range(3) if other != axis)
    middle_2, radii_2 = points_23[:, [u, v]].mean(axis=0), np.abs(np.diff(points_23[:, [u, v]], axis=0)[0]) / 2
    voxel_mm2 = np.linalg.norm(np.cross(scan.grid.affine[:3, u], scan.grid.affine[:3, v]))
    area = float(math.pi * radii_2.prod() * voxel_mm2)
    if not radii_2.all():
        return MeasuredValues(area_mm2=0.0, voxels=0)
    away_U, away_V = (
        ((np.arange(shape[side]) - middle) / radius) ** 2
        for side, middle, radius in zip((u, v), middle_2, radii_2, strict=True)
    )
    hu_N = np.take(scan.voxels, first, axis)[away_U[:, None] + away_V <= 1].astype(np.float64)
    if not hu_N.size:
        return MeasuredValues(area_mm2=area, voxels=0)
    low, high = float(hu_N.min()), float(hu_N.max())
    return MeasuredValues(None, None, area, hu_N.size, float(hu_N.mean()), float(hu_N.std()), low, high)
