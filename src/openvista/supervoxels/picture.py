"""A picture of supervoxels: their boundaries drawn over three slices of the scan."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from openvista.errors import needs_extra
from openvista.report.preview import save_figure
from openvista.report.slices import SOFT_TISSUE_WINDOW, content_box, in_ras_order, informative_slices, radiological
from openvista.scan import Segmentation

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PIXELS = 720  # of a slice's longer side
_SIDE = 5.0  # inches
_LINE = (1.0, 0.85, 0.25)
_VIEWS = (("axial", 2), ("coronal", 1), ("sagittal", 0))


def write_picture(supervoxels: Segmentation, path: Path) -> None:
    """Draw and write a PNG.

    Args:
        supervoxels: with their scan.
        path: the file.

    Raises:
        OutputError: it cannot be written there.
        MissingExtraError: matplotlib is not installed.
    """
    save_figure(draw_boundaries(supervoxels), path, "black")


def draw_boundaries(supervoxels: Segmentation) -> "Figure":
    """Axial, coronal and sagittal slice, each where most supervoxels are large; as a figure of its own.

    Raises:
        ValueError: the segmentation does not know its scan.
        MissingExtraError: matplotlib is not installed.
    """
    with needs_extra("matplotlib", "report", "draw the preview picture"):
        from matplotlib.figure import Figure
    scan = supervoxels.scan
    if scan is None:
        raise ValueError("supervoxels are drawn over their scan, which is not there")
    labels, hu = in_ras_order(supervoxels.labels, scan.grid), in_ras_order(scan.voxels, scan.grid)
    spacing = scan.grid.in_ras_order().spacing
    figure = Figure(figsize=(3 * _SIDE, _SIDE + 0.4), dpi=110)
    figure.suptitle(f"{scan.name}: {int(labels.max())} supervoxels", color="white", fontsize=13, parse_math=False)
    for place, ((view, axis), index) in enumerate(zip(_VIEWS, informative_slices(labels)[::-1], strict=True), 1):
        plane, hu_plane = radiological(labels, axis, index), radiological(hu, axis, index)
        box = content_box(plane, hu_plane)
        across, down = (spacing[a] for a in range(3) if a != axis)
        panel = figure.add_subplot(1, 3, place)
        panel.imshow(outlined(plane[box], hu_plane[box], (down, across)))
        panel.set_axis_off()
        panel.set_title(f"{view}  {index + 1}/{labels.shape[axis]}", color="white", fontsize=10)
    figure.subplots_adjust(0.01, 0.01, 0.99, 0.88, 0.02)
    return figure


def outlined(labels: NDArray[Any], hu: NDArray[Any], pixel_mm: tuple[float, float]) -> NDArray[np.float32]:
    """A slice [row, column] as an enlarged colour image with square pixels: CT in grey, a thin line at boundaries."""
    size_mm = [count * length for count, length in zip(labels.shape, pixel_mm, strict=True)]
    rows, columns = (
        np.minimum((np.arange(pixels) + 0.5) * count // pixels, count - 1).astype(int)
        for count, pixels in zip(
            labels.shape, (max(1, round(_PIXELS * length / max(size_mm))) for length in size_mm), strict=True
        )
    )
    low, high = SOFT_TISSUE_WINDOW
    grey = np.clip((hu[np.ix_(rows, columns)].astype(np.float32) - low) / (high - low), 0, 1)
    large = labels[np.ix_(rows, columns)]
    line = np.zeros(large.shape, bool)
    for shift in (1, 2):
        line[shift:] |= large[shift:] != large[:-shift]
        line[:, shift:] |= large[:, shift:] != large[:, :-shift]
    return np.where(line[..., None], np.array(_LINE, np.float32), grey[..., None])
