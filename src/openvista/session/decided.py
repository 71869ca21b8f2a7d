"""The voxels that an edit has decided, in few bytes. Needs no torch."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from openvista.geometry.box import Box, Crop


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
        if self.bits.dtype != np.uint8 or self.bits.shape != (2, -(-int(np.prod(self.box.shape)) // 8)):
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
            voxels = np.unpackbits(packed, count=int(np.prod(self.box.shape)))
            view_XYZ[voxels.reshape(self.box.shape).astype(bool)] = value
        return result
