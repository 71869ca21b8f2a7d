"""What a case asks for: per class a box, clicks and what was found before. Voxels are (z, y, x), as in its arrays."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from openvista.geometry.grid import Axis3
from openvista.simulate.challenge_user import ArrayClick, MiddleBox

Labels = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Request:
    """What one run is asked.

    Attributes:
        shape: of the arrays, [Z, Y, X].
        ids: label values of the classes, rising, 1..255.
        boxes: one per class; ``None`` if there are none.
        clicks: of each class, oldest first.
        previous_ZYX: the label map of the run before; ``None`` in the first.
    """

    shape: Axis3
    ids: tuple[int, ...]
    boxes: tuple[MiddleBox, ...] | None
    clicks: tuple[tuple[ArrayClick, ...], ...]
    previous_ZYX: Labels | None = None
