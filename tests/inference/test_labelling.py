from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from openvista.geometry.box import Box
from openvista.geometry.grid import Grid
from openvista.geometry.resample import resample_linear, resample_nearest
from openvista.inference.labelling import Decision, ExactLabels, SmoothLabels, agreed_places, label_table
from openvista.inference.stitching import Slab
from openvista.prepare import model_grid

IDS = (7, 121, 200, 3)
EMBEDDINGS = torch.tensor([[1.0, 0.2, 0.0], [-1.0, 0.3, 0.5], [0.1, -1.0, 0.4], [0.3, 0.9, -1.0]])


def smooth_features(shape, seed):
    """[X, Y, Z, 3] with structures some voxels wide, so that agreeing and disagreeing neighbours both occur."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn((1, 3, *(max(n // 3, 1) for n in shape)), generator=generator)
    return torch.nn.functional.interpolate(coarse, size=shape, mode="trilinear")[0].permute(1, 2, 3, 0).contiguous()


def decide(features_XYZC):
    """The rule in its plainest form."""
    best, index = (features_XYZC.float() @ EMBEDDINGS.T).max(-1)
    return np.where(best > 0, np.array(IDS)[index], 0)


def fed(way_back, grid, box, scan_grid, axis, features, cuts, embeddings=EMBEDDINGS, chunk=50):
    labels = way_back(grid, box, scan_grid, axis, Decision(embeddings, chunk), IDS)
    for first, stop in pairwise(cuts):
        labels.add(Slab(first, features.narrow(axis, first, stop - first).contiguous()))
    return labels.result()


def scan_grid_of(shape, spacing, order, signs):
    affine = np.eye(4)
    affine[:3, :3] = (np.diag(spacing) @ np.diag(signs))[:, list(order)]
    affine[:3, 3] = (3, -20, 11)
    return Grid(shape, affine)


grids = st.builds(
    scan_grid_of,
    shape=st.tuples(*[st.integers(1, 14)] * 3),
    spacing=st.tuples(*[st.sampled_from([0.5, 0.9, 1.5, 2.0, 5.0])] * 3),
    order=st.permutations([0, 1, 2]),
    signs=st.tuples(*[st.sampled_from([-1.0, 1.0])] * 3),
)


@settings(max_examples=60, deadline=None)
@given(scan_grid=grids, axis=st.integers(0, 2), seed=st.integers(0, 5), data=st.data())
def test_smooth_labels_are_those_of_interpolating_everything(scan_grid, axis, seed, data):
    grid = model_grid(scan_grid, (1.5, 1.5, 1.5))
    features = smooth_features(grid.shape, seed)
    inner = data.draw(st.sets(st.integers(1, grid.shape[axis]), max_size=4))
    cuts = sorted({0, grid.shape[axis], *inner})
    ours = fed(SmoothLabels, grid, Box.whole(grid.shape), scan_grid, axis, features, cuts)
    channels = [resample_linear(features[..., c], grid, scan_grid) for c in range(3)]
    logits = torch.stack(channels, -1) @ EMBEDDINGS.T
    top = logits.sort(-1).values
    clear = (top[..., -1].abs() > 1e-4) & (top[..., -1] - top[..., -2] > 1e-4)  # rounding may decide the others
    clear = clear.numpy()
    assert np.array_equal(ours[clear], decide(torch.stack(channels, -1))[clear])
    assert clear.mean() > 0.9 or clear.size < 100


@settings(max_examples=30, deadline=None)
@given(scan_grid=grids, axis=st.integers(0, 2), seed=st.integers(0, 5), data=st.data())
def test_exact_labels_are_the_nearest_of_the_model_grid(scan_grid, axis, seed, data):
    grid = model_grid(scan_grid, (1.5, 1.5, 1.5))
    features = smooth_features(grid.shape, seed)
    inner = data.draw(st.sets(st.integers(1, grid.shape[axis]), max_size=4))
    cuts = sorted({0, grid.shape[axis], *inner})
    ours = fed(ExactLabels, grid, Box.whole(grid.shape), scan_grid, axis, features, cuts)
    theirs = resample_nearest(torch.from_numpy(decide(features)), grid, scan_grid)
    assert np.array_equal(ours, theirs.numpy())


def test_the_shortcut_leaves_only_boundaries_to_interpolation(monkeypatch):
    import openvista.inference.labelling as module

    grid = scan_grid_of((40, 40, 40), (1.0, 1.0, 1.0), (0, 1, 2), (1.0, 1.0, 1.0))
    fine = grid.with_spacing((0.5, 0.5, 0.5))
    features = torch.ones(40, 40, 40, 3)
    features[20:] *= -1
    interpolated, interpolate = [], module.interpolate
    monkeypatch.setattr(
        module,
        "interpolate",
        lambda v, lookups, chosen: interpolated.append(len(chosen)) or interpolate(v, lookups, chosen),
    )
    fed(SmoothLabels, grid, Box.whole(grid.shape), fine, 0, features, [0, 15, 40])
    assert sum(interpolated) == 2 * 79 * 79  # the two planes between rows 19 and 20


@pytest.mark.parametrize("way_back", [SmoothLabels, ExactLabels])
def test_outside_the_box_is_background(way_back):
    scan_grid = scan_grid_of((20, 20, 20), (1.5, 1.5, 1.5), (0, 1, 2), (-1.0, 1.0, 1.0))
    grid = model_grid(scan_grid, (1.5, 1.5, 1.5))
    box = Box((4, 0, 3), (12, 20, 20))
    labels = fed(way_back, grid, box, scan_grid, 1, torch.ones(8, 20, 17, 3), [0, 7, 20])
    inside = np.zeros((20, 20, 20), dtype=bool)
    inside[8:16, :, 3:] = True  # the first axis runs the other way
    assert np.array_equal(labels > 0, inside)


def test_logits_as_channels_need_no_embeddings():
    grid = scan_grid_of((9, 8, 7), (1.5, 1.5, 1.5), (0, 1, 2), (1.0, 1.0, 1.0))
    features = smooth_features(grid.shape, 2)
    box = Box.whole(grid.shape)
    by_features = fed(ExactLabels, grid, box, grid, 0, features, [0, 9])
    by_logits = fed(ExactLabels, grid, box, grid, 0, features @ EMBEDDINGS.T, [0, 4, 9], embeddings=None)
    assert np.array_equal(by_features, by_logits)


def test_equal_logits_go_to_the_class_asked_for_first_and_zero_is_background():
    decision = Decision(None, 10)
    assert decision.places(torch.tensor([[2.0, 2.0], [0.0, 0.0], [-1.0, 0.5]])).tolist() == [1, 0, 2]


def test_agreed_places_mark_cells_with_unlike_corners():
    places = torch.zeros(3, 3, 1, dtype=torch.int16)
    places[2, 2] = 4
    assert agreed_places(places)[..., 0].tolist() == [[0, 0], [0, -1]]


def test_ids_above_255_get_16_bits():
    assert label_table([7, 255]).dtype == np.uint8
    assert label_table([7, 256]).dtype == np.uint16
    assert label_table([7, 256]).tolist() == [0, 7, 256]


@pytest.mark.parametrize("way_back", [SmoothLabels, ExactLabels])
def test_labels_that_arrive_late_are_the_same(way_back):
    scan_grid = scan_grid_of((9, 12, 10), (0.9, 1.5, 2.0), (2, 0, 1), (-1.0, 1.0, -1.0))
    grid = model_grid(scan_grid, (1.5, 1.5, 1.5))
    features, box = smooth_features(grid.shape, 3), Box.whole(grid.shape)
    late = way_back(grid, box, scan_grid, 0, Decision(EMBEDDINGS, 50), IDS)
    late.download.waits = True
    middle = grid.shape[0] // 2
    late.add(Slab(0, features[:middle].contiguous()))
    before = (late.labels if way_back is SmoothLabels else late.labels_XYZ.numpy()).copy()
    assert not before.any(), "nothing is put in its place before the next slab has come"
    late.add(Slab(middle, features[middle:].contiguous()))
    assert (late.labels if way_back is SmoothLabels else late.labels_XYZ.numpy()).any()
    expected = fed(way_back, grid, box, scan_grid, 0, features, [0, middle, grid.shape[0]])
    assert len(np.unique(expected)) > 2
    assert np.array_equal(late.result(), expected)
