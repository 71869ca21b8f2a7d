"""The network as clicks use it: one window to features that are worth keeping, features and clicks to one mask.

Shape letters: N clicks, X Y Z voxels of the window.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from openvista.geometry.grid import Axis3, Float3
from openvista.inference.network import WindowNetwork
from openvista.network import ClickLabel, PointFeatures


@dataclass(frozen=True)
class Token:
    """A click as a window sees it.

    Attributes:
        place: voxels of the window, fractions allowed; 0 is the centre of its first voxel.
        label: positive or negative, of a special class or not.
    """

    place: Float3
    label: ClickLabel


class ClickNetwork(Protocol):
    """What a session asks. Both calls must give the same for the same arguments."""

    @property
    def window(self) -> Axis3:
        """Voxels of a window."""

    def encode(self, window_XYZ: Tensor) -> Any:
        """All that does not depend on clicks, of one window scaled to 0..1; has ``nbytes``."""

    def answer(self, features: Any, tokens: Sequence[Token], zero_shot: bool) -> Tensor:
        """Logits [X, Y, Z] float32 of one object, on the host.

        Args:
            features: from :meth:`encode`.
            tokens: its clicks in this window, at least one.
            zero_shot: it is of a kind the network was not trained on.
        """


@dataclass(frozen=True, eq=False)
class KeptFeatures:
    """The features of one window as they are stored. Where voxels lie is the same in all windows, and kept once."""

    halved_1CXYZ: Tensor

    @property
    def nbytes(self) -> int:
        """Memory of the features."""
        return self.halved_1CXYZ.numel() * self.halved_1CXYZ.element_size()


class PointNetwork:
    """The point branch of a network that :class:`WindowNetwork` has made ready.

    A click always sees features as they are stored, so the first answer in a window equals a later one.

    Args:
        ready: the network; it must have the branch.
    """

    def __init__(self, ready: WindowNetwork) -> None:
        self.ready = ready
        self.dtype = next(ready.network.point_head.parameters()).dtype
        self._position_SC: Tensor | None = None

    @property
    def window(self) -> Axis3:
        """Voxels of a window."""
        return self.ready.network.preset.window

    @torch.no_grad()
    def encode(self, window_XYZ: Tensor) -> KeptFeatures:
        """Features at half the window's resolution; float16 unless float32 was asked for."""
        with self.ready.autocast():
            features = self.ready.network.point_features(self.ready.image(window_XYZ))
        return KeptFeatures(features.halved_1CXYZ.to(self.ready.compute.storage_dtype))

    @torch.no_grad()
    def answer(self, features: KeptFeatures, tokens: Sequence[Token], zero_shot: bool) -> Tensor:
        """Logits [X, Y, Z] float32 on the host."""
        halved_1CXYZ = features.halved_1CXYZ.to(self.dtype)
        x, y, z = halved_1CXYZ.shape[2:]
        if self._position_SC is None:
            self._position_SC = self.ready.network.point_head.position.of_grid((x, y, z)).to(self.dtype)
        seen = PointFeatures(halved_1CXYZ, self._position_SC, (2 * x, 2 * y, 2 * z))
        device = halved_1CXYZ.device
        places_1N3 = torch.tensor([[token.place for token in tokens]], dtype=torch.float32, device=device)
        labels_1N = torch.tensor([[int(token.label) for token in tokens]], device=device)
        unseen_1 = torch.tensor([zero_shot], device=device)
        with self.ready.autocast():
            logits = self.ready.network.point_logits(seen, places_1N3, labels_1N, unseen_1)
        return logits[0, 0].float().cpu()
