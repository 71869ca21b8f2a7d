"""Where the windows of clicks lie. Pure functions.

Windows start on a lattice of a quarter of their side, so that clicks near each other fall into the same window and its
features are computed once. A click lies at most an eighth of a side from the middle of the window it opens.
"""

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from openvista.geometry.box import Box
from openvista.geometry.grid import Axis3, Float3

STEPS = 4
"""Lattice points per side of a window."""


@dataclass(frozen=True)
class Lattice:
    """All windows that a volume can have.

    Attributes:
        volume: voxels of the model grid along X, Y, Z.
        window: voxels of a window. Along an axis that is shorter there is one window, centred, which reaches beyond it.
    """

    volume: Axis3
    window: Axis3

    @property
    def step(self) -> Axis3:
        """Voxels between lattice points."""
        x, y, z = (max(side // STEPS, 1) for side in self.window)
        return (x, y, z)

    def start(self, place: Float3) -> Axis3:
        """First voxel of the window for a click; negative where the window reaches beyond a short axis."""
        x, y, z = (self._axis_start(axis, place[axis]) for axis in range(3))
        return (x, y, z)

    def holds(self, start: Axis3, place: Float3) -> bool:
        """Whether a click lies in a window; half-open, so that every voxel of a window counts."""
        return all(
            -0.5 <= where - first < side - 0.5 for where, first, side in zip(place, start, self.window, strict=True)
        )

    def holds_well(self, start: Axis3, place: Float3) -> bool:
        """Whether it lies a quarter of a side or more from every face, faces on the volume's border aside."""
        for axis, (where, first) in enumerate(zip(place, start, strict=True)):
            last = first + self.window[axis] - 1
            near_low = first > 0 and where - first < self.step[axis]
            near_high = last < self.volume[axis] - 1 and last - where < self.step[axis]
            if near_low or near_high:
                return False
        return self.holds(start, place)

    def inside(self, start: Axis3) -> Box:
        """The part of a window that lies in the volume."""
        return Box.sized(start, self.window).widened(0, self.volume)

    def _axis_start(self, axis: int, where: float) -> int:
        length, side, step = self.volume[axis], self.window[axis], self.step[axis]
        if length <= side:
            return -((side - length) // 2)
        wanted = int((where - (side - 1) / 2) / step + 0.5) * step if where > (side - 1) / 2 else 0
        return min(wanted, length - side)


def cut_window(image_XYZ: Tensor, lattice: Lattice, start: Axis3, padding: str) -> Tensor:
    """The window's image; beyond the volume 0 (``"constant"``) or the border repeated (``"replicate"``)."""
    window, inside = Box.sized(start, lattice.window), lattice.inside(start)
    window_XYZ = image_XYZ[inside.slices()]
    missing: list[int] = []
    for axis in (2, 1, 0):  # the order of torch.nn.functional.pad
        missing += [inside.start[axis] - window.start[axis], window.stop[axis] - inside.stop[axis]]
    return functional.pad(window_XYZ[None, None], missing, mode=padding)[0, 0] if any(missing) else window_XYZ
