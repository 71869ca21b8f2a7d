"""Results on another grid and in a part of the scan: the same as on the whole scan, where both look."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from openvista.errors import GridError
from openvista.geometry.box import Box
from openvista.geometry.grid import Grid
from openvista.geometry.resample import are_parallel
from openvista.inference.automatic import segment_scan
from openvista.inference.class_maps import empty_class_maps
from openvista.inference.profiles import BEST, BUNDLE
from openvista.inference.progress import Progress
from openvista.inference.target import AIR_HU, Target, nearest_on
from openvista.scan import UNSEEN_LOGIT, Segmentation
from small_inference import make_scan, peer_windows

CLASSES = (5, 9, 1, 121, 17, 130)
NAMES = {class_id: str(class_id) for class_id in CLASSES}
WITH_STRAYS = BEST.override(drop_strays=False)


def turned(affine: np.ndarray, degrees: float = 20.0) -> np.ndarray:
    """The same about an axis that is none of the patient's."""
    axis = np.array([1.0, 2.0, 3.0]) / np.sqrt(14)
    cross = np.cross(np.eye(3), axis)
    angle = np.radians(degrees)
    rotation = np.eye(4)
    rotation[:3, :3] += np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    return rotation @ affine


@pytest.fixture
def scan(lps_affine):
    return make_scan((31, 24, 19), turned(lps_affine))


def other_grid(scan) -> Grid:
    """Finer and coarser, with its axes in another order and sense, and beyond the scan on some sides."""
    step = np.array([[0, -1.4, 0, 40.02], [0, 0, 0.6, 3.03], [0.9, 0, 0, -5.04], [0, 0, 0, 1]])
    return Grid((25, 37, 40), scan.grid.affine @ step)


def test_labels_are_decided_on_the_grid_itself(tiny, tiny_windows, scan):
    """By MONAI's windows and scipy's interpolation, at every voxel in the scan; beyond it nothing is found."""
    grid = other_grid(scan)
    labels = segment_scan(tiny_windows, Target.of(scan, grid), CLASSES, BUNDLE.override(mode="smooth"))
    logits_KXYZ, prepared = peer_windows(tiny, scan, CLASSES, BUNDLE)
    voxels_N3 = np.indices(grid.shape).reshape(3, -1).T
    places = prepared.grid.to_voxel(grid.to_world(voxels_N3)).T
    found = [ndimage.map_coordinates(one.numpy(), places, order=1, mode="nearest") for one in logits_KXYZ]
    logits_NK = np.stack(found, 1)
    expected = np.where(logits_NK.max(1) > 0, np.array(CLASSES)[logits_NK.argmax(1)], 0).reshape(grid.shape)
    in_scan = scan.grid.to_voxel(grid.to_world(voxels_N3))
    reach = np.array([1.4, 1, 1]) / 2  # half a voxel of the coarser of both grids
    inside = ((in_scan >= -reach) & (in_scan <= np.array(scan.grid.shape) - 1 + reach)).all(1).reshape(grid.shape)
    assert 0.2 < inside.mean() < 0.9
    assert (labels == expected)[inside].mean() > 0.999
    assert not labels[~inside].any()
    assert len(np.unique(labels)) > 4


def test_a_part_of_the_scans_own_grid_has_the_labels_of_the_whole(tiny_windows, scan):
    part = scan.grid.part((3, 4, 2), (20, 11, 16))
    cut = segment_scan(tiny_windows, Target.of(scan, part), CLASSES, WITH_STRAYS)
    whole = segment_scan(tiny_windows, scan, CLASSES, WITH_STRAYS)
    assert (cut == whole[3:23, 4:15, 2:18]).mean() > 0.999


@pytest.mark.parametrize("mode", ["smooth", "exact"])
def test_a_region_takes_fewer_windows_and_says_the_same(tiny_windows, scan, mode, caplog):
    caplog.set_level("INFO", "openvista.inference.automatic")
    region, profile = Box((2, 12, 3), (12, 22, 9)), WITH_STRAYS.override(mode=mode)
    totals, results, maps = [], [], []
    for target in (Target.of(scan), Target.of(scan, region=region)):
        seen: list[Progress] = []
        maps.append(empty_class_maps("logits", scan, NAMES))
        results.append(segment_scan(tiny_windows, target, CLASSES, profile, seen.append, (), maps[-1]))
        totals.append(next(step.total for step in seen if step.stage == "encode"))
    whole, part = results
    assert totals[1] <= totals[0] / 1.5
    assert f"{totals[1]} windows" in caplog.text
    assert f"{totals[0] - totals[1]} outside the region left out" in caplog.text
    inside = np.zeros(whole.shape, bool)
    inside[region.slices()] = True
    assert (part == whole)[inside].mean() > 0.999
    assert len(np.unique(part[inside])) > 3
    assert not part[~inside].any()
    values, expected = maps[1].values_KXYZ, maps[0].values_KXYZ
    assert np.allclose(values[:, inside], expected[:, inside], atol=0.01)
    assert (values[:, ~inside] == UNSEEN_LOGIT).all()


def test_a_region_of_air_needs_no_window(tiny_windows):
    scan = make_scan((60, 40, 20), np.diag([2.0, 2.0, 2.0, 1.0]))
    voxels = np.full_like(scan.voxels, -1000)
    voxels[40:48, 14:26, 4:16] = 40
    target = Target.of(replace(scan, voxels=voxels), region=Box((0, 0, 0), (5, 5, 5)))
    labels = segment_scan(tiny_windows, target, CLASSES, WITH_STRAYS)
    assert labels.shape == scan.grid.shape
    assert not labels.any()


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (5.0, 4.0, 9.7), (2.1, 3.0, 1.1)])
def test_a_spacing_keeps_every_voxel(scan, spacing):
    grid = scan.grid.with_spacing(spacing)
    assert Target.of(scan, grid).box == Box.whole(grid.shape)


def test_the_scan_comes_along(scan):
    """As scipy interpolates it, air beyond its ends; a grid that is turned against it as well."""
    for grid in (other_grid(scan), Grid((25, 37, 40), turned(other_grid(scan).affine, 5))):
        straight = are_parallel(scan.grid, grid)
        whole = Segmentation(scan.voxels.astype(np.uint16), scan.grid, {}, scan=scan)
        seen = Target.of(scan, grid).seen_scan() if straight else nearest_on(whole, grid).scan
        places = scan.grid.to_voxel(grid.to_world(np.indices(grid.shape).reshape(3, -1).T)).T
        expected = ndimage.map_coordinates(scan.voxels, places, np.float32, order=1, cval=AIR_HU)
        within = ((places.T >= 0) & (np.array(scan.grid.shape) - 1 >= places.T)).all(1)
        assert np.abs(seen.voxels.reshape(-1) - expected)[within].max() <= 0.51
        beyond = ((places.T < -1) | (np.array(scan.grid.shape) < places.T)).any(1)
        assert (seen.voxels.reshape(-1)[beyond] == AIR_HU).all()
        assert seen.grid is grid
        assert seen.geometry is None


def test_a_grid_that_is_turned_gets_the_nearest_voxels(scan):
    grid = Grid((25, 37, 40), turned(other_grid(scan).affine, 7))
    assert not are_parallel(scan.grid, grid)
    labels = np.random.default_rng(0).integers(1, 9, scan.grid.shape).astype(np.uint8)
    maps = empty_class_maps("probabilities", scan, {3: "spleen"})
    maps.values_KXYZ[0] = labels
    result = nearest_on(Segmentation(labels, scan.grid, {3: "spleen"}, scan=scan, class_maps=maps), grid)
    places = scan.grid.to_voxel(grid.to_world(np.indices(grid.shape).reshape(3, -1).T)).T
    expected = ndimage.map_coordinates(labels, places, order=0, mode="grid-constant", cval=0).reshape(grid.shape)
    clear = (np.abs(places - np.rint(places)).max(0) < 0.49).reshape(grid.shape)
    assert np.array_equal(result.labels[clear], expected[clear])
    assert (result.labels > 0).any()
    assert np.array_equal(result.class_maps.values_KXYZ[0], result.labels)


def test_what_cannot_be(scan, monkeypatch):
    far = Grid((5, 5, 5), scan.grid.affine @ np.array([[1, 0, 0, 99], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]))
    with pytest.raises(GridError, match="grid of the result lies outside"):
        Target.of(scan, far)
    with pytest.raises(GridError, match="the region lies outside"):
        Target.of(scan, region=Box((40, 0, 0), (50, 5, 5)))
    with pytest.raises(GridError, match="lies outside"):
        nearest_on(Segmentation(np.ones(scan.grid.shape, np.uint8), scan.grid, {}), Grid((2, 2, 2), turned(far.affine)))
    with pytest.raises(GridError, match="more than"):
        Target.of(scan, scan.grid.with_spacing((0.01, 0.01, 0.01)))
    monkeypatch.setattr("openvista.prepare.free_memory", lambda device: 1000)
    with pytest.raises(GridError, match="GB are free; give a larger spacing"):
        Target.of(scan, scan.grid.with_spacing((1.0, 1.0, 1.0)))


def test_parallel_grids():
    affine = turned(np.diag([1.0, 2.0, 3.0, 1.0]), 30)
    grid = Grid((30, 30, 30), affine)
    assert are_parallel(grid, Grid((9, 9, 9), affine[:, [2, 0, 1, 3]] * [-2, 1, 1, 1]))
    assert are_parallel(grid, Grid((30, 30, 30), turned(affine, 0.05)))  # rounding of a header
    assert not are_parallel(grid, Grid((30, 30, 30), turned(affine, 1)))
    assert not are_parallel(grid, Grid((30, 30, 30), turned(affine, 45)))
