"""The decoder: up the pyramid again, adding what the encoder saw at each resolution."""

import pytest
import torch

from openvista.network.decoder import Decoder, DecoderLevel
from openvista.weights.naming import official_to_ours

FILTERS = 4


def decoder(levels=3):
    torch.manual_seed(0)
    return Decoder(FILTERS, levels).eval()


def pyramid(levels=3, count=1):
    random = torch.Generator().manual_seed(1)
    return [
        torch.randn(count, FILTERS * 2**level, 16 >> level, 8 >> level, 12 >> level, generator=random)
        for level in range(levels)
    ]


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.no_grad():
        yield


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_features_are_as_fine_as_the_finest_level_and_the_pyramid_stays_whole(levels):
    given = pyramid(levels, count=2)
    before = [features.clone() for features in given]
    assert decoder(levels)(given).shape == (2, FILTERS, 16, 8, 12)
    assert all(map(torch.equal, given, before)), "the other decoder needs it too"


@pytest.mark.parametrize(("levels", "count"), [(2, 2), (3, 1)])
def test_any_depth_is_segresnets(levels, count):
    """The parity test of the whole network knows one depth and one image."""
    segresnet = pytest.importorskip("monai.networks.nets.segresnet_ds")
    torch.manual_seed(2)
    theirs = segresnet.SegResNetDS(
        init_filters=FILTERS, in_channels=1, out_channels=FILTERS, norm="instance", blocks_down=(1,) * levels
    ).eval()
    ours = decoder(levels)
    weights = {}
    for name, tensor in theirs.up_layers.state_dict().items():
        our_name = official_to_ours(f"image_encoder.up_layers.{name}")
        weights[our_name.removeprefix("point_decoder.")] = tensor
    ours.load_state_dict(weights, strict=True)
    image = torch.rand(count, 1, 16, 8, 12)
    expected = theirs(image)
    assert torch.allclose(ours(theirs.encoder(image)), expected, rtol=1e-4, atol=1e-4)


def test_every_level_of_the_pyramid_counts():
    network, given = decoder(), pyramid()
    plain = network(given)
    for level in range(len(given)):
        changed = [features.flip(2) if index == level else features for index, features in enumerate(given)]
        assert not torch.allclose(network(changed), plain, atol=1e-3), level


def test_without_anything_from_below_and_from_its_block_a_level_passes_the_skip_on():
    level, (skip, deeper) = DecoderLevel(2 * FILTERS), pyramid(2)
    level.block.conv2.weight.zero_()
    upsampled = level.upsample(deeper)
    assert upsampled.shape == skip.shape
    assert torch.allclose(level(deeper, skip), upsampled + skip, atol=1e-6)
    assert torch.equal(level(torch.zeros_like(deeper), skip), skip)


def test_the_head_mixes_the_channels_of_each_voxel():
    network, (features,) = decoder(levels=1), pyramid(1)
    matrix, shift = network.head.weight[:, :, 0, 0, 0], network.head.bias
    voxel = (0, slice(None), 3, 7, 5)
    assert torch.allclose(network([features])[voxel], matrix @ features[voxel] + shift, atol=1e-5)
