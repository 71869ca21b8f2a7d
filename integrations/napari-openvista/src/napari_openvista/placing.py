"""Where a scan lies in a layer: from voxels of the scan to the layer's array, to mm, and back.

The scan's axes are turned and flipped, without new voxels, so that a layer's run (nearest) to superior, posterior and
left. napari's world is then DICOM's patient space in the order z, y, x, in mm, as other readers of medical images have
it: axial slices show as radiologists see them.

An oblique scan keeps its own axes. napari shows slices along the world's axes only, and draws those of a turned layer
"without applying an out-of-slice rotation" (napari 0.9, ``_SliceInput.data_slice``), so that a click would land on
another slice than the one that is seen. Its centre lies where it does in the patient.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from napari.layers import Layer
from numpy.typing import NDArray

from openvista.errors import GridError
from openvista.geometry.grid import Axis3, Grid, triple

KEY = "openvista"
"""Of a layer's metadata: what only its file says."""

_TO_SPL = np.array([[0.0, 0.0, 1.0], [0.0, -1.0, 0.0], [-1.0, 0.0, 0.0]])
"""From R, A, S to superior, posterior, left."""


@dataclass(frozen=True, eq=False)
class Placing:
    """How the axes of a scan lie in a layer.

    Attributes:
        grid: of the scan.
        axes: the scan's axis along each of the layer's.
        flips: whether it runs the other way.
    """

    grid: Grid
    axes: Axis3
    flips: tuple[bool, bool, bool]

    @classmethod
    def of(cls, grid: Grid) -> "Placing":
        """As a scan is shown: along superior, posterior, left."""
        (right, anterior, superior), signs = grid.ras_order
        return cls(grid, (superior, anterior, right), (signs[2] < 0, signs[1] > 0, signs[0] > 0))

    @classmethod
    def of_layer(cls, layer: Layer) -> "Placing":
        """Of a layer: as its file says where this plugin read it; else as napari shows it, taken for z, y, x in mm.

        Raises:
            GridError: it is not 3D, or flat.
        """
        known = layer.metadata.get(KEY, {})
        if "affine" in known and "shape" in known:
            placing = cls.of(Grid(triple(known["shape"]), np.array(known["affine"])))
            if placing.shape == layer.data.shape:
                return placing
        if layer.ndim != 3:
            raise GridError(f"layer {layer.name!r} has {layer.ndim} dimensions: choose one with three")
        corner, *steps = (np.array(layer.data_to_world(place)) for place in np.vstack([np.zeros(3), np.eye(3)]))
        affine = np.eye(4)
        affine[:3, 3] = _TO_SPL.T @ corner
        affine[:3, :3] = _TO_SPL.T @ np.stack([step - corner for step in reversed(steps)], axis=1)
        return cls(Grid(triple(layer.data.shape[::-1]), affine), (2, 1, 0), (False, False, False))

    @property
    def shape(self) -> Axis3:
        """Of the layer's array."""
        return triple(self.grid.shape[axis] for axis in self.axes)

    def layer_choices(self, **known: Any) -> dict[str, Any]:
        """Where napari shows the layer, and what it should remember of its file."""
        scale = np.array([self.grid.spacing[axis] for axis in self.axes])
        middle = _TO_SPL @ self.grid.to_world((np.array([self.grid.shape]) - 1) / 2)[0]
        memory = {"affine": self.grid.affine.tolist(), "shape": list(self.grid.shape), **known}
        return {
            "scale": scale,
            "translate": middle - scale * (np.array(self.shape) - 1) / 2,
            "units": ("mm",) * 3,
            "metadata": {KEY: memory},
        }

    def to_layer(self, values_XYZ: NDArray[Any]) -> NDArray[Any]:
        """The layer's view of an array of the scan; no copy."""
        return np.flip(values_XYZ.transpose(self.axes), self._flipped)

    def to_scan(self, values_ZYX: NDArray[Any]) -> NDArray[Any]:
        """The scan's view [X, Y, Z] of a layer's array; no copy."""
        return np.flip(values_ZYX, self._flipped).transpose(np.argsort(self.axes))

    def start_in_scan(self, start: Axis3, shape: Sequence[int]) -> Axis3:
        """The first voxel of the scan in a box of the layer."""
        opposite = [whole - first - length for first, length, whole in zip(start, shape, self.shape, strict=True)]
        corner = [far if flip else near for near, far, flip in zip(start, opposite, self.flips, strict=True)]
        return triple(corner[axis] for axis in np.argsort(self.axes).tolist())

    def layer_places(self, voxels_N3: NDArray[Any]) -> NDArray[np.float64]:
        """From voxels of the scan to places in the layer's array."""
        places = np.asarray(voxels_N3, dtype=float).reshape(-1, 3)[:, self.axes]
        return np.where(self.flips, np.array(self.shape) - 1 - places, places)

    def voxels(self, places_N3: NDArray[Any]) -> NDArray[np.float64]:
        """From places in the layer's array to voxels of the scan."""
        places = np.asarray(places_N3, dtype=float).reshape(-1, 3)
        return np.where(self.flips, np.array(self.shape) - 1 - places, places)[:, np.argsort(self.axes)]

    @property
    def _flipped(self) -> tuple[int, ...]:
        return tuple(axis for axis in range(3) if self.flips[axis])


def source_of(metadata: Mapping[str, Any]) -> str | None:
    """The file that a layer was read from, where this plugin knows it."""
    source = metadata.get(KEY, {}).get("source")
    return None if source is None else str(source)
