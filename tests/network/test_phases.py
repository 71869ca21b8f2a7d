"""The shortcuts of the point head give what torch's plain operations give."""

import pytest
import torch
from torch.nn import functional

from openvista.network.attention import FEW, HEADS, Attention
from openvista.network.phases import PHASES, convolved_phases, normalised, upsampled_phases
from openvista.network.point_head import MaskOutput

SHAPES = [(3, 4, 5), (1, 2, 1), (6, 1, 3)]


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.no_grad():
        yield


def put_together(phases: list[torch.Tensor]) -> torch.Tensor:
    full = torch.empty(1, phases[0].shape[1], *(2 * side for side in phases[0].shape[2:]))
    for (x, y, z), phase in zip(PHASES, phases, strict=True):
        full[:, :, x::2, y::2, z::2] = phase
    return full


@pytest.mark.parametrize("shape", SHAPES)
def test_phases_are_the_transposed_convolution(shape):
    torch.manual_seed(1)
    image, kernel = torch.randn(1, 4, *shape), torch.randn(4, 6, 3, 3, 3)
    expected = functional.conv_transpose3d(image, kernel, stride=2, padding=1, output_padding=1)
    torch.testing.assert_close(put_together(upsampled_phases(image, kernel)), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_norm_and_last_convolution_of_phases(shape):
    torch.manual_seed(2)
    phases, kernel = [torch.randn(1, 4, *shape) * 3 + 5 for _ in PHASES], torch.randn(4, 3, 3, 3)
    full = functional.instance_norm(put_together(phases), eps=1e-5)
    ours = normalised(phases, 1e-5)
    torch.testing.assert_close(put_together(ours), full, rtol=1e-4, atol=1e-4)
    expected = functional.conv3d(full, kernel[None], padding=1)
    torch.testing.assert_close(convolved_phases(ours, kernel), expected, rtol=1e-4, atol=1e-4)


def test_masks_are_the_same_on_both_ways():
    torch.manual_seed(3)
    output = MaskOutput(8)
    tokens, images = torch.randn(3, 8), torch.randn(3, 8, 4, 5, 6)
    quick = output(tokens, images)
    with torch.enable_grad():
        plain = output(tokens, images).detach()
    torch.testing.assert_close(quick, plain, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("objects", [1, 3])
@pytest.mark.parametrize("tokens", [1, 5, FEW])
def test_few_tokens_and_an_image_look_at_each_other_as_in_plain_attention(objects, tokens):
    torch.manual_seed(4)
    attention = Attention(4 * HEADS, 2 * HEADS)
    words, image = torch.randn(objects, tokens, 4 * HEADS), torch.randn(1, 50, 4 * HEADS)
    placed = image + torch.randn(50, 4 * HEADS)
    values = words + 1
    torch.testing.assert_close(attention.look_at_image(words, placed, image), attention(words, placed, image))
    torch.testing.assert_close(attention.look_at_tokens(placed, words, values), attention(placed, words, values))
