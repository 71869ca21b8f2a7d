"""What a case asks for: per class a box, clicks and what was found before. Voxels are (z, y, x), as in its arrays."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from openvista.geometry.grid import Axis3
from openvista.prompts import Click
from openvista.session.drawing import draw_box

Labels = NDArray[np.uint8]


@dataclass(frozen=True)
class ArrayClick:
    """A click.

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
        """As :func:`openvista.session.drawing.draw_box`, with clicks beside the rectangle on its own slice.

        Args:
            shape: of the array, [Z, Y, X].
        """
        sides = [(first, last + 1) for first, last in (self.x, self.y, self.z)]
        clicks = draw_box(sides, (shape[2], shape[1], shape[0])).clicks
        halfway = (self.z[0] + self.z[1]) / 2
        moved = []
        for click in clicks:
            x, y, z = click.voxel
            moved.append(Click((x, y, self.middle if z == halfway else z), click.positive))
        return moved


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
