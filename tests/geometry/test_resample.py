import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from openvista.geometry import resample
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
def test_a_crop_comes_out_as_it_would_from_the_whole_volume(seed, exact, there):
    random = np.random.default_rng(seed + 1)
    grid = scan_grid(seed)
    other = model_grid(grid, tuple(random.uniform(1, 3, 3).tolist()))
    source, target = (other, grid) if there else (grid, other)
    low = [int(random.integers(0, n)) for n in source.shape]
    high = [int(random.integers(a + 1, n + 1)) for a, n in zip(low, source.shape, strict=True)]
    values = random.normal(size=[b - a for a, b in zip(low, high, strict=True)]).astype(np.float32)
    crop = Crop(tuple(low), values)
    whole = torch.from_numpy(crop.on(Box.whole(source.shape), -1.0))
    resampled = resample_nearest if exact else resample_linear
    expected = resampled(whole, source, target).numpy()
    ours = resample_crop(crop, source, target, -1.0, "exact" if exact else "smooth")
    np.testing.assert_allclose(ours.on(Box.whole(target.shape), -1.0), expected, atol=1e-4)


@pytest.mark.parametrize("seed", range(20))
def test_slabs_fit_together(seed, monkeypatch):
    random = np.random.default_rng(seed)
    source = scan_grid(seed)
    target = model_grid(source, tuple(random.uniform(0.5, 3, 3).tolist()))
    volume = torch.from_numpy(random.normal(size=source.shape).astype(np.float32))
    whole = resample_linear(volume, source, target)
    monkeypatch.setattr(resample, "_AT_ONCE", 1)
    for layout in (np.ascontiguousarray, np.asfortranarray):
        assert torch.equal(resample_linear(torch.from_numpy(layout(volume.numpy())), source, target), whole)


def test_an_empty_crop_stays_empty():
    grid = scan_grid(3)
    empty = Crop((0, 0, 0), np.zeros((0, 0, 0), np.float32))
    assert resample_crop(empty, grid, model_grid(grid, (2, 2, 2)), -1.0).values_XYZ.size == 0
