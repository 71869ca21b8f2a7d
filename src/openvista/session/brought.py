"""Masks that somebody brought along, in few bytes. Needs no torch.

A structure of a label map may have a stray voxel far away. So its mask is kept in parts, where there is something of
it, and not on the one box around it all, which may be the whole scan for each of a hundred structures.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from openvista.geometry.box import Box, Crop
from openvista.geometry.grid import triple

_TILE = 64
"""Voxels along each side of the tiles in which a structure is looked for."""
_SPARSE = 4
"""A structure is kept in parts if the box around it has more than so many times their voxels."""


@dataclass(frozen=True, eq=False)
class PackedMask:
    """A mask on a box.

    Attributes:
        box: of the scan.
        bits: eight voxels a byte.
    """

    box: Box
    bits: NDArray[np.uint8]

    def __post_init__(self) -> None:
        if self.bits.dtype != np.uint8 or self.bits.shape != (packed_size(self.box),):
            raise ValueError(f"{self.bits.shape} bytes are not the voxels of a box of shape {self.box.shape}")

    @classmethod
    def of(cls, crop: Crop) -> "PackedMask":
        """From a bool crop."""
        return cls(crop.box, np.packbits(crop.values_XYZ))

    @property
    def crop(self) -> Crop:
        """The same as a bool crop."""
        flat = np.unpackbits(self.bits, count=prod(self.box.shape))
        return Crop(self.box.start, flat.view(bool).reshape(self.box.shape))


@dataclass(frozen=True, eq=False)
class BroughtMask:
    """A mask that somebody brought along.

    Attributes:
        parts: its voxels; their boxes share none.
    """

    parts: tuple[PackedMask, ...]

    @classmethod
    def of(cls, mask: Crop) -> "BroughtMask":
        """From a bool crop."""
        found = boxes_of_labels(mask.values_XYZ.view(np.uint8)).get(1, [])
        boxes = [box.shifted(mask.start) for box in found] if len(found) > 1 else [mask.box]
        return cls(tuple(PackedMask.of(Crop(box.start, mask.on(box, False))) for box in boxes))

    @classmethod
    def of_label(cls, labels_XYZ: NDArray[np.unsignedinteger], value: int, boxes: Iterable[Box]) -> "BroughtMask":
        """From a structure of a label map and its boxes; see :func:`boxes_of_labels`."""
        return cls(tuple(PackedMask.of(Crop(box.start, labels_XYZ[box.slices()] == value)) for box in boxes))

    @property
    def box(self) -> Box:
        """That holds it all."""
        return Box.hull(part.box for part in self.parts)

    @property
    def nbytes(self) -> int:
        """Memory it takes."""
        return sum(part.bits.nbytes for part in self.parts)

    def crops(self) -> Iterator[Crop]:
        """Its parts, one at a time."""
        return (part.crop for part in self.parts)

    def whole(self) -> Crop:
        """All of it as one bool crop."""
        if len(self.parts) == 1:
            return self.parts[0].crop
        box = self.box
        mask = Crop(box.start, np.zeros(box.shape, dtype=bool))
        for crop in self.crops():
            mask.values_XYZ[crop.box.slices(box.start)] |= crop.values_XYZ
        return mask


def packed_size(box: Box) -> int:
    """Bytes of a packed mask on a box."""
    return -(-prod(box.shape) // 8)


def boxes_of_labels(labels_XYZ: NDArray[np.unsignedinteger]) -> dict[int, list[Box]]:
    """Boxes that hold each structure of a label map and share no voxel with each other: one where it fills that
    fairly, else one in every tile that has something of it. One pass over the map, whatever the number of structures.
    """
    found: dict[int, list[Box]] = defaultdict(list)
    for start in product(*(range(0, length, _TILE) for length in labels_XYZ.shape)):
        tile = Box.sized(triple(start), (_TILE,) * 3)
        for value, sides in enumerate(ndimage.find_objects(labels_XYZ[tile.slices()]), start=1):
            if sides is not None:
                found[value].append(Box.of_slices(sides).shifted(tile.start))
    return {value: _joined(boxes) for value, boxes in found.items()}


def _joined(boxes: Sequence[Box]) -> list[Box]:
    hull = Box.hull(boxes)
    return [hull] if prod(hull.shape) <= _SPARSE * sum(prod(box.shape) for box in boxes) else list(boxes)
