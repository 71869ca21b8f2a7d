"""The two bricks of the network: instance norm and the pre-activation residual block.

Shape letters (all files of this package): N images, B prompts, K classes, C channels, X Y Z voxels in RAS order.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from openvista.network.convolution import Convolution


class InstanceNorm(nn.Module):
    """Instance norm over X Y Z: each channel of each image gets mean 0 and variance 1, then scale and shift.

    For one image this is batch norm in training mode, which torch runs much faster where channels lie innermost
    (``benchmarks/layers.py``); so images go one by one.

    Args:
        channels: number of channels C.
        affine: learn a scale and a shift per channel.
    """

    def __init__(self, channels: int, affine: bool = True) -> None:
        super().__init__()
        self.epsilon = 1e-5
        self.weight = nn.Parameter(torch.ones(channels)) if affine else None
        self.bias = nn.Parameter(torch.zeros(channels)) if affine else None

    def forward(self, x_NCXYZ: Tensor) -> Tensor:
        if x_NCXYZ.shape[0] > 1:
            return torch.cat([self(image_1CXYZ) for image_1CXYZ in x_NCXYZ.split(1)])
        return functional.batch_norm(x_NCXYZ, None, None, self.weight, self.bias, training=True, eps=self.epsilon)


class ResidualBlock(nn.Module):
    """x + conv(relu(norm(conv(relu(norm(x)))))): the pre-activation block of SegResNet (paper facts §3)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm1 = InstanceNorm(channels)
        self.conv1 = Convolution(channels, channels, bias=False)
        self.norm2 = InstanceNorm(channels)
        self.conv2 = Convolution(channels, channels, bias=False)

    def forward(self, x_NCXYZ: Tensor) -> Tensor:
        # in place: nobody else sees these volumes, and neither norm nor convolution needs its result for the gradient
        residual = self.conv1(torch.relu_(self.norm1(x_NCXYZ)))
        residual = self.conv2(torch.relu_(self.norm2(residual)))
        return residual.add_(x_NCXYZ)
