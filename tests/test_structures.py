"""Measures of structures against a plain computation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from openvista.geometry.box import Box
from openvista.geometry.grid import Grid
from openvista.structures import border_ids, measure, present_ids, statistics


def volumes(seed: int, shape: tuple[int, int, int], order: str) -> tuple[NDArray[np.uint16], NDArray[np.int16]]:
    random = np.random.default_rng(seed)
    labels = np.asarray(random.choice([0, 0, 1, 2, 5, 300], shape), dtype=np.uint16, order=order)  # type: ignore[call-overload]
    return labels, random.integers(-1000, 2000, shape).astype(np.int16)


shapes = st.tuples(*[st.integers(1, 7)] * 3)


@given(st.integers(0, 999), shapes, st.sampled_from("CF"), st.booleans())
def test_equals_the_plain_computation(seed: int, shape: tuple[int, int, int], order: str, flip: bool) -> None:
    labels, hu = volumes(seed, shape, order)
    if flip:  # strided views must work as well
        labels, hu = labels.transpose(1, 2, 0)[::-1], hu.transpose(1, 2, 0)[::-1]
    grid = Grid(labels.shape, np.diag([1.0, 2.0, 3.0, 1.0]))
    names = {1: "a", 2: "b", 300: "c", 7: "absent"}
    for row in measure(labels, grid, names, hu):
        mask = labels == row.id
        assert row.voxels == mask.sum()
        assert row.volume_ml == pytest.approx(mask.sum() * 0.006)
        assert row.name == names[row.id]
        if mask.any():
            assert row.mean_hu == pytest.approx(hu[mask].mean())
            assert row.sd_hu == pytest.approx(hu[mask].std(), abs=1e-3)
        else:
            assert row.mean_hu is None
        inner = mask.copy()
        inner[1:-1, 1:-1, 1:-1] = False
        assert row.touches_border == inner.any()


@given(st.integers(0, 999), shapes, st.sampled_from("CF"))
def test_present_ids(seed: int, shape: tuple[int, int, int], order: str) -> None:
    labels, _ = volumes(seed, shape, order)
    assert present_ids(labels) == [key for key in np.unique(labels).tolist() if key]


def test_without_a_scan_there_is_no_hu() -> None:
    labels = np.ones((2, 2, 2), np.uint8)
    (row,) = measure(labels, Grid((2, 2, 2), np.eye(4)), {1: "a"})
    assert (row.voxels, row.mean_hu, row.sd_hu) == (8, None, None)


def test_nothing_asked_gives_nothing() -> None:
    assert measure(np.ones((2, 2, 2), np.uint8), Grid((2, 2, 2), np.eye(4)), {}) == []


def test_border_counts_faces_only() -> None:
    labels = np.zeros((5, 5, 5), np.uint8)
    labels[2, 2, 2] = 1
    labels[0, 2, 2], labels[4, 2, 2], labels[2, 0, 2], labels[2, 4, 2], labels[2, 2, 0], labels[2, 2, 4] = range(2, 8)
    assert border_ids(labels) == set(range(2, 8))


@given(st.integers(0, 999), shapes, st.sampled_from("CF"))
def test_statistics_equal_the_plain_computation(seed: int, shape: tuple[int, int, int], order: str) -> None:
    labels, hu = volumes(seed, shape, order)
    affine = np.array([[0, -2.0, 0, 5], [1.5, 0, 0.1, -7], [0, 0, 3.0, 100], [0, 0, 0, 1]])
    grid = Grid(labels.shape, affine)
    names = {1: "a", 2: "b", 300: "c", 7: "absent"}
    rows = measure(labels, grid, names, hu)
    for one, row in zip(statistics(labels, grid, names, hu), rows, strict=True):
        assert (one.id, one.name, one.voxels) == (row.id, row.name, row.voxels)
        assert one.volume_ml == pytest.approx(row.volume_ml)
        assert one.touches_border == row.touches_border
        where = np.argwhere(labels == one.id)
        if not len(where):
            assert (one.centroid_mm, one.first_voxel, one.hu_mean, one.hu_max) == (None, None, None, None)
            continue
        values = hu[labels == one.id]
        assert one.centroid_mm == pytest.approx(grid.to_world(where).mean(axis=0))
        assert (one.first_voxel, one.last_voxel) == (tuple(where.min(axis=0)), tuple(where.max(axis=0)))
        assert (one.hu_mean, one.hu_sd) == pytest.approx((values.mean(), values.std()))
        assert (one.hu_min, one.hu_median, one.hu_max) == (values.min(), np.median(values), values.max())
        assert (one.hu_p05, one.hu_p95) == pytest.approx(np.percentile(values, [5, 95]))
    assert statistics(labels, grid, names)[0].hu_mean is None


def test_the_border_is_that_of_what_was_looked_at() -> None:
    """On all six faces of the box, and not one voxel further in."""
    box, grid = Box((2, 3, 4), (8, 9, 10)), Grid((12, 12, 12), np.eye(4))
    for axis in range(3):
        for place, cut in ((box.start[axis], True), (box.stop[axis] - 1, True), (box.start[axis] + 1, False)):
            labels = np.zeros(grid.shape, np.uint8)
            voxel = [5, 5, 5]
            voxel[axis] = place
            labels[tuple(voxel)] = 1
            assert measure(labels, grid, {1: "x"}, looked_at=box)[0].touches_border == cut
            assert statistics(labels, grid, {1: "x"}, looked_at=box)[0].touches_border == cut
            assert not measure(labels, grid, {1: "x"})[0].touches_border
