"""A made-up brain: an ellipsoid with smooth contents, and the same one elsewhere in its scanner."""

import numpy as np
from numpy.typing import NDArray

from openvista.geometry.grid import Grid
from openvista.scan import Scan

TEMPLATE = Grid((48, 56, 44), np.array([[-3.0, 0, 0, 72], [0, -3, 0, 84], [0, 0, 3, -66], [0, 0, 0, 1]]))


def moved_by(degrees: float, stretch: tuple[float, ...], by: tuple[float, ...]) -> NDArray[np.float64]:
    """mm of the template to mm of a scan: turned around the axis from feet to head, stretched and shifted."""
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    affine = np.eye(4)
    affine[:3, :3] = np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]]) @ np.diag(stretch)
    affine[:3, 3] = by
    return affine


def brain_on(grid: Grid, affine: NDArray[np.float64]) -> Scan:
    """The brain as it lies in a scan, to which an affine leads from the template."""
    places = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), axis=-1).reshape(-1, 3)
    back = np.linalg.inv(affine)
    x, y, z = (grid.to_world(places) @ back[:3, :3].T + back[:3, 3]).T
    inside = (x / 60) ** 2 + (y / 75) ** 2 + (z / 55) ** 2 < 1
    tissue = 100 + 60 * np.sin(x / 17) * np.cos(y / 23) + 40 * np.sin(z / 13 + x / 30) + 20 * (x > 0)
    return Scan(np.where(inside, tissue, 0).reshape(grid.shape).astype(np.float32), grid, name="made-up brain")


def template_brain() -> Scan:
    return brain_on(TEMPLATE, np.eye(4))
