from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.data.utils import compute_importance_map, dense_patch_slices

from openvista.geometry.grid import Grid
from openvista.inference.profiles import BEST, PLACEMENTS
from openvista.inference.windows import axis_starts, cut_windows, importance_map, pad, plan_windows, total_weights
from openvista.network import STARTER
from openvista.prepare import Prepared

sides = st.tuples(*[st.integers(1, 40)] * 3)
windows = st.tuples(*[st.integers(1, 24)] * 3)
overlaps = st.sampled_from([0.0, 0.25, 0.3, 0.5, 0.625, 0.9])


@settings(max_examples=150, deadline=None)
@given(volume=sides, window=windows, overlap=overlaps)
def test_windows_lie_where_monai_puts_them(volume, window, overlap):
    padded = [max(n, w) for n, w in zip(volume, window, strict=True)]
    steps = [w if w == n else max(int(w * (1 - overlap)), 1) for n, w in zip(padded, window, strict=True)]
    plan = plan_windows(volume, window, overlap)
    assert plan.padded == tuple(padded)
    assert [plan.slices(start) for start in plan.starts] == dense_patch_slices(padded, window, steps)


@settings(max_examples=100, deadline=None)
@given(length=st.integers(1, 300), window=st.integers(1, 64), overlap=overlaps, placement=st.sampled_from(PLACEMENTS))
def test_windows_cover_the_axis_and_stay_on_it(length, window, overlap, placement):
    length = max(length, window)
    starts = axis_starts(length, window, overlap, placement)
    assert starts[0] == 0
    assert starts[-1] + window == length
    assert all(0 < after - before <= window for before, after in pairwise(starts))


@settings(max_examples=100, deadline=None)
@given(length=st.integers(1, 300), window=st.integers(1, 64), overlap=overlaps)
def test_even_placement_takes_as_many_windows_that_overlap_alike_and_enough(length, window, overlap):
    length = max(length, window)
    starts = axis_starts(length, window, overlap, "even")
    assert len(starts) == len(axis_starts(length, window, overlap, "official"))
    steps = [after - before for before, after in pairwise(starts)]
    assert not steps or max(steps) <= min(max(int(window * (1 - overlap)), 1), min(steps) + 1)


def test_no_row_of_windows_is_spent_on_five_voxels():
    assert axis_starts(125, 48, 0.5, "official") == [0, 24, 48, 72, 77]
    assert axis_starts(125, 48, BEST.overlap, BEST.placement) == [0, 26, 51, 77]


@pytest.mark.parametrize("weighting", ["gaussian", "constant"])
@pytest.mark.parametrize("window", [(16, 16, 16), (9, 32, 14), (1, 5, 128)])
def test_weights_are_monais(window, weighting):
    theirs = compute_importance_map(window, mode=weighting, sigma_scale=0.125)
    torch.testing.assert_close(importance_map(window, weighting), theirs, rtol=1e-6, atol=0)


def test_corner_weights_do_not_vanish():
    assert importance_map((64, 64, 64), "gaussian").min() == pytest.approx(1e-3)


@pytest.mark.parametrize("mode", ["constant", "replicate"])
def test_padding_keeps_the_volume_in_the_middle(mode):
    image = torch.rand(5, 20, 8)
    plan = plan_windows((5, 20, 8), (12, 12, 12), 0.5)
    padded = pad(image, plan, mode)
    assert plan.pad_before == (3, 0, 2)
    assert padded.shape == plan.padded == (12, 20, 12)
    assert torch.equal(padded[3:8, :, 2:10], image)
    assert torch.equal(padded[plan.inner.slices()], image)
    assert padded[0, 4, 4] == (0 if mode == "constant" else image[0, 4, 2])


def test_total_weights_count_the_windows_over_a_voxel():
    plan = plan_windows((24, 16, 16), (16, 16, 16), 0.5)
    total = total_weights(plan, importance_map((16, 16, 16), "constant"))
    assert total[:, 0, 0].tolist() == [1.0] * 8 + [2.0] * 8 + [1.0] * 8


@pytest.mark.parametrize("skip_air", [True, False])
def test_a_prepared_scan_is_cut_where_the_body_is(skip_air):
    image = torch.zeros(150, 60, 30)
    image[80:110, 20:40, 10:20] = 1.0
    grid = Grid(tuple(image.shape), np.eye(4))
    profile = BEST.override(skip_air=skip_air, overlap=0.25)
    windowed = cut_windows(Prepared(image, grid, grid), STARTER, profile)
    assert windowed.image_XYZ.shape == windowed.plan.padded
    assert torch.equal(windowed.image_XYZ[windowed.plan.inner.slices()], image[windowed.box.slices()])
    assert windowed.image_XYZ.sum() == image.sum()
    assert (windowed.box.shape == grid.shape) != skip_air
    assert windowed.importance().shape == STARTER.window
    assert windowed.slab_bytes(3, torch.float16) == 48 * windowed.plan.padded[1] * 48 * 3 * 2
