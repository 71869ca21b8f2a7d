"""The image encoder: one pass over a window, features at every resolution."""

import torch
from torch import Tensor, nn

from openvista.network.blocks import ResidualBlock
from openvista.network.convolution import Convolution


class EncoderLevel(nn.Module):
    """The residual blocks of one resolution and, except at the deepest, the step down to the next."""

    def __init__(self, channels: int, blocks: int, deepest: bool) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(ResidualBlock(channels) for _ in range(blocks)))
        self.downsample = None if deepest else Convolution(channels, 2 * channels, stride=2, bias=False)

    def forward(self, x_NCXYZ: Tensor) -> tuple[Tensor, Tensor]:
        """Features of this resolution, and what the next one starts from (at the deepest, the same)."""
        features_NCXYZ = self.blocks(x_NCXYZ)
        return features_NCXYZ, features_NCXYZ if self.downsample is None else self.downsample(features_NCXYZ)


class Encoder(nn.Module):
    """Image to features at 1, 1/2, 1/4, ... of its resolution; channels double at each step.

    Args:
        filters: channels C at full resolution.
        blocks_per_level: residual blocks at each resolution, finest first.
    """

    def __init__(self, filters: int, blocks_per_level: tuple[int, ...]) -> None:
        super().__init__()
        self.stem = Convolution(1, filters, bias=False)
        last = len(blocks_per_level) - 1
        self.levels = nn.ModuleList(
            EncoderLevel(filters * 2**level, blocks, deepest=level == last)
            for level, blocks in enumerate(blocks_per_level)
        )

    def forward(self, image_N1XYZ: Tensor) -> list[Tensor]:
        """Return one [N, C·2^level, X/2^level, Y/2^level, Z/2^level] tensor per level, finest first."""
        pyramid = []
        x = self._stem_features(image_N1XYZ)
        for level in self.levels:
            features, x = level(x)
            pyramid.append(features)
        return pyramid

    def _stem_features(self, image_N1XYZ: Tensor) -> Tensor:
        """The first convolution in its weights' own precision, then in that of the rest.

        In bfloat16 a CT between 0 and 1 has steps of 8 HU; one convolution in float32 keeps soft tissue apart.
        """
        device = image_N1XYZ.device.type
        autocast = torch.is_autocast_enabled(device)
        dtype = torch.get_autocast_dtype(device) if autocast else next(self.levels.parameters()).dtype
        with torch.autocast(device, enabled=False):
            features = self.stem(image_N1XYZ.to(self.stem.weight.dtype))
        # one channel has no layout of its own, so for a single image torch takes the plain one; the weights tell ours
        weight: Tensor = self.levels[0].blocks[0].conv1.weight  # type: ignore[index, union-attr]
        if weight.is_contiguous(memory_format=torch.channels_last_3d):
            features = features.contiguous(memory_format=torch.channels_last_3d)
        return features.to(dtype)
