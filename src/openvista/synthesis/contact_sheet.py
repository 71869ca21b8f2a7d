"""Drawings side by side, to look at: an axial and a coronal slice of each, with and without its structures."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from openvista.errors import needs_extra
from openvista.report.preview import save_figure
from openvista.report.slices import colour_slice, informative_slices, radiological
from openvista.scan import Segmentation

_PIXELS, _INCHES = 320, 2.6
_BACKGROUND, _TEXT = "#0d1117", "#e6edf3"


def write_contact_sheet(drawings: Sequence[Segmentation], path: Path) -> Path:
    """Write a PNG with a column for each drawing.

    Args:
        drawings: in RAS order, each with its scan.
        path: the PNG file.

    Raises:
        OutputError: it cannot be written there.
        MissingExtraError: matplotlib is not installed.
    """
    with needs_extra("matplotlib", "report", "draw the contact sheet"):
        from matplotlib.figure import Figure
    figure = Figure(figsize=(_INCHES * len(drawings), 4 * _INCHES), dpi=110, facecolor=_BACKGROUND)
    axes = figure.subplots(4, len(drawings), squeeze=False)
    for column, drawing in enumerate(drawings):
        assert drawing.scan is not None
        chosen = informative_slices(drawing.labels)
        for row, axis in ((0, 2), (2, 1)):
            hu = np.asarray(radiological(drawing.scan.voxels, axis, chosen[axis]), dtype=np.float32)
            labels = radiological(drawing.labels, axis, chosen[axis])
            size = _size(hu.shape, drawing.grid.spacing, axis)
            for below, shown in ((0, np.zeros_like(labels)), (1, labels)):
                axes[row + below, column].imshow(colour_slice(shown, hu, size, drawing.colours))
        axes[0, column].set_title(f"{drawing.scan.name}\nsynthetic, {drawing.provenance['phase']}", color=_TEXT, size=7)
    for one in axes.ravel():
        one.set_axis_off()
    figure.subplots_adjust(0.01, 0.01, 0.99, 0.95, 0.02, 0.02)
    return save_figure(figure, path, _BACKGROUND)


def _size(shape: tuple[int, ...], spacing: tuple[float, float, float], axis: int) -> tuple[int, int]:
    """Rows and columns of a picture whose voxels are as wide and high as in the body."""
    across, along = (spacing[0], spacing[1]) if axis == 2 else (spacing[0], spacing[2])
    height, width = shape[0] * along, shape[1] * across
    scale = _PIXELS / max(height, width)
    return max(1, round(height * scale)), max(1, round(width * scale))
