"""The voxels that edits have decided, in few bytes. Needs no torch."""

from collections.abc import Container
from dataclasses import dataclass
from itertools import takewhile

import numpy as np
from numpy.typing import NDArray

from openvista.geometry.box import Box, Crop
from openvista.session.brought import PackedMask, packed_size
from openvista.session.byte_cache import ByteCache
from openvista.session.state import AppliedEdit

TOGETHER_BYTES = 1 << 28
"""Of edits put together to keep."""

Edits = tuple[AppliedEdit, ...]


@dataclass(frozen=True, eq=False)
class Decided:
    """Voxels of the scan that certainly belong to an object, and some that certainly do not.

    Attributes:
        box: that holds them all.
        bits: of the box, eight voxels a byte: first those inside the object, then those outside.
    """

    box: Box
    bits: NDArray[np.uint8]

    def __post_init__(self) -> None:
        if self.bits.dtype != np.uint8 or self.bits.shape != (2, packed_size(self.box)):
            raise ValueError(f"{self.bits.shape} bytes are not the voxels of a box of shape {self.box.shape}")

    @classmethod
    def of(cls, inside: Crop, outside: Crop) -> "Decided":
        """From two bool crops that share no voxel."""
        boxes = [each.cropped(each.values_XYZ).box for each in (inside, outside)]
        box = Box.hull(boxes)
        return cls(box, np.stack([np.packbits(each.on(box, False)) for each in (inside, outside)]))

    @classmethod
    def between(cls, before: Crop, after: Crop) -> "Decided":
        """What differs between two masks, as it is in the second."""
        box = Box.hull([before.box, after.box])
        before_XYZ, after_XYZ = before.on(box, False), after.on(box, False)
        return cls.of(Crop(box.start, after_XYZ & ~before_XYZ), Crop(box.start, before_XYZ & ~after_XYZ))

    @property
    def nbytes(self) -> int:
        """Memory it takes."""
        return int(self.bits.nbytes)

    def over(self, earlier: Crop) -> Crop:
        """What earlier edits and this one have decided: 1 inside, -1 outside, 0 nothing; int8."""
        box = Box.hull([earlier.box, self.box])
        result = Crop(box.start, earlier.on(box, 0))
        view_XYZ = result.values_XYZ[self.box.slices(box.start)]
        for packed, value in zip(self.bits, (1, -1), strict=True):
            view_XYZ[PackedMask(self.box, packed).crop.values_XYZ] = value
        return result


class KeptEdits:
    """What all edits of a session have decided.

    Attributes:
        decided: by name.
        together: what the edits of an object have decided together; only kept to save time.
    """

    def __init__(self) -> None:
        self.decided: dict[str, Decided] = {}
        self.together: ByteCache[Crop] = ByteCache(TOGETHER_BYTES)

    @property
    def nbytes(self) -> int:
        """Memory of what is not only kept to save time."""
        return sum(each.nbytes for each in self.decided.values())

    def add(self, decided: Decided) -> str:
        """Keep what an edit has decided; returns its name."""
        name = next_name("edit", self.decided)
        self.decided[name] = decided
        return name

    def decided_by(self, edits: Edits) -> Crop:
        """What edits have decided together, on a box of the scan: 1 inside the object, -1 outside, 0 nothing."""
        known = len(edits)
        while known and edits[:known] not in self.together:
            known -= 1
        crop = self.together.get(edits[:known], lambda: Crop.nothing(np.int8))
        for each in edits[known:]:
            crop = self.decided[each.decided].over(crop)
        self.together.put(edits, crop)
        return crop

    def box_between(self, before: Edits, after: Edits) -> Box:
        """The box of all that was decided by edits that are in one of two histories only."""
        shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(before, after, strict=False)))
        return Box.hull(self.decided[each.decided].box for each in (*before[shared:], *after[shared:]))


def next_name(word: str, taken: Container[str]) -> str:
    """The word with the first number that makes it a new name."""
    number = 1
    while f"{word} {number}" in taken:
        number += 1
    return f"{word} {number}"
