"""The point head: clicks on one object to its mask.

What does not depend on the clicks (:meth:`PointHead.prepare`) is separate from what does (:meth:`PointHead.forward`),
so that a second click in a window pays for the second part only.

Shape letters: B objects, N clicks, T tokens of one object, C channels; X Y Z voxels of the window, in RAS order; S
voxels of the halved window in one row.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntEnum

import torch
from torch import Tensor, nn
from torch.nn import functional

from openvista.errors import PromptError
from openvista.network.attention import TwoWayTransformer, look_nearby, sort_waves
from openvista.network.blocks import InstanceNorm
from openvista.network.convolution import Convolution, Upsampling, convolved
from openvista.network.phases import convolved_phases, normalised, upsampled_phases

GROUP = 32
"""Objects that pass the transformer together; more only cost memory (paper facts §3)."""
FULL_VALUES = 1 << 24
"""Values at full resolution that exist at once: nine objects of the starter, one of VISTA3D."""


class ClickLabel(IntEnum):
    """What a click says. Special classes (tumours and others, paper facts §1) have labels of their own."""

    PADDING = -1
    NEGATIVE = 0
    POSITIVE = 1
    SPECIAL_NEGATIVE = 2
    SPECIAL_POSITIVE = 3

    @classmethod
    def of(cls, positive: bool, special: bool) -> "ClickLabel":
        """The label of a click on an object that may be of a special class."""
        if special:
            return cls.SPECIAL_POSITIVE if positive else cls.SPECIAL_NEGATIVE
        return cls.POSITIVE if positive else cls.NEGATIVE


@dataclass(frozen=True)
class PointFeatures:
    """All that clicks need of one window.

    Attributes:
        halved_1CXYZ: features at half the window's resolution.
        position_SC: where each of these voxels lies, as the transformer sees it; depends on the shape only.
        window: X, Y, Z of the window in voxels, the frame of the clicks.
    """

    halved_1CXYZ: Tensor
    position_SC: Tensor
    window: tuple[int, int, int]


class PositionEncoding(nn.Module):
    """Random Fourier features of a place in the window: sine and cosine of C/2 random plane waves.

    The waves are a stored buffer: a network only understands the ones it was trained with.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.waves: Tensor
        self.register_buffer("waves", sort_waves(nn.init.normal_(torch.empty(3, channels // 2))))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "PositionEncoding":
        """Follow a network to another device, but not into half precision: that would blur the phase."""
        exact = self.waves
        super()._apply(fn, recurse)
        if not exact.is_meta:
            self.waves = exact.to(self.waves.device)
        return self

    def forward(self, place_3: Tensor) -> Tensor:
        """Places [..., 3], 0 to 1 along each axis, to [..., C], in float32."""
        signed_3 = 2 * place_3.float() - 1
        # Written out, because autocast would do a matrix product in half precision.
        x, y, z = (signed_3[..., axis, None] * self.waves[axis] for axis in range(3))
        phase = 2 * math.pi * (x + y + z)
        return torch.cat((phase.sin(), phase.cos()), dim=-1)

    def of_grid(self, shape: tuple[int, int, int]) -> Tensor:
        """[S, C] of the centres of all voxels of a grid, Z fastest."""
        axes = [(torch.arange(side, device=self.waves.device) + 0.5) / side for side in shape]
        return self(torch.cartesian_prod(*axes))


class Halve(nn.Module):
    """norm(conv(gelu(norm(conv/2(x))))): the features at half the resolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = Convolution(channels, channels, stride=2)
        self.conv2 = Convolution(channels, channels)
        self.norm = InstanceNorm(channels, affine=False)

    def forward(self, x_NCXYZ: Tensor) -> Tensor:
        return self.norm(self.conv2(functional.gelu(self.norm(self.conv1(x_NCXYZ)))))


class MaskOutput(nn.Module):
    """From the transformer back to voxels: upsample the image side, and compare it with the object's vector.

    The last convolution C to C at full resolution is followed only by a dot product with the vector, so both fold
    into one convolution C to 1 with the vector's mix of the kernels: exact, and C times less work.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.vector = nn.Sequential(
            nn.Linear(channels, channels),
            nn.ReLU(),
            nn.Linear(channels, channels),
            nn.ReLU(),
            nn.Linear(channels, channels),
        )
        self.upsample = Upsampling(channels, channels)
        self.norm = InstanceNorm(channels, affine=False)
        self.conv = Convolution(channels, channels)

    def forward(self, token_BC: Tensor, image_BCXYZ: Tensor) -> Tensor:
        """Logits [B, 1, 2X, 2Y, 2Z] of B objects, from their mask tokens and halved images."""
        vector_BC = self.vector(token_BC)
        kernel_BC333 = torch.einsum("bo,oixyz->bixyz", vector_BC, self.conv.weight)
        assert self.conv.bias is not None
        bias_B = vector_BC @ self.conv.bias
        if _by_phases(image_BCXYZ):
            pairs = zip(image_BCXYZ.split(1), kernel_BC333, strict=True)
            return torch.cat([self._from_phases(*pair) for pair in pairs]) + bias_B[:, None, None, None, None]
        # Upsampled together; the rest one by one, in cache.
        full_BCXYZ = self.upsample(image_BCXYZ)
        masks = [
            convolved(functional.gelu(self.norm(full_1CXYZ)), kernel_1C333, bias_1, padding=1)
            for full_1CXYZ, kernel_1C333, bias_1 in zip(
                full_BCXYZ.split(1), kernel_BC333.split(1), bias_B.split(1), strict=True
            )
        ]
        return torch.cat(masks)

    def _from_phases(self, image_1CXYZ: Tensor, kernel_C333: Tensor) -> Tensor:
        """The same, but for the last bias. That of the upsampling does not survive the norm."""
        phases = upsampled_phases(image_1CXYZ, self.upsample.weight)
        active = [functional.gelu(phase) for phase in normalised(phases, self.norm.epsilon)]
        return convolved_phases(active, kernel_C333)


class PointHead(nn.Module):
    """Clicks and features to one mask per object.

    Args:
        filters: channels C of the point decoder's features.
    """

    def __init__(self, filters: int) -> None:
        super().__init__()
        self.halve = Halve(filters)
        self.position = PositionEncoding(filters)
        self.transformer = TwoWayTransformer(filters)
        self.output = MaskOutput(filters)
        self.mask_token = _token(filters)
        self.padding_token = _token(filters)
        self.negative_token = _token(filters)
        self.positive_token = _token(filters)
        self.special_token = _token(filters)
        self.supported_token = _token(filters)
        self.unseen_token = _token(filters)
        look_nearby(self.transformer)

    def prepare(self, features_1CXYZ: Tensor) -> PointFeatures:
        """The part that does not depend on clicks. One window; its sides must be even."""
        (features,) = self.prepare_all(features_1CXYZ)
        return features

    def prepare_all(self, features_NCXYZ: Tensor) -> list[PointFeatures]:
        """The same of N windows, halved together: training looks at several patches at once."""
        _, _, x, y, z = features_NCXYZ.shape
        halved = self.halve(features_NCXYZ)
        position = self.position.of_grid((x // 2, y // 2, z // 2)).to(halved.dtype)
        return [PointFeatures(halved_1CXYZ, position, (x, y, z)) for halved_1CXYZ in halved.split(1)]

    def forward(
        self, features: PointFeatures, clicks_BN3: Tensor, labels_BN: Tensor, unseen_B: Tensor | None = None
    ) -> Tensor:
        """Logits [B, 1, X, Y, Z].

        Args:
            features: of the window.
            clicks_BN3: voxel indices in the window, fractions allowed; the centre of the first voxel is 0.
            labels_BN: a :class:`ClickLabel` for each click. Objects with fewer clicks are filled up with PADDING.
            unseen_B: True for an object of a class that was not trained (zero-shot). None: all were.

        Raises:
            PromptError: shapes do not fit together.
        """
        tokens_BTC = self.tokens(features, clicks_BN3, labels_BN, unseen_B)
        return torch.cat(list(self._masks(features, tokens_BTC)))

    def tokens(self, features: PointFeatures, clicks_BN3: Tensor, labels_BN: Tensor, unseen_B: Tensor | None) -> Tensor:
        """One row of tokens per object: the mask's, one per click, and supported or unseen. [B, N + 2, C]."""
        objects, clicks = labels_BN.shape[0], labels_BN.shape[-1]
        if clicks_BN3.shape != (objects, clicks, 3) or (unseen_B is not None and unseen_B.shape != (objects,)):
            raise PromptError(
                f"clicks {tuple(clicks_BN3.shape)}, labels {tuple(labels_BN.shape)} and unseen "
                f"{None if unseen_B is None else tuple(unseen_B.shape)} do not fit: give [B, N, 3], [B, N] and [B]"
            )
        mask_B1C = self.mask_token.expand(objects, 1, -1)
        if unseen_B is None:
            kind_BC = self.supported_token.expand(objects, -1)
        else:
            kind_BC = torch.where(unseen_B.to(mask_B1C.device)[:, None], self.unseen_token, self.supported_token)
        return torch.cat((mask_B1C, self._click_tokens(features, clicks_BN3, labels_BN), kind_BC[:, None]), dim=1)

    def _click_tokens(self, features: PointFeatures, clicks_BN3: Tensor, labels_BN: Tensor) -> Tensor:
        """Place plus label; padding has no place."""
        signs_2C = torch.cat((self.negative_token, self.positive_token))
        table_5C = torch.cat((self.padding_token, signs_2C, signs_2C + self.special_token))
        labels_BN = labels_BN.to(table_5C.device, torch.long)
        window = torch.tensor(features.window, dtype=torch.float32, device=table_5C.device)
        place_BNC = self.position((clicks_BN3.to(window) + 0.5) / window).to(table_5C.dtype)
        place_BNC = place_BNC.masked_fill((labels_BN == ClickLabel.PADDING)[..., None], 0)
        return place_BNC + table_5C[labels_BN - ClickLabel.PADDING]

    def _masks(self, features: PointFeatures, tokens_BTC: Tensor) -> Iterator[Tensor]:
        """Logits [b, 1, X, Y, Z], a few objects at a time."""
        halved = features.halved_1CXYZ
        at_once = max(FULL_VALUES // (8 * halved.numel()), 1)
        image_1SC = halved.flatten(2).transpose(1, 2).contiguous()
        for group_BTC in tokens_BTC.split(GROUP):
            tokens_BTC, image_BSC = self.transformer(group_BTC, image_1SC, features.position_SC)
            image_BCXYZ = image_BSC.transpose(1, 2).unflatten(2, halved.shape[2:])
            for some_BC, images in zip(tokens_BTC[:, 0].split(at_once), image_BCXYZ.split(at_once), strict=True):
                yield self.output(some_BC, images)


def _by_phases(image: Tensor) -> bool:
    """Whether the eight phases pay off: on the vector units of a CPU. Matrix units, and training, go the plain way."""
    plain = torch.is_grad_enabled() or torch.is_autocast_enabled("cpu")
    return image.device.type == "cpu" and image.dtype == torch.float32 and not plain


def _token(filters: int) -> nn.Parameter:
    """A learned vector [1, C]."""
    return nn.Parameter(nn.init.normal_(torch.empty(1, filters)))
