"""VISTA3D: one encoder, two decoders, a head for class prompts and a head for clicks.

The central class only wires the parts. Tensors in, tensors out: no files, no affines, no class names here.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from openvista.network.class_head import ClassHead, dot_logits
from openvista.network.decoder import Decoder
from openvista.network.encoder import Encoder
from openvista.network.point_head import PointFeatures, PointHead
from openvista.network.presets import Preset


class Vista3D(nn.Module):
    """The network of one preset, with random weights until some are loaded.

    Args:
        preset: sizes, and which branches to build.
    """

    def __init__(self, preset: Preset) -> None:
        super().__init__()
        self.preset = preset
        levels = len(preset.blocks_per_level)
        self.encoder = Encoder(preset.filters, preset.blocks_per_level)
        if "automatic" in preset.branches:
            self.automatic_decoder = Decoder(preset.filters, levels)
            self.class_head = ClassHead(preset.filters, preset.class_rows)
        if "point" in preset.branches:
            self.point_decoder = Decoder(preset.filters, levels)
            self.point_head = PointHead(preset.filters)

    def automatic_features(self, image_N1XYZ: Tensor) -> Tensor:
        """Windows scaled to 0..1 to mapped features [N, C, X, Y, Z]: all that class prompts need of the image."""
        return self.class_head.map_features(self.automatic_decoder(self.encoder(image_N1XYZ)))

    def class_embeddings(self, class_ids_K: Tensor) -> Tensor:
        """Class ids to embeddings [K, C]; independent of the image."""
        return self.class_head.embed(class_ids_K)

    def class_logits(self, image_N1XYZ: Tensor, class_ids_K: Tensor) -> Tensor:
        """Logits [N, K, X, Y, Z] of every class on every window."""
        return dot_logits(self.class_embeddings(class_ids_K), self.automatic_features(image_N1XYZ))

    def point_features(self, image_11XYZ: Tensor) -> PointFeatures:
        """One window scaled to 0..1 to all that clicks in it need; worth keeping for the next click."""
        return self.point_head.prepare(self.point_decoder(self.encoder(image_11XYZ)))

    def point_logits(
        self, features: PointFeatures, clicks_BN3: Tensor, labels_BN: Tensor, unseen_B: Tensor | None = None
    ) -> Tensor:
        """Logits [B, 1, X, Y, Z] of B objects, each described by N clicks; see :meth:`PointHead.forward`."""
        logits: Tensor = self.point_head(features, clicks_BN3, labels_BN, unseen_B)
        return logits


def build(preset: Preset, seed: int | None = None) -> Vista3D:
    """The network of a preset with random weights, the same for the same seed."""
    if seed is None:
        return Vista3D(preset)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Vista3D(preset)


def build_empty(preset: Preset) -> Vista3D:
    """The network of a preset on torch's "meta" device: takes no memory and no time.

    Fill it with ``load_state_dict(tensors, assign=True)``.
    """
    with torch.device("meta"), _NoInitialisation():
        return Vista3D(preset)


class _NoInitialisation(TorchFunctionMode):
    """Skips ``torch.nn.init``: on tensors without memory it does nothing, but imports a second's worth of modules."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__module__", None) == "torch.nn.init":
            return kwargs["tensor"] if "tensor" in kwargs else args[0]
        return func(*args, **kwargs)
