"""From windows and clicks to logits: every window is encoded once, asked when its clicks change, and averaged.

Nothing here has a state that matters: caches only save time, and forgetting them changes nothing.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from openvista.geometry.box import Part, box_slices, joint_box
from openvista.geometry.grid import Axis3, Float3
from openvista.inference.byte_cache import ByteCache
from openvista.inference.click_network import ClickNetwork, Token
from openvista.inference.click_windows import Lattice, cut_window, inner_box
from openvista.inference.objects import Opening
from openvista.inference.progress import Progress, Report, silent
from openvista.inference.windows import importance_map
from openvista.network import ClickLabel

logger = logging.getLogger(__name__)

FEATURE_BYTES = 2 << 30
"""Of features to keep: about 80 windows of the published network (25 MB each)."""
ANSWER_BYTES = 1 << 30
"""Of answers to keep: about 250 of them (4 MB each)."""


@dataclass(frozen=True)
class PlacedClick:
    """A click on the model grid.

    Attributes:
        place: voxels of the model grid, fractions allowed.
        positive: whether the object is there.
    """

    place: Float3
    positive: bool


@dataclass(frozen=True, eq=False)
class Mean:
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
    def stop(self) -> Axis3:
        """The voxel after the box's last one."""
        return Part(self.start, self.visited_XYZ).stop

    def on(self, start: Axis3, stop: Axis3) -> "Mean":
        """The same on another box."""
        logits, visited = Part(self.start, self.logits_XYZ), Part(self.start, self.visited_XYZ)
        return Mean(start, logits.on(start, stop, 0.0), visited.on(start, stop, False))


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
        self.answers: ByteCache[Part] = ByteCache(answer_bytes)

    def answer(
        self, opening: Opening, clicks: Sequence[PlacedClick], special: bool, zero_shot: bool, report: Report = silent
    ) -> Part:
        """Logits of one window, on its part of the volume."""
        tokens = self.tokens(opening, clicks, special)
        key = (opening.start, tokens, zero_shot)
        return self.answers.get(key, lambda: self._ask(opening.start, tokens, zero_shot, report))

    def mean(
        self,
        openings: Sequence[Opening],
        clicks: Sequence[PlacedClick],
        special: bool,
        zero_shot: bool,
        report: Report = silent,
    ) -> Mean:
        """The average of all windows, each voxel weighted by its place in the window."""
        parts = [self.answer(opening, clicks, special, zero_shot, report) for opening in openings]
        start, stop = joint_box((part.start, part.stop) for part in parts)
        shape = [b - a for a, b in zip(start, stop, strict=True)]
        total_XYZ, weight_XYZ = np.zeros(shape, dtype=np.float32), np.zeros(shape, dtype=np.float32)
        for opening, part in zip(openings, parts, strict=True):
            box = box_slices(part.start, part.stop, origin=start)
            weights_XYZ = self.weights_XYZ[inner_box(self.lattice, opening.start)]
            total_XYZ[box] += weights_XYZ * part.values_XYZ
            weight_XYZ[box] += weights_XYZ
        visited_XYZ = weight_XYZ > 0
        np.divide(total_XYZ, weight_XYZ, out=total_XYZ, where=visited_XYZ)
        return Mean(start, total_XYZ, visited_XYZ)

    def tokens(self, opening: Opening, clicks: Sequence[PlacedClick], special: bool) -> tuple[Token, ...]:
        """What a window sees: the user's clicks in it, oldest first, then those that growing placed."""
        placed = [PlacedClick(place, True) for place in opening.placed]
        inside = [click for click in clicks if self.lattice.holds(opening.start, click.place)]
        tokens = []
        for click in (*inside, *placed):
            x, y, z = (where - first for where, first in zip(click.place, opening.start, strict=True))
            tokens.append(Token((x, y, z), _label(click.positive, special)))
        return tuple(tokens)

    def voxel(self, place: Float3) -> Axis3:
        """The voxel of the model grid that a place falls into; beyond the border the border's."""
        x, y, z = (
            min(max(int(where + 0.5), 0), length - 1) for where, length in zip(place, self.lattice.volume, strict=True)
        )
        return (x, y, z)

    def _ask(self, start: Axis3, tokens: tuple[Token, ...], zero_shot: bool, report: Report) -> Part:
        features = self.features.get(start, lambda: self._encode(start, report))
        logits_XYZ = self.network.answer(features, tokens, zero_shot)
        box = inner_box(self.lattice, start)
        return Part(self.lattice.inside(start)[0], np.ascontiguousarray(logits_XYZ[box].numpy().astype(self.dtype)))

    def _encode(self, start: Axis3, report: Report) -> object:
        logger.info("encoding the window at %s", start)
        report(Progress("encode", 0, 1))
        features = self.network.encode(cut_window(self.image_XYZ, self.lattice, start, self.padding))
        report(Progress("encode", 1, 1))
        return features


def _label(positive: bool, special: bool) -> ClickLabel:
    if special:
        return ClickLabel.SPECIAL_POSITIVE if positive else ClickLabel.SPECIAL_NEGATIVE
    return ClickLabel.POSITIVE if positive else ClickLabel.NEGATIVE
