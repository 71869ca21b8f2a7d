"""Windows are encoded once, asked when their clicks change, and averaged."""

import numpy as np
import pytest
import torch

from openvista.inference.device import Compute
from openvista.inference.window_network import WindowNetwork
from openvista.inference.windows import importance_map
from openvista.network import ClickLabel, Vista3D, build
from openvista.session.click_engine import ClickEngine, GridClick, PointNetwork
from openvista.session.lattice import Lattice
from openvista.session.state import ClickWindow
from small_sessions import TWO_BRANCHES, BrightRegions

VOLUME = (30, 22, 16)
CPU = torch.device("cpu")
HALF = Compute(CPU, torch.float32, torch.float16)
CLICKS = [GridClick((10.0, 11.0, 8.0), True), GridClick((12.3, 9.0, 7.0), False), GridClick((25.0, 9, 9), True)]
WINDOWS = [ClickWindow((2, 3, 0)), ClickWindow((10, 0, 0)), ClickWindow((14, 6, 0), ((20.0, 15.0, 8.0),))]


@pytest.fixture(scope="module")
def network() -> Vista3D:
    return build(TWO_BRANCHES, seed=4).eval()


def engine(network: Vista3D, weighting: str = "gaussian", compute: Compute = HALF, **bounds: int) -> ClickEngine:
    image = torch.rand(VOLUME, generator=torch.Generator().manual_seed(5))
    point = PointNetwork(WindowNetwork(network, compute))
    kept = np.dtype(np.float32 if compute.storage_dtype == torch.float32 else np.float16)
    return ClickEngine(point, image, Lattice(VOLUME, (16, 16, 16)), "replicate", weighting, kept, **bounds)


def test_a_window_answers_as_the_network_itself(network):
    exact = engine(network, compute=Compute(CPU, torch.float32, torch.float32))
    crop = exact.answer(WINDOWS[1], CLICKS, special=True, zero_shot=True)
    with torch.no_grad():
        features = network.point_features(exact.image_XYZ[None, None, 10:26, 0:16, 0:16])
        places = torch.tensor([[[0, 11, 8], [2.3, 9, 7], [15, 9, 9]]])
        labels = torch.tensor([[3, 2, 3]])
        expected = network.point_logits(features, places, labels, torch.tensor([True]))[0, 0]
    assert crop.start == (10, 0, 0)
    np.testing.assert_allclose(crop.values_XYZ, expected.numpy(), rtol=1e-5, atol=1e-6)


def test_a_window_sees_the_clicks_in_it_and_those_of_growing(network):
    own = engine(network)
    seen = own.clicks_in(WINDOWS[2], CLICKS, special=False)
    assert [click.place for click in seen] == [(11.0, 3.0, 9.0), (6.0, 9.0, 8.0)]
    assert [click.label for click in seen] == [ClickLabel.POSITIVE, ClickLabel.POSITIVE]
    special = own.clicks_in(WINDOWS[0], CLICKS, special=True)
    assert [click.label for click in special] == [ClickLabel.SPECIAL_POSITIVE, ClickLabel.SPECIAL_NEGATIVE]


@pytest.mark.parametrize("weighting", ["gaussian", "constant"])
def test_overlapping_windows_are_averaged(network, weighting):
    own = engine(network, weighting)
    mean = own.mean(WINDOWS, CLICKS, False, False)
    importance = importance_map((16, 16, 16), weighting).numpy()
    total, weight = np.zeros(VOLUME), np.zeros(VOLUME)
    for window in WINDOWS:
        box = tuple(slice(a, a + 16) for a in window.start)
        total[box] += importance * own.answer(window, CLICKS, False, False).values_XYZ
        weight[box] += importance
    assert mean.start == (2, 0, 0)
    inside = tuple(slice(a, a + n) for a, n in zip(mean.start, mean.visited_XYZ.shape, strict=True))
    assert np.array_equal(mean.visited_XYZ, weight[inside] > 0)
    np.testing.assert_allclose(
        mean.logits_XYZ[mean.visited_XYZ], (total / np.maximum(weight, 1e-9))[inside][mean.visited_XYZ], rtol=1e-4
    )


def test_a_cached_answer_equals_an_uncached_one(network):
    generous, forgetful = engine(network), engine(network, feature_bytes=1, answer_bytes=1)
    for engine_ in (generous, forgetful):
        engine_.mean(WINDOWS, CLICKS[:1], False, False)
    again = generous.mean(WINDOWS, CLICKS, False, False)
    fresh = forgetful.mean(WINDOWS, CLICKS, False, False)
    assert np.array_equal(again.logits_XYZ, fresh.logits_XYZ)
    assert generous.features.made == 3
    assert forgetful.features.made == 6


def test_features_are_kept_in_half_precision_at_half_the_resolution(network):
    own = engine(network)
    own.answer(WINDOWS[0], CLICKS, False, False)
    assert own.features.nbytes == 8**3 * TWO_BRANCHES.filters * 2


def test_a_click_asks_only_the_windows_that_hold_it():
    bright = BrightRegions()
    own = ClickEngine(
        bright, torch.rand(VOLUME), Lattice(VOLUME, (16, 16, 16)), "replicate", "gaussian", np.dtype(np.float16)
    )
    windows = [ClickWindow((0, 0, 0)), ClickWindow((14, 0, 0))]
    first = [GridClick((5.0, 5.0, 5.0), True), GridClick((25.0, 5.0, 5.0), True)]
    own.mean(windows, first, False, False)
    assert (bright.encoded, len(bright.asked)) == (2, 2)
    own.mean(windows, [*first, GridClick((28.0, 5.0, 5.0), False)], False, False)
    assert (bright.encoded, len(bright.asked)) == (2, 3)
    assert [click.place for click in bright.asked[-1]] == [(11.0, 5.0, 5.0), (14.0, 5.0, 5.0)]


def test_bfloat16_comes_close(network):
    fast = engine(build(TWO_BRANCHES, seed=4), compute=Compute(CPU, torch.bfloat16, torch.float16))
    exact = engine(network)
    ours, reference = (e.answer(WINDOWS[0], CLICKS, False, False).values_XYZ.astype(np.float32) for e in (fast, exact))
    assert np.linalg.norm(ours - reference) / np.linalg.norm(reference) < 0.05
