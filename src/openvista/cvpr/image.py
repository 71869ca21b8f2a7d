"""Images of the challenge as scans that a model can look at.

Grey values mean nothing across modalities, so they are stretched: the 1st percentile becomes the lower end of the
model's HU window and the 99th the upper. A CT whose window is known can be given back its HU instead.

Axes are those of SimpleITK's arrays unless somebody knows better: x to the patient's left, y to the back, z upwards.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from openvista.errors import InputError
from openvista.geometry.grid import AXIS_LETTERS, Axis3, Float3, Grid
from openvista.network.presets import Preset
from openvista.scan import Scan
from openvista.weights.card import ModelCard

PERCENTILES = (1.0, 99.0)
"""Challenge facts §6: how the published baseline scales."""
SMALLEST_SHARE = 0.25
"""An image whose longest side is shorter than this share of the model's window is no patient at that spacing."""
RESAMPLING = ("auto", "always", "never")
SPACING_ORDERS = ("auto", "zyx", "xyz")
AS_STORED = "LPS"
"""Directions of the axes [X, Y, Z] of SimpleITK's arrays, as :attr:`openvista.geometry.grid.Grid.axis_codes`."""


@dataclass(frozen=True)
class Reading:
    """How to read images.

    Attributes:
        window: HU that became 0 and 255; ``None`` where grey values are stretched.
        resample: to the model's spacing: ``"always"``; ``"never"``, for weights trained on voxels of any size; or
            ``"auto"``: unless the image is too small for a patient (microscopy, small animals), because these do
            better at their own voxels (paper facts §2).
        spacing_order: of the three numbers in the file. ``"auto"``: as the array's axes, which is how the official
            evaluation uses them, unless only the first two are equal: then they are the spacing in the plane, so that
            the order is x, y, z.
        percentiles: of the grey values that become the ends of the model's HU window, where they are stretched.

    Raises:
        InputError: a choice that does not exist.
    """

    window: tuple[float, float] | None = None
    resample: str = "auto"
    spacing_order: str = "auto"
    percentiles: tuple[float, float] = PERCENTILES

    def __post_init__(self) -> None:
        for what, value, allowed in (
            ("resample", self.resample, RESAMPLING),
            ("spacing-order", self.spacing_order, SPACING_ORDERS),
        ):
            if value not in allowed:
                raise InputError(f"{what} must be {', '.join(allowed)}, not {value!r}")
        if self.window is not None and not self.window[0] < self.window[1]:
            raise InputError(f"the HU window {self.window[0]:g},{self.window[1]:g} must have a lower and a higher end")

    def for_model(self, card: ModelCard) -> "Reading":
        """As the model was trained, where its card says so and nobody asked for something else."""
        low, high = card.challenge.get("percentiles", self.percentiles)
        resample = card.challenge.get("resample", "auto") if self.resample == "auto" else self.resample
        return replace(self, percentiles=(float(low), float(high)), resample=str(resample))

    def spacing_ZYX(self, stored: Float3) -> Float3:
        """The spacing along the array's axes, mm."""
        first, second, third = stored
        flat = np.isclose(first, second) and not np.isclose(second, third)
        if self.spacing_order == "xyz" or (self.spacing_order == "auto" and flat):
            return (third, second, first)
        return stored

    def scan(self, image_ZYX: NDArray[np.generic], stored: Float3, preset: Preset, name: str = "case") -> Scan:
        """An image as a scan in HU, with axes as SimpleITK's arrays have them.

        Args:
            image_ZYX: grey values.
            stored: the spacing as the file has it.
            preset: of the model: its HU window, spacing and window.
            name: of the case.
        """
        voxels_XYZ = self._hu(image_ZYX, preset.hu_window).transpose(2, 1, 0)
        return Scan(voxels_XYZ, self.grid(voxels_XYZ.shape, stored, preset), name)

    def grid(self, shape: Axis3, stored: Float3, preset: Preset, axis_codes: str = AS_STORED) -> Grid:
        """The grid of an image's own voxels.

        Args:
            shape: of the scan, [X, Y, Z].
            stored, preset: as for :meth:`scan`.
            axis_codes: which way its axes run.
        """
        z, y, x = self.spacing_ZYX(stored)
        world = [next(axis for axis in range(3) if code in AXIS_LETTERS[axis]) for code in axis_codes]
        longest = max(length * size for length, size in zip(shape, (x, y, z), strict=True))
        side = max(length * size for length, size in zip(preset.window, preset.spacing, strict=True))
        small = self.resample == "auto" and longest < SMALLEST_SHARE * side
        if small or self.resample == "never":
            x, y, z = (preset.spacing[axis] for axis in world)  # a voxel of the image is a voxel of the model
        affine = np.diag([0.0, 0.0, 0.0, 1.0])
        for axis, (code, size) in enumerate(zip(axis_codes, (x, y, z), strict=True)):
            affine[world[axis], axis] = size if code in "RAS" else -size
        return Grid(shape, affine)

    def _hu(self, image_ZYX: NDArray[np.generic], hu_window: tuple[float, float]) -> NDArray[np.float32]:
        values = image_ZYX.astype(np.float32)
        if self.window is not None:
            (low, high), hu = (0.0, 255.0), self.window
        else:
            (low, high), hu = np.percentile(values, self.percentiles).tolist(), hu_window
            if not low < high:  # more than 98 % alike: what differs counts
                low, high = float(values.min()), float(values.max())
        if not low < high:
            return np.full_like(values, hu[0])
        shares = ((values - low) / (high - low)).clip(0, 1)
        return np.asarray(hu[0] + shares * (hu[1] - hu[0]), dtype=np.float32)
