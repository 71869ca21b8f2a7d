import pytest
import torch

from openvista.inference.device import Compute, cpu_has_bfloat16
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
    if cpu_has_bfloat16():  # or another kernel does the work
        assert features.stride(-1) == 1  # channels lie innermost
    assert (features.float() - reference).norm() / reference.norm() < 0.03  # performance facts §B: 0.026 at 128³


def test_no_gradients_are_kept(window):
    assert not WindowNetwork(build(TINY, seed=3), FLOAT32).features(window).requires_grad


def several_windows(count):
    generator = torch.Generator().manual_seed(6)
    return [torch.rand((16, 16, 16), generator=generator) for _ in range(count)]


@pytest.mark.parametrize("compute", [FLOAT32, BFLOAT16], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("batch", [1, 2, 3, 9])
def test_batches_change_nothing(compute, batch):
    network, windows = WindowNetwork(build(TINY, seed=3), compute), several_windows(7)
    alone = [network.features(window).float() for window in windows]
    embeddings = network.embeddings([5, 9])
    network.batch = batch
    tolerance = {"rtol": 1e-4, "atol": 1e-4} if compute is FLOAT32 else {"rtol": 0.05, "atol": 0.05}
    for found, expected in zip(network.stream(windows), alone, strict=True):
        torch.testing.assert_close(found.float(), expected, **tolerance)
    for found, expected in zip(network.stream_logits(embeddings, windows), alone, strict=True):
        torch.testing.assert_close(found, expected @ embeddings.T, **tolerance)


def test_no_window_is_taken_before_its_batch():
    network, taken = WindowNetwork(build(TINY, seed=3), FLOAT32), []
    network.batch = 3
    windows = (taken.append(None) or window for window in several_windows(7))
    assert [len(taken) for _ in network.stream(windows)] == [3, 3, 3, 6, 6, 6, 7]


class SmallGpu:
    """The network as it would be in a GPU with room for so many windows."""

    def __init__(self, network, most):
        self.automatic_features, self.most, self.asked = network.automatic_features, most, []
        network.automatic_features = self

    def __call__(self, image_N1XYZ):
        self.asked.append(len(image_N1XYZ))
        if len(image_N1XYZ) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return self.automatic_features(image_N1XYZ)


def test_a_batch_that_does_not_fit_is_halved_for_good():
    network, windows = WindowNetwork(build(TINY, seed=3), FLOAT32), several_windows(16)
    alone = [network.features(window) for window in windows]
    network.batch, gpu = 8, SmallGpu(network.network, 2)
    for found, expected in zip(network.stream(windows), alone, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    assert gpu.asked == [8, 4, 2, 2, 4, 2, 2, 2, 2, 2, 2]
    assert network.batch == 2


def test_a_gpu_too_small_for_one_window_says_so():
    network = WindowNetwork(build(TINY, seed=3), FLOAT32)
    network.batch, _ = 4, SmallGpu(network.network, 0)
    with pytest.raises(torch.OutOfMemoryError):
        list(network.stream(several_windows(4)))
