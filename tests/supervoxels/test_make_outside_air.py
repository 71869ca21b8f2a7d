"""Air around the patient: what is 0 in a supervoxel map."""

import numpy as np
import pytest
from small_phantoms import ball

from openvista.geometry.grid import Grid
from openvista.supervoxels.make import outside_air

RAS = np.eye(4)


def chest(shape=(40, 40, 24)):
    """A body with a lung that is cut by the lower end of the scan, and gas inside."""
    voxels = np.full(shape, -1000)
    body = ball((*shape[:2], 1), (19.5, 19.5, 0), 17)[..., 0]
    voxels[body] = 30
    lung = ball((*shape[:2], 1), (13, 19.5, 0), 7)[..., 0]
    voxels[lung, :12] = -850
    gas = ball(shape, (28, 20, 12), 3)
    voxels[gas] = -950
    return voxels, body


def test_lungs_at_the_lower_end_and_gas_are_no_air():
    voxels, body = chest()
    air = outside_air(voxels, Grid(voxels.shape, RAS))
    assert np.array_equal(air, np.broadcast_to(~body[..., None], voxels.shape))


@pytest.mark.parametrize("order", [(2, 0, 1), (1, 2, 0), (2, 1, 0)])
def test_the_patients_sides_are_found_whatever_the_order_of_axes(order):
    voxels, body = chest()
    affine = np.eye(4)
    affine[:3, :3] = np.eye(3)[:, order]
    turned = np.transpose(voxels, order)
    air = outside_air(turned, Grid(turned.shape, affine))
    assert np.array_equal(air, np.transpose(np.broadcast_to(~body[..., None], voxels.shape), order))


def test_a_body_that_fills_the_scan_from_side_to_side_has_air_in_front_and_behind():
    voxels = np.full((20, 30, 10), -1000)
    voxels[:, 10:20] = 40
    air = outside_air(voxels, Grid(voxels.shape, RAS))
    assert np.array_equal(air, voxels < -500)


def test_in_a_round_field_of_view_it_is_the_largest_piece_of_air():
    voxels, body = chest()
    voxels[~ball((40, 40, 1), (19.5, 19.5, 0), 19)[..., 0]] = 0
    air = outside_air(voxels, Grid(voxels.shape, RAS))
    assert np.array_equal(air, (voxels == -1000) & ~body[..., None])


def test_a_scan_inside_the_body_has_no_air_but_keeps_specks_at_its_sides():
    voxels = np.full((30, 30, 30), 50)
    assert not outside_air(voxels, Grid(voxels.shape, RAS)).any()
    outer = np.full((40, 40, 40), -1000)
    outer[5:, :, :] = 40
    outer[-1, 20, 20] = -900  # one dark voxel at the other side
    assert not outside_air(outer, Grid(outer.shape, RAS))[-1, 20, 20]
