"""The decoder: from the encoder's pyramid back to one feature vector per voxel.

The network has two of them with the same shape and their own weights: one serves class prompts, one clicks.
"""

from torch import Tensor, nn

from openvista.network.blocks import ResidualBlock
from openvista.network.convolution import Mixing, Upsampling


class DecoderLevel(nn.Module):
    """Twice the resolution, half the channels; add the encoder's features; one residual block."""

    def __init__(self, channels_in: int) -> None:
        super().__init__()
        channels_out = channels_in // 2
        self.upsample = Upsampling(channels_in, channels_out, bias=False)
        self.block = ResidualBlock(channels_out)

    def forward(self, x_NCXYZ: Tensor, skip_NCXYZ: Tensor) -> Tensor:
        return self.block(self.upsample(x_NCXYZ).add_(skip_NCXYZ))


class Decoder(nn.Module):
    """Pyramid to features [N, C, X, Y, Z].

    Args:
        filters: channels C at full resolution.
        levels: number of resolutions of the encoder.
    """

    def __init__(self, filters: int, levels: int) -> None:
        super().__init__()
        self.levels = nn.ModuleList(DecoderLevel(filters * 2**level) for level in range(levels - 1, 0, -1))
        self.head = Mixing(filters)

    def forward(self, pyramid: list[Tensor]) -> Tensor:
        *skips, x = pyramid
        for level, skip in zip(self.levels, reversed(skips), strict=True):
            x = level(x, skip)
        return self.head(x)
