"""Norm and residual block: those of MONAI, for one image or several."""

import pytest
import torch
from torch.nn import functional

from openvista.network.blocks import InstanceNorm, ResidualBlock

SHAPE = (4, 5, 6, 3)


def randomised(module, seed=0):
    """Fresh norms have weights of 1 and biases of 0, which would hide swapped tensors."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    return module.eval()


def images(count, seed=1):
    return torch.randn(count, *SHAPE, generator=torch.Generator().manual_seed(seed)) * 3 + 1


@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("training", [False, True])
def test_each_image_is_normed_by_itself_in_training_as_after_it(affine, count, training):
    norm, x = randomised(InstanceNorm(4, affine)).train(training), images(count)
    expected = functional.instance_norm(x, weight=norm.weight, bias=norm.bias)
    assert torch.allclose(norm(x), expected, atol=1e-5)


def test_brightness_and_contrast_of_an_image_do_not_matter():
    norm, x = InstanceNorm(4, affine=False), images(2)
    assert torch.allclose(norm(5 * x + 100), norm(x), atol=1e-3)


@pytest.mark.parametrize("count", [1, 2])
def test_a_residual_block_is_segresnets(count):
    theirs = pytest.importorskip("monai.networks.nets.segresnet_ds").SegResBlock(
        spatial_dims=3, in_channels=4, norm=("instance", {"affine": True})
    )
    ours = ResidualBlock(4)
    ours.load_state_dict(randomised(theirs).state_dict(), strict=True)
    x = images(count)
    with torch.no_grad():
        assert torch.allclose(ours.eval()(x.clone()), theirs(x.clone()), rtol=1e-4, atol=1e-4)


def test_the_way_past_the_block_is_the_image_itself_and_stays_whole():
    block, x = randomised(ResidualBlock(4)), images(1)
    with torch.no_grad():
        block.conv2.weight.zero_()
        before = x.clone()
        assert torch.equal(block(x), before)
        assert torch.equal(x, before), "work in place must not reach the caller's volume"


def test_gradients_are_those_of_the_block_written_out():
    block, x = randomised(ResidualBlock(4)), images(2).requires_grad_()
    parameters = [x, *block.parameters()]
    once = functional.conv3d(functional.relu(block.norm1(x)), block.conv1.weight, padding=1)
    plain = x + functional.conv3d(functional.relu(block.norm2(once)), block.conv2.weight, padding=1)
    expected = torch.autograd.grad(plain.square().sum(), parameters)
    for one, other in zip(torch.autograd.grad(block(x).square().sum(), parameters), expected, strict=True):
        assert torch.allclose(one, other, rtol=1e-3, atol=1e-3 * float(other.abs().max()))
