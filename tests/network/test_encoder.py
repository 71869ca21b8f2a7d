"""The encoder: a pyramid that doubles its channels as it halves its sides, from a stem in full precision."""

import pytest
import torch

from openvista.network.encoder import Encoder
from openvista.weights.naming import official_to_ours

OFFICIAL = "image_encoder.encoder."


def encoder(blocks=(1, 2, 1)):
    torch.manual_seed(0)
    return Encoder(4, blocks).eval()


def image(count=1):
    return torch.rand(count, 1, 16, 8, 12, generator=torch.Generator().manual_seed(1))


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.no_grad():
        yield


@pytest.mark.parametrize("blocks", [(1,), (1, 2), (2, 1, 1)])
def test_each_level_has_twice_the_channels_on_half_the_sides(blocks):
    pyramid = encoder(blocks)(image(count=2))
    assert [tuple(features.shape) for features in pyramid] == [
        (2, 4 * 2**level, 16 >> level, 8 >> level, 12 >> level) for level in range(len(blocks))
    ]


@pytest.mark.parametrize(("blocks", "count"), [((1, 2), 1), ((2, 1, 1), 2)])
def test_any_depth_is_segresnets(blocks, count):
    """The parity test of the whole network knows one depth and one image."""
    segresnet = pytest.importorskip("monai.networks.nets.segresnet_ds")
    torch.manual_seed(2)
    theirs = segresnet.SegResEncoder(init_filters=4, in_channels=1, norm="instance", blocks_down=blocks).eval()
    ours = encoder(blocks)
    names = {name: official_to_ours(OFFICIAL + name) for name in theirs.state_dict()}
    weights = {names[name].removeprefix("encoder."): tensor for name, tensor in theirs.state_dict().items()}
    ours.load_state_dict(weights, strict=True)
    x = image(count)
    for one, other in zip(ours(x), theirs(x), strict=True):
        assert torch.allclose(one, other, rtol=1e-4, atol=1e-4)


def test_images_of_a_batch_do_not_see_each_other():
    network, x = encoder(), image(count=3)
    for together, alone in zip(network(x), network(x[1:2]), strict=True):
        assert torch.allclose(together[1:2], alone, atol=1e-4)


def test_in_half_precision_the_stem_still_tells_one_hu_from_the_next():
    network = encoder((1,)).bfloat16()
    network.stem.float()
    network.stem.weight -= network.stem.weight.mean(dim=(2, 3, 4), keepdim=True)  # sees differences only
    network.levels[0].blocks[0].conv2.weight.zero_()  # the level passes on what the stem says
    x = torch.rand(1, 1, 8, 8, 8, generator=torch.Generator().manual_seed(3)) * 1e-4 + 0.6
    assert len(x.bfloat16().unique()) == 1
    inside = (..., slice(1, -1), slice(1, -1), slice(1, -1))
    (features,) = network(x)
    with torch.autocast("cpu", torch.bfloat16):
        (by_autocast,) = network.float()(x)
    for half in (features, by_autocast):
        assert half.dtype == torch.bfloat16
        assert torch.allclose(half[inside].float(), network.stem(x)[inside], rtol=0.01, atol=1e-7)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last_3d])
def test_features_lie_in_memory_as_the_weights_do(layout):
    network = encoder().to(memory_format=layout)
    plain = encoder()(image())
    given = []
    network.levels[0].register_forward_pre_hook(lambda _, inputs: given.append(*inputs))
    pyramid = network(image())
    assert given[0].is_contiguous(memory_format=layout), "what the first level gets"
    for ours, expected in zip(pyramid, plain, strict=True):
        assert ours.is_contiguous(memory_format=layout)
        assert torch.allclose(ours, expected, atol=1e-4)
