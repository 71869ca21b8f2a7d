"""Truth and prediction as outlines on the CT: a small picture that shows where they differ. Needs no matplotlib."""

import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from openvista.geometry.box import Box
from openvista.geometry.grid import Axis3, Grid, triple
from openvista.report.slices import SOFT_TISSUE_WINDOW, in_ras_order, magnify, radiological

TRUTH_COLOUR = (255, 196, 61)
PREDICTED_COLOUR = (56, 189, 248)
_BOTH_COLOUR = (255, 255, 255)
_LUNG_WINDOW, _BONE_WINDOW = (-1350.0, 150.0), (-450.0, 1050.0)  # usual widths and levels
_MARGIN_MM = 30.0  # of CT around the masks
_PANEL = 300  # pixels of a panel's longer side
_LINE = 2  # pixels
_GAP = 6


def compare_masks(
    hu_XYZ: NDArray[Any], truth_XYZ: NDArray[np.bool_], predicted_XYZ: NDArray[np.bool_], grid: Grid
) -> NDArray[np.uint8]:
    """Three slices (axial, coronal, sagittal) through the largest error, side by side.

    Drawn as radiologists look. Truth in amber, prediction in blue, white where both outlines run.

    Args:
        hu_XYZ, truth_XYZ, predicted_XYZ: in file order, on ``grid``; at least one mask has a voxel.
        grid: where they lie.

    Returns:
        [row, column, 3].
    """
    hu = in_ras_order(hu_XYZ, grid)
    truth, predicted = (np.asarray(in_ras_order(mask, grid), dtype=bool) for mask in (truth_XYZ, predicted_XYZ))
    spacing = grid.in_ras_order().spacing
    box = Box.around(truth | predicted, [round(_MARGIN_MM / mm) + 1 for mm in spacing]) or Box.whole(hu.shape)
    shown = box.slices()
    hu, truth, predicted = hu[shown], truth[shown], predicted[shown]
    window = _window(hu[truth | predicted])
    panels = []
    for axis, index in zip((2, 1, 0), _places(truth, predicted)[::-1], strict=True):
        planes = [radiological(volume, axis, index) for volume in (hu, truth, predicted)]
        across, down = (spacing[other] for other in range(3) if other != axis)
        panels.append(_panel(planes, (down, across), window))
    return _side_by_side(panels)


def png_bytes(image: NDArray[np.uint8]) -> bytes:
    """An RGB image [row, column, 3] as a PNG file (ISO/IEC 15948: signature, IHDR, IDAT, IEND)."""
    rows, columns, _ = image.shape
    lines = np.zeros((rows, 1 + 3 * columns), np.uint8)  # each line starts with its filter: 0, none
    lines[:, 1:] = image.reshape(rows, 3 * columns)
    header = struct.pack(">IIBBBBB", columns, rows, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(lines.tobytes(), 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def _places(truth: NDArray[np.bool_], predicted: NDArray[np.bool_]) -> Axis3:
    """The slice per axis with most error; with most structure where there is no error."""
    shown = truth ^ predicted
    shown = shown if shown.any() else truth
    return triple(int(shown.sum(axis=tuple(a for a in range(3) if a != axis)).argmax()) for axis in range(3))


def _window(hu: NDArray[Any]) -> tuple[float, float]:
    """HU of black and white that suit what the structure is made of."""
    median = float(np.median(hu))
    return _LUNG_WINDOW if median < -300 else _BONE_WINDOW if median > 250 else SOFT_TISSUE_WINDOW


def _panel(planes: list[NDArray[Any]], pixel_mm: tuple[float, float], window: tuple[float, float]) -> NDArray[np.uint8]:
    """One slice [row, column], magnified to true proportions, with both outlines."""
    hu, truth, predicted = planes
    size_mm = hu.shape[0] * pixel_mm[0], hu.shape[1] * pixel_mm[1]
    scale = _PANEL / max(size_mm)
    size = max(1, round(size_mm[0] * scale)), max(1, round(size_mm[1] * scale))
    grey = (magnify(hu.astype(np.float32), size) - window[0]) / (window[1] - window[0])
    image = np.repeat((255 * grey.clip(0, 1)).astype(np.uint8)[..., None], 3, axis=2)
    lines = [_outline(magnify(mask.astype(np.float32), size) >= 0.5) for mask in (truth, predicted)]
    image[lines[0]], image[lines[1]] = TRUTH_COLOUR, PREDICTED_COLOUR
    image[lines[0] & lines[1]] = _BOTH_COLOUR
    return image


def _outline(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return np.asarray(mask & ~ndimage.binary_erosion(mask, iterations=_LINE, border_value=1))


def _side_by_side(panels: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    height = max(panel.shape[0] for panel in panels)
    width = sum(panel.shape[1] for panel in panels) + _GAP * (len(panels) - 1)
    image, left = np.zeros((height, width, 3), np.uint8), 0
    for panel in panels:
        top = (height - panel.shape[0]) // 2
        image[top : top + panel.shape[0], left : left + panel.shape[1]] = panel
        left += panel.shape[1] + _GAP
    return image
