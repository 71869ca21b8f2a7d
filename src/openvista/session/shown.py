"""Objects on the scan's own voxels, in as many crops as it takes to leave out the space between them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from openvista.geometry.box import Box, Crop
from openvista.session.masks import OUTSIDE


@dataclass(frozen=True, eq=False)
class Shown:
    """An object's logits, positive inside it.

    Attributes:
        crops: on boxes of the scan. No voxel is positive in two of them, and where there is none nothing is.
    """

    crops: tuple[Crop, ...]

    @property
    def nbytes(self) -> int:
        """Memory it takes."""
        return sum(crop.nbytes for crop in self.crops)

    def on(self, box: Box) -> NDArray[np.float32]:
        """The logits on another box, ``OUTSIDE`` where there are none."""
        logits_XYZ = np.full(box.shape, OUTSIDE, dtype=np.float32)
        for crop in self.crops:
            shared = box.intersect(crop.box)
            if shared is not None:
                logits_XYZ[shared.slices(box.start)] = crop.values_XYZ[shared.slices(crop.start)]
        return logits_XYZ

    def under(self, top: Crop) -> "Shown":
        """The same, but on a box as given."""
        kept = []
        for crop in self.crops:
            shared = crop.box.intersect(top.box)
            if shared is None:
                kept.append(crop)
            elif shared != crop.box:
                logits_XYZ = crop.values_XYZ.copy()
                logits_XYZ[shared.slices(crop.start)] = OUTSIDE
                kept.append(Crop(crop.start, logits_XYZ))
        return Shown((*kept, top))

    def whole(self) -> Crop:
        """All of it as one crop of float32."""
        if len(self.crops) == 1 and self.crops[0].values_XYZ.dtype == np.float32:
            return self.crops[0]
        box = Box.hull(crop.box for crop in self.crops)
        return Crop(box.start, self.on(box))

    def mask(self) -> Crop:
        """Where it is positive, as one bool crop on the box around that."""
        masks = [Crop(crop.start, crop.values_XYZ > 0) for crop in self.crops]
        masks = [mask.cropped(mask.values_XYZ) for mask in masks]
        if len(masks) == 1:
            return masks[0]
        box = Box.hull(mask.box for mask in masks)
        inside_XYZ = np.zeros(box.shape, dtype=bool)
        for mask in masks:
            inside_XYZ[mask.box.slices(box.start)] |= mask.values_XYZ
        return Crop(box.start, inside_XYZ)
