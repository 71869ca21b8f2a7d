"""A CT as large as they come in a clinic, made up: an ellipse of a body with lungs, spine and noise."""

from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

LARGE = (512, 512, 400)
"""Voxels of a chest and abdomen at 0.8 x 0.8 x 1 mm."""

_SPACING = (0.8, 0.8, 1.0)
_AIR, _TISSUE, _LUNG, _BONE = -1000, 40, -800, 400
_NOISE_HU = 15
_NOISE_SLICES = 16
"""Whose noise is used again and again: compressors look back 32 kB, a slice has 512 kB."""


def body_hu(shape: tuple[int, int, int] = LARGE) -> NDArray[np.int16]:
    """HU of the body, x fastest in memory; the lungs fill its upper half."""
    across, along = np.meshgrid(np.linspace(-1, 1, shape[0]), np.linspace(-1, 1, shape[1]), indexing="ij")
    plain_XY = np.where((across / 0.85) ** 2 + (along / 0.6) ** 2 < 1, _TISSUE, _AIR)
    plain_XY[(across / 0.12) ** 2 + ((along - 0.35) / 0.12) ** 2 < 1] = _BONE
    chest_XY = plain_XY.copy()
    for side in (-0.4, 0.4):
        chest_XY[((across - side) / 0.28) ** 2 + (along / 0.4) ** 2 < 1] = _LUNG
    noise = np.random.default_rng(20).normal(0, _NOISE_HU, (*shape[:2], _NOISE_SLICES)).astype(np.int16)
    hu_XYZ = np.empty(shape, np.int16, order="F")
    for z in range(shape[2]):
        plane_XY = chest_XY if z >= shape[2] // 2 else plain_XY
        hu_XYZ[:, :, z] = plane_XY + noise[:, :, z % _NOISE_SLICES]
    return hu_XYZ


def write_body(path: Path, shape: tuple[int, int, int] = LARGE) -> NDArray[np.int16]:
    """The body as int16 NIfTI, whose x and y run as a scanner's do (LPS); compressed if the name says so."""
    hu_XYZ = body_hu(shape)
    middle = [(length - 1) / 2 * step for length, step in zip(shape, _SPACING, strict=True)]
    affine = np.diag([-_SPACING[0], -_SPACING[1], _SPACING[2], 1.0])
    affine[:3, 3] = middle[0], middle[1], -middle[2]
    nib.save(nib.Nifti1Image(hu_XYZ, affine), path)
    return hu_XYZ
