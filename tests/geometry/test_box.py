import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from openvista.geometry.box import Box, Crop
from openvista.geometry.grid import Grid
from openvista.geometry.resample import resample_crop, resample_linear, resample_nearest
from openvista.prepare import model_grid


def scan_grid(seed: int) -> Grid:
    random = np.random.default_rng(seed)
    affine = np.eye(4)
    affine[:3, :3] = (np.eye(3)[random.permutation(3)] * random.choice([-1, 1], 3)) * random.uniform(0.7, 3.1, 3)
    affine[:3, 3] = random.uniform(-50, 50, 3)
    return Grid(tuple(int(n) for n in random.integers(1, 14, 3)), affine)


@settings(max_examples=60)
@given(st.integers(0, 10_000), st.booleans(), st.booleans())
def test_a_part_comes_out_as_it_would_from_the_whole_volume(seed, exact, there):
    random = np.random.default_rng(seed + 1)
    grid = scan_grid(seed)
    other = model_grid(grid, tuple(random.uniform(1, 3, 3).tolist()))
    source, target = (other, grid) if there else (grid, other)
    low = [int(random.integers(0, n)) for n in source.shape]
    high = [int(random.integers(a + 1, n + 1)) for a, n in zip(low, source.shape, strict=True)]
    values = random.normal(size=[b - a for a, b in zip(low, high, strict=True)]).astype(np.float32)
    part = Crop(tuple(low), values)
    whole = torch.from_numpy(part.on(Box.whole(source.shape), -1.0))
    resample = resample_nearest if exact else resample_linear
    expected = resample(whole, source, target).numpy()
    ours = resample_crop(part, source, target, -1.0, "exact" if exact else "smooth")
    np.testing.assert_allclose(ours.on(Box.whole(target.shape), -1.0), expected, atol=1e-4)


def test_an_empty_part_stays_empty():
    grid = scan_grid(3)
    empty = Crop((0, 0, 0), np.zeros((0, 0, 0), np.float32))
    assert resample_crop(empty, grid, model_grid(grid, (2, 2, 2)), -1.0).values_XYZ.size == 0


def test_boxes():
    part = Crop((1, 2, 3), np.ones((2, 2, 2)))
    assert part.box.stop == (3, 4, 5)
    assert part.at((2, 3, 4), 7) == 1
    assert part.at((3, 3, 4), 7) == 7
    assert part.on(Box((0, 0, 0), (2, 3, 4)), 0).sum() == 1
    assert part.on(Box((5, 5, 5), (6, 6, 6)), 9).tolist() == [[[9]]]
    assert Box((0, 0, 0), (2, 2, 2)).intersect(Box((2, 0, 0), (3, 2, 2))) is None
    assert Box.hull([Box((0, 0, 0), (0, 0, 0)), part.box]) == part.box
    assert Box.hull([]) == ((0, 0, 0), (0, 0, 0))


@pytest.mark.parametrize("margin", [0, 2])
def test_the_box_around_a_mask(margin):
    mask = np.zeros((6, 6, 6), bool)
    assert Box.around(mask) is None
    mask[1, 4, 3] = mask[2, 4, 3] = True
    expected = {0: ((1, 4, 3), (3, 5, 4)), 2: ((0, 2, 1), (5, 6, 6))}
    assert Box.around(mask, margin) == expected[margin]


def test_what_is_cropped_holds_on_to_nothing_else():
    part = Crop((5, 6, 7), np.arange(6 * 7 * 8).reshape(6, 7, 8))
    needed = np.zeros((6, 7, 8), bool)
    assert part.cropped(needed).values_XYZ.shape == (0, 0, 0)
    assert part.cropped(needed).values_XYZ.base is None
    needed[2, 3, 4] = needed[3, 3, 7] = True
    kept = part.cropped(needed, margin=1)
    assert kept.box == ((6, 8, 10), (10, 11, 15))
    assert kept.values_XYZ.base is None
    assert np.array_equal(kept.values_XYZ, part.values_XYZ[1:5, 2:5, 3:8])
