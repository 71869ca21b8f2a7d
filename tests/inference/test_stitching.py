from dataclasses import replace

import numpy as np
import pytest
import torch
from monai.inferers import sliding_window_inference

from openvista.geometry.box import Box
from openvista.geometry.grid import Grid
from openvista.inference.profiles import BEST
from openvista.inference.progress import Progress
from openvista.inference.stitching import Slab, Storage, stitch
from openvista.inference.windows import Windowed, pad, plan_windows
from openvista.prepare import Prepared

CPU = torch.device("cpu")
WINDOW = (8, 12, 10)


def encode(windows_XYZ):
    return map(three_channels, windows_XYZ)


def three_channels(window_XYZ):
    """A stand-in for a network: what it gives depends on the whole window, so that overlaps matter."""
    return torch.stack([window_XYZ, window_XYZ - window_XYZ.mean(), window_XYZ.cumsum(1)], -1)


def windowed(image, plan, weighting="gaussian", padding="constant"):
    grid = Grid(tuple(image.shape), np.eye(4))
    profile = BEST.override(weighting=weighting, padding=padding)
    return Windowed(Prepared(image, grid, grid), profile, Box.whole(grid.shape), plan, pad(image, plan, padding))


def stitched(image, plan, weighting="gaussian", dtype=torch.float32, padding="constant"):
    slabs = list(stitch(windowed(image, plan, weighting, padding), encode, 3, Storage(CPU, dtype)))
    axis = plan.streaming_axis
    firsts = [slab.first for slab in slabs]
    lengths = [slab.values_XYZC.shape[axis] for slab in slabs]
    assert firsts == [sum(lengths[:index]) for index in range(len(slabs))], "slabs must follow each other"
    return torch.cat([slab.values_XYZC for slab in slabs], axis)


@pytest.mark.parametrize("shape", [(40, 20, 17), (20, 41, 17), (15, 20, 33), (5, 9, 4), (40, 3, 10), (1, 1, 1)])
@pytest.mark.parametrize(("overlap", "weighting"), [(0.5, "gaussian"), (0.3, "constant"), (0.625, "gaussian")])
@pytest.mark.parametrize("padding", ["constant", "replicate"])
def test_slabs_together_are_monais_stitched_volume(shape, overlap, weighting, padding):
    image = torch.rand(shape, generator=torch.Generator().manual_seed(1))
    theirs = sliding_window_inference(
        image[None, None],
        WINDOW,
        1,
        lambda window: three_channels(window[0, 0]).permute(3, 0, 1, 2)[None],
        overlap=overlap,
        mode=weighting,
        padding_mode=padding,
    )
    ours = stitched(image, plan_windows(shape, WINDOW, overlap), weighting, padding=padding)
    torch.testing.assert_close(ours.permute(3, 0, 1, 2)[None], theirs, rtol=1e-5, atol=1e-5)


def test_half_storage_is_near_float32_even_where_weights_are_tiny():
    image = torch.rand((40, 20, 17), generator=torch.Generator().manual_seed(0))
    plan = plan_windows((40, 20, 17), WINDOW, 0.3)
    exact = stitched(image, plan)
    error = (stitched(image, plan, dtype=torch.float16).float() - exact).abs()
    assert error.max() < 8 * 2**-11 * exact.abs().max()  # up to eight windows meet, and each addition is rounded once


def test_a_slab_is_finished_before_windows_that_do_not_touch_it_are_encoded():
    image, encoded = torch.rand(80, 12, 10), []
    plan = plan_windows((80, 12, 10), WINDOW, 0.5)
    storage = Storage(CPU, torch.float32)
    for slab in stitch(windowed(image, plan), encode, 3, storage, encoded.append):
        needed = [start for start in plan.starts if start[0] <= slab.first]
        assert len(encoded) == len(needed)
    assert encoded == [Progress("encode", n, 19) for n in range(1, 20)]


def test_order_of_windows_does_not_matter():
    image = torch.rand(40, 20, 17)
    plan = plan_windows((40, 20, 17), WINDOW, 0.5)
    shuffled = replace(plan, starts=tuple(reversed(plan.starts)))
    torch.testing.assert_close(stitched(image, plan), stitched(image, shuffled), rtol=1e-6, atol=1e-6)


def test_where_no_window_lies_there_is_zero_and_elsewhere_nothing_changes():
    image = torch.rand(40, 12, 10)
    plan = plan_windows((40, 12, 10), WINDOW, 0.0)
    all_windows, fewer = stitched(image, plan), stitched(image, replace(plan, starts=plan.starts[1:3]))
    assert fewer[:8].abs().max() == 0
    assert fewer[24:].abs().max() == 0
    assert torch.equal(fewer[8:24], all_windows[8:24])


def test_no_window_at_all_gives_zeros():
    plan = replace(plan_windows((20, 12, 10), WINDOW, 0.5), starts=())
    assert stitched(torch.rand(20, 12, 10), plan).shape == (20, 12, 10, 3)


def test_parts_of_a_slab_are_the_slab():
    values = torch.rand(3, 7, 4, 2)
    parts = list(Slab(5, values).parts(1, 3))
    assert [part.first for part in parts] == [5, 8, 11]
    assert all(part.values_XYZC.is_contiguous() for part in parts)
    assert torch.equal(torch.cat([part.values_XYZC for part in parts], 1), values)
    assert [part.values_XYZC is values for part in Slab(5, values).parts(1, 7)] == [True]
