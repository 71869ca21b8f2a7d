"""Prepare: the same patient gives the same input in any voxel order, and equals MONAI's transforms."""

import itertools
import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from monai.data import MetaTensor
from monai.transforms import Orientation, Spacing
from numpy.typing import NDArray

from openvista.errors import GridError
from openvista.evaluate.meter import Meter
from openvista.geometry.grid import Grid
from openvista.geometry.resample import axis_map, bytes_to_resample, resample_linear, resample_nearest
from openvista.prepare import model_grid, prepare, scale_hu
from openvista.scan import Scan

ORIENTATIONS = list(itertools.product(itertools.permutations(range(3)), itertools.product((1, -1), repeat=3)))
WINDOW = (-963.8247715525971, 1053.678477684517)


def reordered(
    volume: NDArray[np.generic], affine: NDArray[np.float64], order: tuple[int, ...], signs: tuple[int, ...]
) -> tuple[NDArray[np.generic], NDArray[np.float64]]:
    """The same voxels in the same places, with array axes permuted and flipped."""
    moved = volume.transpose(order)[tuple(slice(None, None, sign) for sign in signs)]
    step = np.zeros((4, 4))
    step[3, 3] = 1
    for axis, (source, sign) in enumerate(zip(order, signs, strict=True)):
        step[source, axis] = sign
        step[source, 3] = 0 if sign > 0 else volume.shape[source] - 1
    return moved, affine @ step


def random_volume(shape: tuple[int, int, int], seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).uniform(-1000, 1000, shape).astype(np.float32)


@pytest.mark.parametrize(("order", "signs"), ORIENTATIONS)
def test_any_voxel_order_gives_the_same_input(order: tuple[int, ...], signs: tuple[int, ...]) -> None:
    volume = random_volume((7, 9, 11))
    affine = np.diag([1.1, 2.0, 0.8, 1.0])
    affine[:3, 3] = (-20, 30, 5)
    expected = prepare(Scan(volume, Grid(volume.shape, affine)), (1.5, 1.5, 1.5), WINDOW)
    moved, moved_affine = reordered(volume, affine, order, signs)
    result = prepare(Scan(moved, Grid(moved.shape, moved_affine)), (1.5, 1.5, 1.5), WINDOW)
    assert result.grid == expected.grid
    torch.testing.assert_close(result.image_XYZ, expected.image_XYZ, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("order", "signs"), ORIENTATIONS)
def test_equals_monai_orientation_and_spacing(order: tuple[int, ...], signs: tuple[int, ...]) -> None:
    affine = np.diag([1.2, 1.9, 3.1, 1.0])
    affine[:3, 3] = (12, -40, 100)
    volume, affine = reordered(random_volume((8, 10, 6), 1), affine, order, signs)
    image = MetaTensor(torch.as_tensor(volume.copy())[None], affine=torch.as_tensor(affine))
    oriented = Orientation(axcodes="RAS", labels=None)(image)
    grid = Grid(volume.shape, affine)
    for mode, resample in (("bilinear", resample_linear), ("nearest", resample_nearest)):
        theirs = Spacing(pixdim=(1.5, 1.5, 1.5), mode=mode, padding_mode="border")(oriented)
        target = model_grid(grid, (1.5, 1.5, 1.5))
        assert tuple(theirs.shape[1:]) == target.shape
        np.testing.assert_allclose(np.asarray(theirs.affine), target.affine, atol=1e-5)
        ours = resample(torch.as_tensor(volume.copy()), grid, target)
        torch.testing.assert_close(ours, theirs.as_tensor()[0].to(ours.dtype), atol=2e-2, rtol=0)  # of 2000 HU


@given(
    st.sampled_from(ORIENTATIONS),
    st.tuples(*[st.integers(1, 6)] * 3),
    st.tuples(*[st.floats(0.4, 5.0)] * 3),
    st.integers(0, 99),
)
def test_nearest_to_ras_and_back_is_exact(
    orientation: tuple[tuple[int, ...], tuple[int, ...]],
    shape: tuple[int, int, int],
    spacing: tuple[float, float, float],
    seed: int,
) -> None:
    labels = np.random.default_rng(seed).integers(0, 200, shape).astype(np.uint8)
    moved, affine = reordered(labels, np.diag([*spacing, 1.0]), *orientation)
    source = Grid(moved.shape, affine)
    target = source.in_ras_order()
    there = resample_nearest(torch.as_tensor(moved.copy()), source, target)
    np.testing.assert_array_equal(there.numpy(), labels)  # the grid it was made from is RAS already
    back = resample_nearest(there, target, source)
    np.testing.assert_array_equal(back.numpy(), moved)


def test_linear_keeps_a_ramp_along_an_oblique_grid() -> None:
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(0.4), -np.sin(0.4)], [np.sin(0.4), np.cos(0.4)]]
    source = Grid((9, 8, 7), turn @ np.diag([-2.0, 1.0, 3.0, 1.0]))
    target = model_grid(source, (1.0, 1.0, 1.0))
    index = np.stack(np.meshgrid(*map(np.arange, source.shape), indexing="ij"), axis=-1).reshape(-1, 3)
    ramp = source.to_world(index).sum(axis=1).reshape(source.shape)
    result = resample_linear(torch.as_tensor(ramp), source, target)
    own = np.stack(np.meshgrid(*map(np.arange, target.shape), indexing="ij"), axis=-1).reshape(-1, 3)
    expected = target.to_world(own).sum(axis=1).reshape(target.shape)
    inside = np.all((source.to_voxel(target.to_world(own)) <= np.array(source.shape) - 1 + 1e-9), axis=1)
    np.testing.assert_allclose(result.numpy().ravel()[inside], expected.ravel()[inside], atol=1e-4)
    assert inside.sum() > 500


def test_outside_repeats_the_border() -> None:
    source = Grid((2, 1, 1), np.eye(4))
    target = Grid((6, 1, 1), np.array([[1.0, 0, 0, -2], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]))
    volume = torch.tensor([10.0, 20.0]).view(2, 1, 1)
    for resample in (resample_linear, resample_nearest):
        assert resample(volume, source, target).flatten().tolist() == [10, 10, 10, 20, 20, 20]


def test_axes_that_are_not_parallel_are_refused() -> None:
    turn = np.eye(4)
    turn[:3, :3] = [[0.6, 0.8, 0.0], [0.59, 0.0, 0.81], [0.54, -0.6, -0.59]]
    with pytest.raises(ValueError, match="not parallel"):
        axis_map(Grid((3, 3, 3), np.eye(4)), Grid((3, 3, 3), turn))


def test_scale_hu_clips_to_the_window() -> None:
    volume = torch.tensor([-3000.0, -100.0, 0.0, 100.0, 3000.0])
    assert scale_hu(volume, (-100, 100)).tolist() == [0, 0, 0.5, 1, 1]


def test_prepare_keeps_spacing_when_asked_and_the_way_back() -> None:
    scan = Scan(np.zeros((4, 5, 6), np.int16), Grid((4, 5, 6), np.diag([-1.0, 2, 3, 1])))
    prepared = prepare(scan, None, (-1000, 1000))
    assert prepared.grid == scan.grid.in_ras_order()
    assert prepared.scan_grid is scan.grid
    assert prepared.image_XYZ.dtype == torch.float32
    assert prepared.image_XYZ.unique().tolist() == [0.5]


@pytest.mark.parametrize(
    ("shape", "spacing", "words"),
    [
        ((100, 100, 100), 1000.0, "no scanner more than 3000"),
        ((10, 10, 10), 1e100, "no scanner more than 3000"),
        ((100, 100, 100), 29.0, "more than 2147483648"),
        ((64, 64, 64), 29.9, "GB are free"),
    ],
)
def test_a_wrong_voxel_size_is_said_before_memory_is_asked_for(monkeypatch, shape, spacing, words) -> None:
    """Each of these would be tens or hundreds of GB at 1.5 mm; the files themselves have one or two MB."""
    monkeypatch.setattr("openvista.prepare.free_memory", lambda device: 2 << 30)
    scan = Scan(np.zeros(shape, np.int16), Grid(shape, np.diag([spacing, spacing, spacing, 1.0])), name="wrong")
    tracemalloc.start()
    with pytest.raises(GridError, match=words) as caught:
        prepare(scan, (1.5, 1.5, 1.5), WINDOW)
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()
    assert "wrong" in str(caught.value)
    assert "\n" not in str(caught.value)


@given(st.tuples(*[st.integers(2, 30)] * 3), st.tuples(*[st.floats(0.3, 6.0)] * 3))
@example((30, 30, 30), (4.0, 4.0, 0.3))
def test_memory_is_reckoned_for_the_largest_step(shape, spacing) -> None:
    """Growing along two axes before shrinking along the third needs more than either end."""
    source = Grid(shape, np.diag([*spacing, 1.0]))
    target = model_grid(source, (1.5, 1.5, 1.5))
    sizes = [target.shape[:axis] + source.shape[axis:] for axis in range(4)]
    assert bytes_to_resample(source, target) >= 4 * 3 * max(np.prod(size) for size in sizes[1:])
    assert bytes_to_resample(source, target) <= 4 * 5 * max(np.prod(size) for size in sizes)


@pytest.mark.parametrize("layout", ["C", "F"])
def test_resampling_takes_little_more_memory_than_its_result(layout) -> None:
    shape = (256, 240, 160)
    source = Grid(shape, np.diag([-0.7, -0.7, 0.9, 1.0]))
    target = model_grid(source, (1.5, 1.5, 1.5))
    volume = torch.from_numpy(np.zeros(shape, np.int16, order=layout))
    resample_linear(volume, source, target)  # what is loaded once
    taken = []
    for _ in range(3):  # the least: now and then the allocator takes a little more
        meter = Meter(torch.device("cpu"))
        with meter.on():
            pass
        before = meter.peak_mb
        with meter.on():
            resample_linear(volume, source, target)
        taken.append(meter.peak_mb - before)
    assert min(taken) <= bytes_to_resample(source, target) / 1e6 + 2
    assert bytes_to_resample(source, target) < np.prod(shape) * 4 * 1.3  # of which all at once take 1.9


def test_a_large_scan_takes_a_slab_more_than_its_result() -> None:
    source = Grid((1024, 1024, 768), np.diag([0.5, 0.5, 0.8, 1.0]))
    target = model_grid(source, (1.5, 1.5, 1.5))
    assert bytes_to_resample(source, target) - 4 * np.prod(target.shape) < 64e6


def test_preparing_can_be_stopped_between_its_steps() -> None:
    class Stopped(Exception):
        pass

    told = []

    def stop() -> None:
        told.append(len(told))
        if len(told) == 2:
            raise Stopped

    scan = Scan(np.zeros((4, 5, 6), np.int16), Grid((4, 5, 6), np.eye(4)))
    with pytest.raises(Stopped):
        prepare(scan, (2.0, 2.0, 2.0), WINDOW, between=stop)
    assert told == [0, 1]
