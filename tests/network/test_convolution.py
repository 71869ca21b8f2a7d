"""Small single images are convolved by oneDNN, and to the same result and gradient."""

from copy import deepcopy

import pytest
import torch
from torch.nn import functional
from torch.profiler import ProfilerActivity, profile

from openvista.network.convolution import Convolution, Mixing, Upsampling

SMALL = (1, 8, 12, 10, 6)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("with_gradient", [False, True])
def test_a_convolution_is_torchs(stride, with_gradient):
    layer = Convolution(8, 4, stride=stride)
    image = torch.rand(SMALL)
    with torch.set_grad_enabled(with_gradient):
        ours = layer(image)
    plain = functional.conv3d(image, layer.weight, layer.bias, stride, padding=1)
    assert torch.allclose(ours, plain, atol=1e-5)


@pytest.mark.parametrize("images", [1, 3])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last_3d])
def test_a_mixing_is_torchs_and_keeps_channels_innermost(images, layout):
    layer = Mixing(8)
    image = torch.rand(images, *SMALL[1:]).contiguous(memory_format=layout)
    ours = layer(image)
    assert ours.is_contiguous(memory_format=torch.channels_last_3d)
    assert torch.allclose(ours, functional.conv3d(image, layer.weight, layer.bias), atol=1e-5)


def test_an_upsampling_is_torchs():
    layer = Upsampling(8, 4)
    image = torch.rand(SMALL)
    plain = functional.conv_transpose3d(image, layer.weight, layer.bias, 2, 1, 1)
    assert torch.allclose(layer(image), plain, atol=1e-5)


@pytest.mark.parametrize("layer", [Convolution(8, 4), Upsampling(8, 4)])
def test_gradients_are_torchs(layer):
    image = torch.rand(SMALL, requires_grad=True)
    layer(image).square().sum().backward()
    ours = [image.grad, layer.weight.grad, layer.bias.grad]
    again = image.detach().clone().requires_grad_()
    if isinstance(layer, Convolution):
        answer = functional.conv3d(again, layer.weight, layer.bias, padding=1)
    else:
        answer = functional.conv_transpose3d(again, layer.weight, layer.bias, 2, 1, 1)
    expected = torch.autograd.grad(answer.square().sum(), (again, layer.weight, layer.bias))
    for one, other in zip(ours, expected, strict=True):
        assert torch.allclose(one, other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("size", [(2, 2, 2), (2, 4, 3), (6, 2, 2), (2, 1, 1)])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("by_autocast", [False, True])
def test_thin_images_have_a_gradient_in_bfloat16(size, stride, by_autocast):
    exact = Convolution(32, 32, stride)
    image = torch.randn(2, 32, *size)
    answer = exact(image)
    weights = torch.randn_like(answer)
    wanted = torch.autograd.grad((answer * weights).sum(), exact.parameters())
    layer = exact if by_autocast else deepcopy(exact).bfloat16()
    with torch.autocast("cpu", torch.bfloat16, enabled=by_autocast):
        blurred = layer(image if by_autocast else image.bfloat16())
    assert blurred.dtype == torch.bfloat16
    gradients = torch.autograd.grad((blurred.float() * weights).sum(), layer.parameters())
    for one, other in zip(wanted, gradients, strict=True):
        assert torch.allclose(one, other.float(), atol=0.02 * float(one.abs().max()))


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="this torch has no oneDNN")
@pytest.mark.parametrize("layer", [Convolution(8, 8), Upsampling(8, 8)])
@pytest.mark.parametrize("with_gradient", [False, True])
def test_no_small_image_takes_the_slow_path(layer, with_gradient):
    with profile(activities=[ProfilerActivity.CPU]) as seen, torch.set_grad_enabled(with_gradient):
        layer(torch.rand(SMALL))
    names = {event.key for event in seen.key_averages()}
    assert not any("slow_conv" in name for name in names)
