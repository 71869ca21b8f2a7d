"""From windows and clicks to logits: every window is encoded once, asked when its clicks change, and averaged.

:class:`ClickEngine` does that for any :class:`ClickNetwork`; :class:`PointNetwork` is the one of our networks. Caches
only save time: forgetting them changes nothing.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from openvista.geometry.box import Box, Crop
from openvista.geometry.grid import Axis3, Float3
from openvista.inference.progress import Progress, Report, silent
from openvista.inference.window_network import WindowNetwork
from openvista.inference.windows import importance_map
from openvista.network import ClickLabel, PointFeatures
from openvista.session.byte_cache import ByteCache
from openvista.session.lattice import Lattice, cut_window
from openvista.session.state import ClickWindow

logger = logging.getLogger(__name__)

FEATURE_BYTES = 2 << 30
"""Of features to keep: about 80 windows of the published network (25 MB each)."""
ANSWER_BYTES = 1 << 30
"""Of answers to keep: about 250 of them (4 MB each)."""


@dataclass(frozen=True)
class GridClick:
    """A click on the model grid.

    Attributes:
        place: voxels of the model grid, fractions allowed.
        positive: whether the object is there.
    """

    place: Float3
    positive: bool


@dataclass(frozen=True)
class WindowClick:
    """A click as a window sees it.

    Attributes:
        place: voxels of the window, fractions allowed; 0 is the centre of its first voxel.
        label: positive or negative, of a special class or not.
    """

    place: Float3
    label: ClickLabel


class ClickNetwork(Protocol):
    """What answers clicks in one window. Both calls must give the same for the same arguments."""

    @property
    def window(self) -> Axis3:
        """Voxels of a window."""

    def encode(self, window_XYZ: Tensor) -> Any:
        """All that does not depend on clicks, of one window scaled to 0..1; has ``nbytes``."""

    def answer(self, features: Any, clicks: Sequence[WindowClick], zero_shot: bool) -> Tensor:
        """Logits [X, Y, Z] float32 of one object, on the host.

        Args:
            features: from :meth:`encode`.
            clicks: its clicks in this window, at least one.
            zero_shot: it is of a kind the network was not trained on.
        """


@dataclass(frozen=True, eq=False)
class WindowMean:
    """The average answer of an object's windows.

    Attributes:
        start: first voxel of the box around them.
        logits_XYZ: float32; 0 where no window lies.
        visited_XYZ: where one does.
    """

    start: Axis3
    logits_XYZ: NDArray[np.float32]
    visited_XYZ: NDArray[np.bool_]

    @property
    def box(self) -> Box:
        """The voxels it has values for."""
        return Crop(self.start, self.visited_XYZ).box

    def on(self, box: Box) -> "WindowMean":
        """The same on another box."""
        logits, visited = Crop(self.start, self.logits_XYZ), Crop(self.start, self.visited_XYZ)
        return WindowMean(box.start, logits.on(box, 0.0), visited.on(box, False))


class ClickEngine:
    """Asks the network about one scan.

    Args:
        network: what answers.
        image_XYZ: the prepared scan, 0..1.
        lattice: where windows may lie.
        padding: what surrounds a scan that is smaller than a window, ``"constant"`` or ``"replicate"``.
        weighting: how overlapping windows are averaged, ``"gaussian"`` (centres count more) or ``"constant"``.
        dtype: of answers that are kept; sums are made in float32.
        feature_bytes, answer_bytes: bounds of the caches.

    Attributes:
        features: by first voxel of the window; on the network's device.
        answers: by window, clicks and kind of object; on the host.
    """

    def __init__(
        self,
        network: ClickNetwork,
        image_XYZ: torch.Tensor,
        lattice: Lattice,
        padding: str,
        weighting: str,
        dtype: np.dtype[np.floating],
        feature_bytes: int = FEATURE_BYTES,
        answer_bytes: int = ANSWER_BYTES,
    ) -> None:
        self.network, self.image_XYZ, self.lattice = network, image_XYZ, lattice
        self.padding, self.dtype = padding, dtype
        self.weights_XYZ = importance_map(lattice.window, weighting).numpy()
        self.features: ByteCache = ByteCache(feature_bytes)
        self.answers: ByteCache[Crop] = ByteCache(answer_bytes)

    def answer(
        self,
        window: ClickWindow,
        clicks: Sequence[GridClick],
        special: bool,
        zero_shot: bool,
        progress: Report = silent,
    ) -> Crop:
        """Logits of one window, on its part of the volume."""
        inside = self.clicks_in(window, clicks, special)
        key = (window.start, inside, zero_shot)
        return self.answers.get(key, lambda: self._ask(window.start, inside, zero_shot, progress))

    def mean(
        self,
        windows: Sequence[ClickWindow],
        clicks: Sequence[GridClick],
        special: bool,
        zero_shot: bool,
        progress: Report = silent,
    ) -> WindowMean:
        """The average of all windows, each voxel weighted by its place in the window."""
        answers = [self.answer(window, clicks, special, zero_shot, progress) for window in windows]
        hull = Box.hull(answer.box for answer in answers)
        total_XYZ, weight_XYZ = np.zeros(hull.shape, dtype=np.float32), np.zeros(hull.shape, dtype=np.float32)
        for window, answer in zip(windows, answers, strict=True):
            box = answer.box.slices(hull.start)
            weights_XYZ = self.weights_XYZ[answer.box.slices(window.start)]
            total_XYZ[box] += weights_XYZ * answer.values_XYZ
            weight_XYZ[box] += weights_XYZ
        visited_XYZ = weight_XYZ > 0
        np.divide(total_XYZ, weight_XYZ, out=total_XYZ, where=visited_XYZ)
        return WindowMean(hull.start, total_XYZ, visited_XYZ)

    @property
    def caches(self) -> tuple[ByteCache[Any], ...]:
        """What is only kept to save time."""
        return (self.features, self.answers)

    def clicks_in(self, window: ClickWindow, clicks: Sequence[GridClick], special: bool) -> tuple[WindowClick, ...]:
        """What a window sees: its anchors, the user's clicks in it, oldest first, then those that growing placed."""
        inside = [click for click in clicks if self.lattice.holds(window.start, click.place)]
        anchors, placed = ([GridClick(place, True) for place in own] for own in (window.anchors, window.placed))
        seen = []
        for click in (*anchors, *inside, *placed):
            x, y, z = (where - first for where, first in zip(click.place, window.start, strict=True))
            seen.append(WindowClick((x, y, z), ClickLabel.of(click.positive, special)))
        return tuple(seen)

    def voxel(self, place: Float3) -> Axis3:
        """The voxel of the model grid that a place falls into; beyond the border the border's."""
        x, y, z = (
            min(max(int(where + 0.5), 0), length - 1) for where, length in zip(place, self.lattice.volume, strict=True)
        )
        return (x, y, z)

    def _ask(self, start: Axis3, clicks: tuple[WindowClick, ...], zero_shot: bool, progress: Report) -> Crop:
        features = self.features.get(start, lambda: self._encode(start, progress))
        logits_XYZ = self.network.answer(features, clicks, zero_shot)
        inside = self.lattice.inside(start)
        inside_XYZ = logits_XYZ[inside.slices(start)].numpy().astype(self.dtype)
        return Crop(inside.start, np.ascontiguousarray(inside_XYZ))

    def _encode(self, start: Axis3, progress: Report) -> object:
        logger.info("encoding the window at %s", start)
        progress(Progress("encode", 0, 1))
        features = self.network.encode(cut_window(self.image_XYZ, self.lattice, start, self.padding))
        progress(Progress("encode", 1, 1))
        return features


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
    def answer(self, features: KeptFeatures, clicks: Sequence[WindowClick], zero_shot: bool) -> Tensor:
        """Logits [X, Y, Z] float32 on the host."""
        halved_1CXYZ = features.halved_1CXYZ.to(self.dtype)
        x, y, z = halved_1CXYZ.shape[2:]
        if self._position_SC is None:
            self._position_SC = self.ready.network.point_head.position.of_grid((x, y, z)).to(self.dtype)
        seen = PointFeatures(halved_1CXYZ, self._position_SC, (2 * x, 2 * y, 2 * z))
        device = halved_1CXYZ.device
        places_1N3 = torch.tensor([[click.place for click in clicks]], dtype=torch.float32, device=device)
        labels_1N = torch.tensor([[int(click.label) for click in clicks]], device=device)
        unseen_1 = torch.tensor([zero_shot], device=device)
        with self.ready.autocast():
            logits = self.ready.network.point_logits(seen, places_1N3, labels_1N, unseen_1)
        return logits[0, 0].float().cpu()
