"""Grid: where voxels lie in the patient. Shape and affine together, and what follows from them."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from openvista.errors import GridError

Axis3 = tuple[int, int, int]
Float3 = tuple[float, float, float]

T = TypeVar("T")

AXIS_LETTERS = (("L", "R"), ("P", "A"), ("I", "S"))
"""Of each world axis the letter of its negative and of its positive direction."""
MOST_EXTENT_MM = 3000.0
"""No scanner's table moves further; a header that claims more has a wrong voxel size."""


def triple(values: Iterable[T]) -> tuple[T, T, T]:
    """Three values, one per axis, as a tuple of known length."""
    x, y, z = values
    return (x, y, z)


@dataclass(frozen=True, eq=False)
class Grid:
    """Shape and voxel-to-world affine of a 3D image.

    Args:
        shape: voxels along the three array axes.
        affine: 4×4, voxel index (centre of the voxel) to RAS+ millimetres.

    Raises:
        GridError: the affine is not an invertible 4×4 of finite numbers, or the shape is not three positive numbers.
    """

    shape: Axis3
    affine: NDArray[np.float64]

    def __post_init__(self) -> None:
        affine = np.array(self.affine, dtype=np.float64)
        shape = tuple(int(n) for n in self.shape)
        if len(shape) != 3 or min(shape) < 1:
            raise GridError(f"a grid needs three positive axis lengths, not {shape}")
        if affine.shape != (4, 4) or not np.isfinite(affine).all():
            raise GridError(f"the affine must be 4x4 finite numbers, not {affine.tolist()}")
        if not np.allclose(affine[3], (0, 0, 0, 1)):
            raise GridError(f"the affine's last row must be 0 0 0 1, not {affine[3].tolist()}")
        lengths = np.linalg.norm(affine[:3, :3], axis=0)
        if lengths.min() <= 0 or abs(np.linalg.det(affine[:3, :3] / lengths)) < 1e-3:
            raise GridError(f"the affine cannot be inverted: {affine[:3, :3].tolist()}; repair the file's header")
        affine.setflags(write=False)
        object.__setattr__(self, "affine", affine)
        object.__setattr__(self, "shape", shape)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Grid):
            return NotImplemented
        return self.matches(other, tolerance_mm=1e-6)

    __hash__ = None  # type: ignore[assignment]

    def matches(self, other: "Grid", tolerance_mm: float = 1e-3) -> bool:
        """Same shape, and no corner voxel further apart than ``tolerance_mm``."""
        if self.shape != other.shape:
            return False
        corners = np.array([[i, j, k] for i in (0, 1) for j in (0, 1) for k in (0, 1)]) * (np.array(self.shape) - 1)
        gap = np.abs(self.to_world(corners) - other.to_world(corners))
        return bool(gap.max() <= tolerance_mm)

    @cached_property
    def spacing(self) -> Float3:
        """Voxel size in mm along the three array axes."""
        return triple(np.linalg.norm(self.affine[:3, :3], axis=0).tolist())

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel in millilitres."""
        return float(abs(np.linalg.det(self.affine[:3, :3]))) / 1000

    @cached_property
    def ras_order(self) -> tuple[Axis3, Axis3]:
        """Which array axis runs along R, A, S, and its direction.

        Returns:
            ``(axes, signs)``: array axis ``axes[w]`` is nearest to world axis w; sign -1 when it runs the other way.
            Axes are given greedily, the clearest first, so oblique affines give a permutation as well.
        """
        cosines = self.affine[:3, :3] / np.linalg.norm(self.affine[:3, :3], axis=0)
        axes, signs = [0, 0, 0], [1, 1, 1]
        left = np.abs(cosines)
        for _ in range(3):
            world, axis = np.unravel_index(int(np.argmax(left)), (3, 3))
            axes[world] = int(axis)
            signs[world] = 1 if cosines[world, axis] >= 0 else -1
            left[world, :] = -1
            left[:, axis] = -1
        return (axes[0], axes[1], axes[2]), (signs[0], signs[1], signs[2])

    @property
    def axis_codes(self) -> str:
        """Orientation of the array axes as letters towards which the index grows, for example ``"LPS"``."""
        axes, signs = self.ras_order
        letters = {
            axis: AXIS_LETTERS[world][sign > 0] for world, (axis, sign) in enumerate(zip(axes, signs, strict=True))
        }
        return "".join(letters[axis] for axis in range(3))

    def to_world(self, voxels_N3: NDArray[np.floating] | NDArray[np.integer]) -> NDArray[np.float64]:
        """Voxel indices [N, 3] to RAS+ mm [N, 3]."""
        return np.asarray(voxels_N3) @ self.affine[:3, :3].T + self.affine[:3, 3]

    def to_voxel(self, points_N3: NDArray[np.floating]) -> NDArray[np.float64]:
        """RAS+ mm [N, 3] to (fractional) voxel indices [N, 3]."""
        inverse = np.linalg.inv(self.affine)
        return np.asarray(points_N3) @ inverse[:3, :3].T + inverse[:3, 3]

    def refuse_extent(self) -> None:
        """Refuse what is larger than any patient and table, before anybody asks for memory by its size in mm.

        Raises:
            GridError: an axis covers more than :data:`MOST_EXTENT_MM`.
        """
        extents = [length * size for length, size in zip(self.shape, self.spacing, strict=True)]
        if max(extents) > MOST_EXTENT_MM:
            shown = " x ".join(f"{extent:.4g}" for extent in extents)
            raise GridError(
                f"covers {shown} mm, and no scanner more than {MOST_EXTENT_MM:g}; check the voxel size in the header"
            )

    def in_ras_order(self) -> "Grid":
        """The same voxels with axes permuted and flipped so that they run (nearest) to R, A, S."""
        axes, signs = self.ras_order
        columns = [self.affine[:3, axis] * sign for axis, sign in zip(axes, signs, strict=True)]
        first = [0 if sign > 0 else self.shape[axis] - 1 for axis, sign in zip(axes, signs, strict=True)]
        corner = np.zeros(3)
        for axis, index in zip(axes, first, strict=True):
            corner[axis] = index
        affine = np.eye(4)
        affine[:3, :3] = np.stack(columns, axis=1)
        affine[:3, 3] = self.to_world(corner[None])[0]
        return Grid((self.shape[axes[0]], self.shape[axes[1]], self.shape[axes[2]]), affine)

    def part(self, start: Axis3, shape: Axis3) -> "Grid":
        """The grid of the voxels of a box, which starts at ``start``."""
        affine = self.affine.copy()
        affine[:3, 3] = self.to_world(np.array([start]))[0]
        return Grid(shape, affine)

    def with_spacing(self, spacing: Float3) -> "Grid":
        """The grid of another voxel size that starts at the same first voxel centre and reaches the last one.

        Axis lengths are ``round((n - 1) · old / new) + 1``, the rule of the field's resamplers (MONAI ``Spacing``).
        """
        ratio = np.array(self.spacing) / np.array(spacing)
        lengths = np.round((np.array(self.shape) - 1) * ratio).astype(int) + 1
        affine = self.affine.copy()
        affine[:3, :3] = affine[:3, :3] / ratio
        return Grid((int(lengths[0]), int(lengths[1]), int(lengths[2])), affine)
