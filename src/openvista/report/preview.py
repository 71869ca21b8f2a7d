"""The preview picture: three slices, the structures in 3D, and a legend with volumes."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from openvista._version import __version__
from openvista.errors import needs_extra
from openvista.io.atomic import replacing
from openvista.plausibility import in_words
from openvista.report.render import render_labels
from openvista.report.slices import colour_slice, content_box, in_ras_order, informative_slices, radiological
from openvista.scan import Segmentation
from openvista.structures import StructureRow

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_DPI = 110
_PANEL, _GAP, _MARGIN, _HEADER, _FOOTER = 4.6, 0.10, 0.25, 0.55, 0.32  # inches
_COLUMN, _ROW = 2.75, 0.232  # of the legend, inches
_BACKGROUND, _TEXT, _FAINT, _UNLIKELY = "#0d1117", "#e6edf3", "#8b949e", "#f0883e"
_SLICE_PIXELS = 620
_LONGEST_NAME = 27
# view, axis it cuts, letters at the left, right, top and bottom edge
_VIEWS = (("axial", 2, "RLAP"), ("coronal", 1, "RLSI"), ("sagittal", 0, "APSI"))
_BARS_MM = (1, 2, 5, 10, 20, 50, 100, 200, 500)


def write_preview(segmentation: Segmentation, path: str | Path) -> Path:
    """Draw a segmentation over its scan and write a PNG.

    Slices are the most informative ones, drawn as radiologists look: the patient's right is on the left.

    Args:
        segmentation: its ``scan``, if it has one, is drawn in grey.
        path: the PNG file.

    Returns:
        The path.

    Raises:
        OutputError: it cannot be written there.
        MissingExtraError: matplotlib is not installed.
    """
    return save_figure(draw_preview(segmentation), Path(path), _BACKGROUND)


def save_figure(figure: "Figure", path: Path, background: str) -> Path:
    """Write a figure as PNG.

    Raises:
        OutputError: it cannot be written there.
    """
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", facecolor=background)
    return path


def draw_preview(segmentation: Segmentation) -> "Figure":
    """The preview as a matplotlib figure of its own (no pyplot, no global state).

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    with needs_extra("matplotlib", "report", "draw the preview picture"):
        from matplotlib.figure import Figure
    found = [row for row in segmentation.table() if row.voxels]
    height = _HEADER + 2 * _PANEL + _GAP + _FOOTER
    per_column = int((2 * _PANEL + _GAP - 0.3) / _ROW)
    columns = max(1, -(-len(found) // per_column))
    width = 2 * _MARGIN + 2 * _PANEL + _GAP + 0.15 + columns * _COLUMN
    figure = Figure(figsize=(width, height), dpi=_DPI)
    _draw_header(figure, segmentation, len(found))
    _draw_views(figure, segmentation)
    _draw_legend(figure, segmentation, found, columns, per_column)
    return figure


def _draw_header(figure: "Figure", segmentation: Segmentation, count: int) -> None:
    width, height = figure.get_size_inches()
    name = segmentation.scan.name if segmentation.scan else "segmentation"
    title = name if len(name) <= 60 else name[:59] + "…"
    top, left = 1 - 0.5 * _HEADER / height, _MARGIN / width
    figure.text(left, top, title, color=_TEXT, fontsize=15, fontweight="bold", va="center", parse_math=False)
    what = f"{count} structure{'' if count == 1 else 's'}"
    if "model" in segmentation.provenance:
        what += f"  ·  {segmentation.provenance['model']}"
    figure.text(1 - left, top, what, color=_FAINT, fontsize=11, va="center", ha="right", parse_math=False)
    note = f"OpenVISTA {__version__}  ·  radiological view: the patient's right is on the left"
    figure.text(left, 0.5 * _FOOTER / height, note, color=_FAINT, fontsize=8.5, va="center")


def _draw_views(figure: "Figure", segmentation: Segmentation) -> None:
    labels = in_ras_order(segmentation.labels, segmentation.grid)
    hu = None if segmentation.scan is None else in_ras_order(segmentation.scan.voxels, segmentation.grid)
    spacing = segmentation.grid.in_ras_order().spacing
    slices = informative_slices(labels)
    for place, (view, axis, letters) in enumerate(_VIEWS):
        plane = radiological(labels, axis, slices[axis])
        hu_plane = None if hu is None else radiological(hu, axis, slices[axis])
        box = content_box(plane, hu_plane)
        plane, hu_plane = plane[box], None if hu_plane is None else hu_plane[box]
        across, down = (spacing[a] for a in range(3) if a != axis)
        size_mm = plane.shape[0] * down, plane.shape[1] * across
        scale = _SLICE_PIXELS / max(size_mm)
        size = max(1, round(size_mm[0] * scale)), max(1, round(size_mm[1] * scale))
        panel = _panel(figure, place)
        _show(panel, colour_slice(plane, hu_plane, size, segmentation.colours), size_mm)
        _caption(panel, f"{view}  {slices[axis] + 1}/{labels.shape[axis]}")
        _draw_letters(panel, letters)
        _draw_scale_bar(panel, max(size_mm))
    panel = _panel(figure, 3)
    image = render_labels(labels, hu, spacing, segmentation.colours)
    _show(panel, image, (float(image.shape[0]), float(image.shape[1])))
    _caption(panel, "3D  from the front")
    _draw_letters(panel, "RLSI")


def _panel(figure: "Figure", place: int) -> "Axes":
    """A square black area: 0 and 1 in the upper row, 2 and 3 below."""
    width, height = figure.get_size_inches()
    left = _MARGIN + (place % 2) * (_PANEL + _GAP)
    bottom = _FOOTER + (1 - place // 2) * (_PANEL + _GAP)
    panel = figure.add_axes((left / width, bottom / height, _PANEL / width, _PANEL / height), facecolor="black")
    panel.set_xticks([])
    panel.set_yticks([])
    for spine in panel.spines.values():
        spine.set_visible(False)
    return panel


def _show(panel: "Axes", image: NDArray[np.float32], size: tuple[float, float]) -> None:
    """Put an image of ``size`` (down, across) into the middle of a square panel, as large as it fits."""
    down, across = size
    side = max(size)
    panel.imshow(image, extent=(0, across, 0, down), interpolation="antialiased", aspect="auto")
    panel.set_xlim((across - side) / 2, (across + side) / 2)
    panel.set_ylim((down - side) / 2, (down + side) / 2)


def _write(panel: "Axes", x: float, y: float, text: str, **style: Any) -> None:
    """Text that stays readable on any picture; x and y are shares of the panel, from its lower left."""
    from matplotlib.patheffects import withStroke

    outline = withStroke(linewidth=2.5, foreground="black", alpha=0.85)
    panel.text(x, y, text, transform=panel.transAxes, path_effects=[outline], **style)


def _caption(panel: "Axes", text: str) -> None:
    _write(panel, 0.018, 0.982, text, color=_TEXT, fontsize=10, va="top")


def _draw_letters(panel: "Axes", letters: str) -> None:
    sides = ((0.018, 0.5, "left", "center"), (0.982, 0.5, "right", "center"))
    ends = ((0.5, 0.982, "center", "top"), (0.5, 0.018, "center", "bottom"))
    for letter, (x, y, horizontal, vertical) in zip(letters, sides + ends, strict=True):
        _write(panel, x, y, letter, color="#f2cc60", fontsize=12, fontweight="bold", ha=horizontal, va=vertical)


def _draw_scale_bar(panel: "Axes", side_mm: float) -> None:
    """A bar of a round length, about a fifth of the panel, in its lower right corner."""
    length = min(_BARS_MM, key=lambda bar: abs(bar - side_mm / 5))
    end, share = 0.982, length / side_mm
    panel.plot([end - share, end], [0.03, 0.03], transform=panel.transAxes, color=_TEXT, linewidth=2.5)
    text = f"{length // 10} cm" if length >= 10 else f"{length} mm"
    _write(panel, end - share / 2, 0.042, text, color=_TEXT, fontsize=8.5, ha="center", va="bottom")


def _draw_legend(
    figure: "Figure", segmentation: Segmentation, rows: Sequence[StructureRow], columns: int, per_column: int
) -> None:
    """Swatch, name and volume per structure, in as many columns as it takes."""
    width, height = figure.get_size_inches()
    left, top = 2 * _MARGIN + 2 * _PANEL + _GAP + 0.05, height - _HEADER
    area = figure.add_axes((0, 0, 1, 1), facecolor="none")
    area.set_axis_off()
    area.set_xlim(0, width)
    area.set_ylim(0, height)
    if not rows:
        area.text(left, top - 0.12, "no structure found", color=_FAINT, fontsize=10, va="center")
        return
    for column in range(columns):
        right = left + (column + 1) * _COLUMN - 0.25
        area.text(right, top - 0.1, "ml", color=_FAINT, fontsize=8.5, ha="right", va="center")
    for index, row in enumerate(rows):
        x = left + (index // per_column) * _COLUMN
        y = top - 0.36 - (index % per_column) * _ROW
        _draw_entry(area, segmentation, row, x, y)
    notes = ["* touches the border of the scan"] * any(row.touches_border for row in rows)
    notes += ["? unlike the cases of training"] * any(row.unlikely for row in rows)
    if notes:
        area.text(left, 0.5 * _FOOTER, "\n".join(notes), color=_FAINT, fontsize=8.5, va="center", linespacing=1.1)


def _draw_entry(area: "Axes", segmentation: Segmentation, row: StructureRow, x: float, y: float) -> None:
    from matplotlib.patches import Rectangle

    colour = tuple(channel / 255 for channel in segmentation.colours[row.id])
    area.add_patch(Rectangle((x, y - 0.065), 0.19, 0.13, facecolor=colour, edgecolor="none"))
    name = row.name if len(row.name) <= _LONGEST_NAME else row.name[: _LONGEST_NAME - 1] + "…"
    area.text(x + 0.28, y, name, color=_TEXT, fontsize=9, va="center_baseline", parse_math=False)
    digits = 0 if row.volume_ml >= 99.5 else 1
    end = x + _COLUMN - 0.25
    area.text(end, y, f"{row.volume_ml:,.{digits}f}", color=_TEXT, fontsize=9, ha="right", va="center_baseline")
    marks = "*" * row.touches_border
    if row.unlikely:
        marks += "?"
        area.text(x + 0.28, y - 0.5 * _ROW, in_words(row.unlikely), color=_UNLIKELY, fontsize=7, va="center_baseline")
    area.text(end + 0.02, y, marks, color=_UNLIKELY if row.unlikely else _FAINT, fontsize=9, va="center_baseline")
