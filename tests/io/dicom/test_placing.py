"""Grids that planes of pixels span."""

import numpy as np
import pytest

from openvista.errors import ScanError
from openvista.geometry.grid import Grid
from openvista.io.dicom.placing import Plane, grid_of_planes, nearest_labels, share_axes, voxels_of

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def plane(z: float, y: float = 0.0, orientation=AXIAL) -> Plane:
    return Plane((10.0, y, z), orientation, (2.0, 1.5), rows=4, columns=5)


def test_a_grid_in_any_order_with_gaps():
    grid = grid_of_planes([plane(7.5), plane(0), plane(2.5), plane(0)], None, "file")
    assert grid.shape == (5, 4, 4)
    assert grid.spacing == pytest.approx((1.5, 2.0, 2.5))
    assert grid.to_world(np.array([[1, 1, 1]])) == pytest.approx(np.array([[-11.5, -2.0, 2.5]]))


def test_the_distance_that_a_file_states_counts_where_only_some_slices_are_there():
    assert grid_of_planes([plane(0), plane(5)], 2.5, "file").shape == (5, 4, 3)
    assert grid_of_planes([plane(0), plane(5)], 7.0, "file").shape == (5, 4, 2)
    assert grid_of_planes([plane(3)], 2.5, "file").spacing[2] == pytest.approx(2.5)


def test_planes_that_lean_get_a_larger_grid():
    grid = grid_of_planes([plane(0), plane(1, y=1), plane(2, y=4)], None, "file")
    assert grid.shape == (5, 4 + 2, 3)


@pytest.mark.parametrize(
    "planes", [[plane(0), plane(1), plane(2.5)], [plane(0), plane(1, orientation=(0, 1.0, 0, 0, 0, -1.0))]]
)
def test_what_is_no_volume(planes):
    with pytest.raises(ScanError, match="frames"):
        grid_of_planes(planes, None, "file")


def test_voxels_of_pixels():
    own = grid_of_planes([plane(0), plane(1)], None, "file")
    pixels = np.zeros((4, 5), np.uint8)
    pixels[1, 3] = 7
    assert share_axes(plane(1), own, own)
    (x, y, z), values = voxels_of(plane(1), pixels, own)
    assert (x.tolist(), y.tolist(), z.tolist(), values.tolist()) == ([3], [1], [1], [7])
    assert not share_axes(plane(1), own, own.with_spacing((1.0, 1.0, 1.0)))
    assert not share_axes(plane(1), own, own.with_spacing((1.5, 2.0, 0.5)))


def test_nearest_labels_on_a_turned_grid():
    labels = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    source = Grid(labels.shape, np.diag([1.0, 2.0, 3.0, 1.0]))
    turned = Grid((4, 2, 3), source.affine[:, [2, 0, 1, 3]])
    assert np.array_equal(nearest_labels(labels, source, turned), labels.transpose(2, 0, 1))
