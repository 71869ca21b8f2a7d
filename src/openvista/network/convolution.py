"""The convolutions of the network, on a CPU always by oneDNN.

torch convolves a single image without oneDNN where C·X·Y is no larger than 20480, whatever Z is: its test counts four
dimensions (release 2.13). That path takes several times as long, and a window of the starter meets it at every
resolution but the finest (``benchmarks/layers.py``).

oneDNN's gradient of a bfloat16 kernel (3.12, AVX-512) is garbage for two voxels along X, and writes beyond its memory
for one voxel and stride 2: images this thin are convolved in float32 where a gradient is wanted.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

_SMALL = 20480
_THIN = 2
"""Voxels along the shortest axis up to which an image is thin."""


class Convolution(nn.Conv3d):
    """A 3³ convolution that keeps (stride 1) or halves (stride 2) X, Y and Z.

    Args:
        channels_in, channels_out: C before and after.
        stride: 1 or 2.
        bias: add one per channel.
    """

    def __init__(self, channels_in: int, channels_out: int, stride: int = 1, bias: bool = True) -> None:
        super().__init__(channels_in, channels_out, kernel_size=3, stride=stride, padding=1, bias=bias)

    def forward(self, x_NCXYZ: Tensor) -> Tensor:
        return convolved(x_NCXYZ, self.weight, self.bias, self.stride[0], padding=1)


class Mixing(nn.Conv3d):
    """A 1³ convolution: the same matrix for the channels of every voxel. torch takes its slow path for this one always.

    [N, C, X, Y, Z] in and out.

    Args:
        channels: C before and after.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels, kernel_size=1)

    def forward(self, x_NCXYZ: Tensor) -> Tensor:
        mixed_NXYZC = functional.linear(x_NCXYZ.permute(0, 2, 3, 4, 1), self.weight[:, :, 0, 0, 0], self.bias)
        return mixed_NXYZC.permute(0, 4, 1, 2, 3)


class Upsampling(nn.ConvTranspose3d):
    """A 3³ transposed convolution that doubles X, Y and Z.

    Args:
        channels_in, channels_out: C before and after.
        bias: add one per channel.
    """

    def __init__(self, channels_in: int, channels_out: int, bias: bool = True) -> None:
        super().__init__(channels_in, channels_out, 3, stride=2, padding=1, output_padding=1, bias=bias)

    def forward(self, x_NCXYZ: Tensor, output_size: list[int] | None = None) -> Tensor:
        if not _is_left_out(x_NCXYZ):
            return super().forward(x_NCXYZ, output_size)
        return super().forward(_with_a_second(x_NCXYZ), output_size)[:1]


def convolved(
    x_NCXYZ: Tensor, kernel_DC333: Tensor, bias_D: Tensor | None = None, stride: int = 1, padding: int = 0
) -> Tensor:
    """``torch.nn.functional.conv3d``, small single images included in what is fast; any size of kernel."""
    if _has_wrong_gradient(x_NCXYZ):
        bias_D = None if bias_D is None else bias_D.float()
        with torch.autocast("cpu", enabled=False):
            exact = convolved(x_NCXYZ.float(), kernel_DC333.float(), bias_D, stride, padding)
        return exact.bfloat16()
    if not _is_left_out(x_NCXYZ):
        return functional.conv3d(x_NCXYZ, kernel_DC333, bias_D, stride, padding)
    if torch.is_grad_enabled():
        return functional.conv3d(_with_a_second(x_NCXYZ), kernel_DC333, bias_D, stride, padding)[:1]
    result: Tensor = torch.ops.aten.mkldnn_convolution(
        x_NCXYZ, kernel_DC333, bias_D, [padding] * 3, [stride] * 3, [1] * 3, 1
    )
    return result


def _is_left_out(x_NCXYZ: Tensor) -> bool:
    """Whether torch would not hand this image to oneDNN although it could."""
    if x_NCXYZ.device.type != "cpu" or x_NCXYZ.dtype != torch.float32 or not torch.backends.mkldnn.is_available():
        return False
    return x_NCXYZ.shape[0] == 1 and x_NCXYZ.shape[1:4].numel() <= _SMALL


def _has_wrong_gradient(x_NCXYZ: Tensor) -> bool:
    """Whether oneDNN would get the gradient of the kernel wrong: thin, to be convolved in bfloat16, on a CPU."""
    if x_NCXYZ.device.type != "cpu" or min(x_NCXYZ.shape[2:]) > _THIN or not torch.is_grad_enabled():
        return False
    by_autocast = torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == torch.bfloat16
    return by_autocast or x_NCXYZ.dtype == torch.bfloat16


def _with_a_second(x_1CXYZ: Tensor) -> Tensor:
    """The image and a black one: two images are never left out, and this way has a gradient."""
    return torch.cat((x_1CXYZ, torch.zeros_like(x_1CXYZ)))
