"""Surface distances against DeepMind's package, MONAI, and shapes whose surface is known."""

import warnings

import numpy as np
import pytest
import torch

from openvista.metrics.surface import _by_transform, _by_tree, element_areas, surface_distances

SPACING = (0.8, 1.3, 2.7)


def random_masks(seed):
    """Two masks of a random shape and density, so that thin, full and touching ones occur."""
    random = np.random.default_rng(seed)
    shape = tuple(random.integers(1, 14, 3))
    first = random.random(shape) < random.random()
    second = first ^ (random.random(shape) < 0.3 * random.random())
    first.flat[random.integers(first.size)] = second.flat[random.integers(second.size)] = True
    return first, second


def blobs(seed):
    from scipy import ndimage

    random = np.random.default_rng(seed)
    noise = ndimage.gaussian_filter(random.standard_normal((24, 30, 18)), 3)
    return noise > 0.02, ndimage.shift(noise, (1.2, -0.7, 0.4), order=1) > 0.025


def single(shape, place):
    mask = np.zeros(shape, bool)
    mask[place] = True
    return mask


DEGENERATE = [
    (single((1, 1, 1), (0, 0, 0)), single((1, 1, 1), (0, 0, 0))),
    (single((5, 6, 7), (0, 0, 0)), single((5, 6, 7), (4, 5, 6))),
    (np.ones((4, 5, 6), bool), np.ones((4, 5, 6), bool)),
    (np.ones((4, 5, 6), bool), single((4, 5, 6), (2, 2, 2))),
    (single((9, 9, 1), np.s_[2:7, 2:7]), single((9, 9, 1), np.s_[3:9, 0:5])),
]


def deepmind(truth, predicted, spacing):
    from surface_distance import metrics

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it calls scipy by old names
        found = metrics.compute_surface_distances(truth, predicted, spacing)
    return metrics, found


PAIRS = [*map(random_masks, range(40)), *map(blobs, range(3)), *DEGENERATE]


@pytest.mark.parametrize("pair", PAIRS)
def test_elements_are_those_of_deepmind(pair):
    metrics, judge = deepmind(*pair, SPACING)
    ours = surface_distances(*pair, SPACING)
    for tolerance in (0.0, 0.8, 1.3, 2.0, 2.7, 5.0):
        expected = metrics.compute_surface_dice_at_tolerance(judge, tolerance)
        assert ours.within(tolerance) == pytest.approx(expected, abs=1e-9)
    for percent in (50, 95, 100):
        assert ours.hausdorff_mm(percent) == pytest.approx(metrics.compute_robust_hausdorff(judge, percent), abs=1e-9)
    assert ours.truth_area.sum() == pytest.approx(judge["surfel_areas_gt"].sum())


@pytest.mark.parametrize("spacing", [(1, 1, 1), SPACING, (3.1, 0.4, 1.7)])
def test_areas_of_every_neighbourhood_are_deepminds_and_monais(spacing):
    from monai.metrics.utils import create_table_neighbour_code_to_surface_area
    from surface_distance import lookup_tables

    powers = lookup_tables.ENCODE_NEIGHBOURHOOD_3D_KERNEL.reshape(-1)  # of the eight corners in our order
    theirs = [sum(int(power) for bit, power in enumerate(powers) if code >> bit & 1) for code in range(256)]
    deepminds = lookup_tables.create_table_neighbour_code_to_surface_area(spacing)
    monais, _ = create_table_neighbour_code_to_surface_area(spacing, torch.device("cpu"))
    np.testing.assert_allclose(element_areas(spacing), deepminds[theirs], atol=1e-12)
    np.testing.assert_allclose(element_areas(spacing), np.asarray(monais)[theirs], rtol=1e-5)


@pytest.mark.parametrize("pair", PAIRS)
def test_voxels_are_those_of_monai(pair):
    from monai.metrics import HausdorffDistanceMetric, SurfaceDiceMetric

    truth, predicted = (torch.tensor(mask)[None, None].float() for mask in pair)
    ours = surface_distances(*pair, SPACING, surface="voxels")
    hausdorff = HausdorffDistanceMetric(percentile=95, include_background=True)(predicted, truth, spacing=SPACING)
    assert ours.hausdorff_mm(95) == pytest.approx(float(hausdorff), rel=1e-5)
    surface_dice = SurfaceDiceMetric([2.0], include_background=True)(predicted, truth, spacing=SPACING)
    assert ours.within(2.0) == pytest.approx(float(surface_dice), rel=1e-5)


def test_a_box_has_the_surface_of_a_box_less_its_rounded_edges():
    mask = np.zeros((30, 40, 50), bool)
    mask[5:25, 5:35, 5:45] = True
    area = surface_distances(mask, mask, (1, 1, 1)).truth_area.sum()
    assert 0.97 < area / (2 * (20 * 30 + 20 * 40 + 30 * 40)) < 1
    assert surface_distances(mask, mask, (2, 2, 2)).truth_area.sum() == pytest.approx(4 * area)


@pytest.mark.parametrize("radius", [8, 14])
def test_concentric_spheres(radius):
    grid = np.linalg.norm(np.indices((41, 41, 41)) - 20, axis=0)
    inner, outer = grid <= radius, grid <= radius + 4
    distances = surface_distances(inner, outer, (1, 1, 1))
    expected = 4 * np.pi * radius**2
    assert 1.0 < distances.truth_area.sum() / expected < 1.12  # marching cubes on a mask is some 8 % too large
    assert distances.hausdorff_mm(95) == pytest.approx(4, abs=0.8)
    assert distances.within(5.5) == 1
    assert distances.within(2) == 0


def test_a_shift_is_measured_in_millimetres_along_each_axis():
    mask = np.zeros((20, 20, 20), bool)
    mask[5:10, 5:10, 5:10] = True
    for axis in range(3):
        moved = np.roll(mask, 3, axis)
        distances = surface_distances(mask, moved, SPACING)
        assert distances.hausdorff_mm(100) == pytest.approx(3 * SPACING[axis])
        swapped = surface_distances(moved, mask, SPACING)
        assert swapped.within(1) == pytest.approx(distances.within(1))


def test_a_distance_that_equals_the_tolerance_is_within():
    mask = np.zeros((60, 3, 3), bool)
    mask[1:40] = True
    longer = mask.copy()
    longer[40:45] = True  # 5 × 0.4 mm further, at a place where products with the spacing round badly
    assert surface_distances(mask, longer, (0.4, 9, 9)).within(2.0) == 1


def test_an_empty_mask_has_no_distance():
    mask = np.ones((3, 3, 3), bool)
    assert surface_distances(mask, ~mask, (1, 1, 1)) is None
    assert surface_distances(~mask, mask, (1, 1, 1)) is None


def test_cut_faces_are_no_surface():
    tube = np.zeros((12, 12, 40), bool)
    tube[4:8, 4:8] = True
    piece = tube[..., 10:20]
    whole = surface_distances(tube, tube, (1, 1, 1), open_axis=2).truth_area.sum()
    sides = surface_distances(piece, piece, (1, 1, 1), open_axis=2).truth_area.sum()
    assert sides == pytest.approx(whole * 10 / 40)
    assert sides < surface_distances(piece, piece, (1, 1, 1)).truth_area.sum()
    shorter = tube.copy()
    shorter[..., 18:] = False  # the prediction ends inside the piece: that end is surface
    cut = surface_distances(piece, shorter[..., 10:20], (1, 1, 1), open_axis=2)
    assert cut.truth_mm.max() == 2
    for other in ("elements", "voxels"):
        full = np.ones((4, 4, 3), bool)
        assert surface_distances(full, full, (1, 1, 1), other, open_axis=2).within(0) == 1


@pytest.mark.parametrize("seed", range(6))
def test_tree_and_distance_transform_agree(seed):
    random = np.random.default_rng(seed)
    first, second = (np.unique(random.integers(0, 12, (size, 3)), axis=0) for size in random.integers(1, 90, 2))
    by_tree, by_transform = _by_tree(first, second, SPACING), _by_transform(first, second, SPACING)
    np.testing.assert_allclose(by_tree, by_transform, rtol=1e-12)
