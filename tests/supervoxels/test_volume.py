"""The working grid and what is put together on it."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from openvista.geometry.grid import Grid
from openvista.geometry.resample import resample_linear
from openvista.scan import Scan
from openvista.supervoxels.volume import (
    Gathering,
    grid_weights,
    in_file_order,
    ras_voxels,
    resample,
    triangle_weights,
    working_grid,
)

RAS = np.diag([2.0, 2.0, 3.0, 1.0])


def grid_at(shape, spacing, origin=(5.0, -3.0, 8.0)):
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = origin
    return Grid(shape, affine)


@given(
    st.integers(1, 12), st.lists(st.floats(-5, 20), min_size=1, max_size=8), st.floats(0.2, 6), st.floats(-1000, 1000)
)
def test_weights_keep_a_constant_whatever_the_positions(length, positions, width, value):
    weights = triangle_weights(np.array(positions), length, width)
    assert weights.shape == (len(positions), length)
    assert (weights >= 0).all()
    result = weights @ torch.full((length,), value)
    torch.testing.assert_close(result, torch.full((len(positions),), value), rtol=1e-5, atol=1e-3)


def test_a_finer_grid_is_interpolated_linearly():
    source, target = grid_at((9, 7, 6), (4, 4, 3)), grid_at((15, 12, 9), (2.2, 2.1, 1.7), (6, -2, 8.5))
    volume = torch.rand(source.shape, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(resample(volume, source, target), resample_linear(volume, source, target))


def test_a_coarser_grid_averages_where_linear_interpolation_would_pick():
    source, target = grid_at((64, 4, 4), (1, 1, 1)), grid_at((16, 4, 4), (4, 1, 1))
    stripes = (torch.arange(64) % 4 == 0).float()[:, None, None].expand(source.shape)
    assert resample_linear(stripes, source, target).min() == 1
    torch.testing.assert_close(resample(stripes, source, target)[1:-1], torch.full((14, 4, 4), 0.25))


@pytest.mark.parametrize("most", [10_000_000, 60_000, 5_000, 100])
def test_the_working_grid_keeps_within_its_budget_and_is_never_finer(most):
    affine = np.diag([-0.9, 0.9, 5.0, 1.0])[[2, 0, 1, 3]]
    scan_grid = Grid((90, 80, 20), affine)
    own = scan_grid.in_ras_order()
    grid = working_grid(scan_grid, most)
    assert np.prod(grid.shape) <= most
    assert grid.axis_codes == "RAS"
    assert all(new >= old - 1e-9 for new, old in zip(grid.spacing, own.spacing, strict=True))
    ends = grid.to_voxel(own.to_world(np.array([np.array(own.shape) - 1])))[0]
    assert np.allclose(ends, np.array(grid.shape) - 1, atol=0.51)


@given(st.permutations([0, 1, 2]), st.tuples(*[st.sampled_from([-1, 1])] * 3))
def test_ras_order_and_back(order, signs):
    voxels = np.arange(4 * 5 * 6).reshape(4, 5, 6).astype(np.int16)
    affine = np.eye(4)
    affine[:3, :3] = np.eye(3)[:, order] * np.array(signs) * np.array([1.5, 2.0, 2.5])
    scan = Scan(voxels, Grid(voxels.shape, affine))
    turned = ras_voxels(scan)
    assert tuple(turned.shape) == scan.grid.in_ras_order().shape
    place = np.array([[1, 2, 3]])
    there = np.rint(scan.grid.in_ras_order().to_voxel(scan.grid.to_world(place)))[0].astype(int)
    assert turned[tuple(there)] == voxels[1, 2, 3]
    assert np.array_equal(in_file_order(turned.numpy().astype(np.int16), scan.grid), voxels)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("step", [1, 3, 50])
def test_rows_gathered_piece_by_piece_are_the_resampled_whole(axis, step):
    source, target = grid_at((20, 18, 14), (2, 2, 3)), grid_at((11, 13, 9), (3.6, 2.7, 4.4))
    volume = torch.rand((*source.shape, 2), generator=torch.Generator().manual_seed(1))
    weights = grid_weights(source, target)
    gathering = Gathering(target, 2)
    for first in range(0, source.shape[axis], step):
        rows = volume.narrow(axis, first, min(step, source.shape[axis] - first))
        for other in {0, 1, 2} - {axis}:
            rows = torch.tensordot(weights[other], rows, dims=([1], [other])).movedim(0, other)
        gathering.add(rows, axis, weights[axis][:, first : first + step])
    whole = torch.stack([resample(volume[..., channel], source, target) for channel in range(2)], -1)
    torch.testing.assert_close(gathering.volume().values_XYZC.float(), whole, rtol=0, atol=3e-3)
