import pytest
import torch

from openvista.inference.device import Compute
from openvista.inference.window_network import WindowNetwork
from openvista.network import build
from small_inference import FLOAT32, TINY

BFLOAT16 = Compute(torch.device("cpu"), torch.bfloat16, torch.float16)


@pytest.fixture
def window() -> torch.Tensor:
    return torch.rand((16, 16, 16), generator=torch.Generator().manual_seed(5))


def test_float32_is_the_network_itself_to_rounding(window):
    network = build(TINY, seed=3).eval()
    with torch.no_grad():
        expected = network.automatic_features(window[None, None])[0].permute(1, 2, 3, 0)
        logits = network.class_logits(window[None, None], torch.tensor([5, 9]))[0].permute(1, 2, 3, 0)
    ready = WindowNetwork(network, FLOAT32)
    assert ready.features(window).stride(-1) == 1  # channels lie innermost
    torch.testing.assert_close(ready.features(window), expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(ready.logits(ready.embeddings([5, 9]), window), logits, rtol=1e-4, atol=1e-4)


def test_bfloat16_keeps_stem_and_embeddings_in_float32_and_comes_close(window):
    exact, fast = WindowNetwork(build(TINY, seed=3), FLOAT32), WindowNetwork(build(TINY, seed=3), BFLOAT16)
    assert fast.network.encoder.stem.weight.dtype == torch.float32
    assert torch.equal(fast.embeddings([5, 9]), exact.embeddings([5, 9]))
    reference, features = exact.features(window), fast.features(window)
    assert features.dtype == torch.bfloat16
    assert features.stride(-1) == 1  # channels lie innermost
    assert (features.float() - reference).norm() / reference.norm() < 0.03  # performance facts §B: 0.026 at 128³


def test_no_gradients_are_kept(window):
    assert not WindowNetwork(build(TINY, seed=3), FLOAT32).features(window).requires_grad
