"""The user of the CVPR 2025 challenge (challenge facts §4): a box on one slice, then clicks in the largest error.

Arrays of the challenge are [Z, Y, X]. In training the same user looks at patches: B objects, X Y Z voxels of the patch.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from openvista.geometry.box import Box, plus
from openvista.geometry.components import largest_component
from openvista.geometry.grid import Axis3
from openvista.network.point_head import ClickLabel
from openvista.prompts import Click, box_clicks
from openvista.simulate.clicks import Clicks, click_labels
from openvista.simulate.objects import ClickObjects

_SEED = 42
_LARGEST = 60_000_000
"""Voxels; in a larger box distances are computed at half the resolution."""
_BOX_SHIFT, _BOX_SIDE = 6, 256

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class ArrayClick:
    """A click on an array of the challenge.

    Attributes:
        voxel: z, y, x.
        positive: whether the class is there.
    """

    voxel: Axis3
    positive: bool

    def on_scan(self) -> Click:
        """The same in the order of scans."""
        z, y, x = self.voxel
        return Click((x, y, z), self.positive)


@dataclass(frozen=True)
class MiddleBox:
    """A rectangle on one slice, and the slices between which the class lies; all ends belong to it.

    Attributes:
        z: first and last slice of the class.
        middle: the slice of the rectangle.
        y, x: first and last row and column of the rectangle.
    """

    z: tuple[int, int]
    middle: int
    y: tuple[int, int]
    x: tuple[int, int]

    def shifted(self, by: Axis3) -> "MiddleBox":
        """The box moved by some slices, rows and columns."""
        z, y, x = by
        (z0, z1), (y0, y1), (x0, x1) = self.z, self.y, self.x
        return MiddleBox((z0 + z, z1 + z), self.middle + z, (y0 + y, y1 + y), (x0 + x, x1 + x))

    def clicks(self, shape: Axis3) -> list[Click]:
        """As :func:`openvista.prompts.box_clicks`, with clicks beside the rectangle on its own slice.

        Args:
            shape: of the array, [Z, Y, X].
        """
        sides = [(first, last + 1) for first, last in (self.x, self.y, self.z)]
        clicks = box_clicks(sides, (shape[2], shape[1], shape[0]))
        halfway = (self.z[0] + self.z[1]) / 2
        moved = []
        for click in clicks:
            x, y, z = click.voxel
            moved.append(Click((x, y, self.middle if z == halfway else z), click.positive))
        return moved


def official_click(truth_ZYX: Mask, predicted_ZYX: Mask) -> ArrayClick | None:
    """The click of the simulated user; ``None`` when nothing is wrong.

    Missing and superfluous voxels that touch are one error here. Of errors of the same size the first in the order of
    the array counts, and of voxels equally deep in it one is drawn, always with the same seed.
    """
    component = largest_component(truth_ZYX != predicted_ZYX)
    if component is None:
        return None
    depth_ZYX = _depth(component.values_XYZ)
    deepest_N3 = np.argwhere(depth_ZYX == depth_ZYX.max())
    drawn = deepest_N3[np.random.RandomState(_SEED).choice(len(deepest_N3))]
    voxel = plus(drawn.tolist(), component.start)
    return ArrayClick(voxel, bool(truth_ZYX[voxel]))


def _depth(component_ZYX: Mask) -> NDArray[np.float64]:
    """Distance in voxels of each voxel of an error to the outside, which begins beyond its box; 0 outside it."""
    margins = [max(int(length * 0.25), 1) for length in component_ZYX.shape]
    padded = np.pad(component_ZYX, [(margin, margin) for margin in margins])
    if padded.size > _LARGEST:
        depth = ndimage.distance_transform_edt(_halved(padded))
        for axis in range(3):
            depth = depth.repeat(2, axis=axis)
    else:
        depth = ndimage.distance_transform_edt(padded)
    inner = Box.whole(component_ZYX.shape).shifted(margins)
    depth = depth[inner.slices()] * component_ZYX
    return depth if depth.any() else component_ZYX.astype(np.float64)


def _halved(mask_ZYX: Mask) -> Mask:
    """The maximum of every 2×2×2 voxels."""
    even = np.pad(mask_ZYX, [(0, length % 2) for length in mask_ZYX.shape])
    z, y, x = (length // 2 for length in even.shape)
    return np.asarray(even.reshape(z, 2, y, 2, x, 2).any(axis=(1, 3, 5)))


def draw_box(truth_ZYX: Mask, random: np.random.Generator) -> MiddleBox:
    """The box of a class, as the challenge made them: the middle of the list of its voxels says which slice; there the
    rectangle is widened on all sides by up to 5 pixels of a slice of 256.

    Args:
        truth_ZYX: not empty.
        random: draws how much.
    """
    slices = np.flatnonzero(truth_ZYX)
    middle = int(slices[len(slices) // 2] // (truth_ZYX.shape[1] * truth_ZYX.shape[2]))
    shift = int(random.integers(_BOX_SHIFT))
    sides = []
    for other, length in ((1, truth_ZYX.shape[1]), (0, truth_ZYX.shape[2])):
        used = np.flatnonzero(truth_ZYX[middle].any(axis=other))
        wider = int(shift * length / _BOX_SIDE)
        sides.append((max(int(used[0]) - wider, 0), min(int(used[-1]) + wider, length - 1)))
    depth = np.flatnonzero(truth_ZYX.any(axis=(1, 2)))
    return MiddleBox((int(depth[0]), int(depth[-1])), middle, sides[0], sides[1])


def first_challenge_clicks(objects: ClickObjects, seed: int) -> Clicks:
    """The clicks of each object's box, its middle first; PADDING where nothing of an object is known to be there.

    A box is that of the part in the patch. As in a run of the challenge, its middle counts as positive even where the
    object is hollow: see :func:`without_middles`.

    Args:
        objects: on the CPU or not; their truth counts where it is known.
        seed: of how much wider than the object a rectangle is drawn.
    """
    random = np.random.default_rng(seed)
    per_object: list[list[Click]] = []
    for inside_XYZ in (objects.targets_BXYZ & objects.known_BXYZ).cpu().numpy():
        inside_ZYX = inside_XYZ.transpose(2, 1, 0)
        per_object.append(draw_box(inside_ZYX, random).clicks(inside_ZYX.shape) if inside_ZYX.any() else [])
    return _as_clicks(per_object, objects.special_B.cpu())


def next_challenge_clicks(predicted_BXYZ: Tensor, objects: ClickObjects) -> Clicks | None:
    """[B, 1]: the challenge's next click on each object; PADDING where nothing is wrong, None if that is so for all.

    Args:
        predicted_BXYZ: bool answer per object.
        objects: as in :func:`first_challenge_clicks`.
    """
    arrays = (objects.targets_BXYZ, objects.known_BXYZ, predicted_BXYZ)
    per_object: list[list[Click]] = []
    for truth_XYZ, known_XYZ, found_XYZ in zip(*(array.cpu().numpy() for array in arrays), strict=True):
        wanted_ZYX, found_ZYX = ((known_XYZ & mask).transpose(2, 1, 0) for mask in (truth_XYZ, found_XYZ))
        click = official_click(wanted_ZYX, found_ZYX)
        per_object.append([] if click is None else [click.on_scan()])
    return _as_clicks(per_object, objects.special_B.cpu()) if any(per_object) else None


def without_middles(clicks: Clicks) -> Clicks:
    """The middle of a box was a guess: an object with a further positive click is asked without it."""
    positive_BN = (clicks.labels_BN == ClickLabel.POSITIVE) | (clicks.labels_BN == ClickLabel.SPECIAL_POSITIVE)
    labels_BN = clicks.labels_BN.clone()
    labels_BN[positive_BN[:, 1:].any(dim=1), 0] = int(ClickLabel.PADDING)
    return Clicks(clicks.places_BN3, labels_BN)


def _as_clicks(per_object: Sequence[Sequence[Click]], special_B: Tensor) -> Clicks:
    most = max(map(len, per_object), default=0)
    places_BN3 = torch.zeros(len(per_object), most, 3, dtype=torch.long)
    labels_BN = torch.full((len(per_object), most), int(ClickLabel.PADDING))
    signs = click_labels(special_B, positive=False), click_labels(special_B, positive=True)
    for index, clicks in enumerate(per_object):
        for number, click in enumerate(clicks):
            places_BN3[index, number] = torch.tensor(click.voxel).round().long()
            labels_BN[index, number] = signs[click.positive][index]
    return Clicks(places_BN3, labels_BN)
