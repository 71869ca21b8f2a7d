"""A scan with its structures: planes and 3D, a list with colours, switches and volumes, a table."""

from dataclasses import replace
from html import escape

import ipywidgets
import numpy as np
from ipywidgets import HTML, Accordion, Button, Checkbox, Dropdown, FloatSlider, HBox, Layout, VBox

from openvista.anatomy.colours import to_hex
from openvista.geometry.grid import Float3
from openvista.prompts import shown_voxel
from openvista.report.html import table
from openvista.report.slices import SOFT_TISSUE_WINDOW
from openvista.report.table import remark
from openvista.scan import Scan, Segmentation
from openvista.structures import StructureRow
from openvista.widgets.niivue import NiiVuePicture

WINDOWS = {
    "Soft tissue": SOFT_TISSUE_WINDOW,
    "Lung": (-1350.0, 150.0),
    "Bone": (-500.0, 1300.0),
    "Brain": (0.0, 80.0),
    "Liver": (-20.0, 140.0),
    "Mediastinum": (-125.0, 225.0),
}
"""HU windows by which CTs are read; the viewer in the browser has the same."""


class Viewer(VBox):
    """What :func:`openvista.view` gives.

    Args:
        scan: HU on its own grid.
        segmentation: on the same grid.
        height: of the picture, in pixels.

    Attributes:
        scan, segmentation: what is shown.
        picture: planes and 3D.
        structures: {id: its checkbox} of the list; with its tick goes the structure.
        every, no: buttons that tick all of them, or none.
        window, opacity: how it is drawn.
        table: all that is known of the structures, as HTML.
        place_mm: where the planes cross, RAS+, once the browser has said so; ``None`` before.
        place: what lies there, as HTML.

    Raises:
        GridError: the segmentation lies on another grid.
    """

    def __init__(self, scan: Scan, segmentation: Segmentation | None, height: int) -> None:
        self.scan = scan
        if segmentation is None:
            segmentation = Segmentation(np.zeros(scan.grid.shape, np.uint8), scan.grid, {})
        self.segmentation = _of_scan(segmentation, scan)
        self.picture = NiiVuePicture(scan, segmentation.labels, SOFT_TISSUE_WINDOW, height)
        self.place_mm: Float3 | None = None
        self.structures: dict[int, Checkbox] = {}
        self.window = Dropdown(options=list(WINDOWS.items()), tooltip="HU window", layout=Layout(width="130px"))
        self.opacity = FloatSlider(
            0.5, min=0, max=1, step=0.05, readout=False, tooltip="opacity", layout=Layout(width="130px")
        )
        self.table, self.place, self._list = HTML(), HTML(), VBox(layout=Layout(overflow="auto", flex="1 1 auto"))
        self.every, self.no = (Button(description=text, layout=Layout(width="60px")) for text in ("All", "None"))
        self._connect()
        self._fill()
        side = VBox(
            [HBox([self.window, self.opacity]), HBox([self.every, self.no]), self._list],
            layout=Layout(width="300px", height=f"{height}px", flex="0 0 auto"),
        )
        planes = VBox([self.picture.widget], layout=Layout(flex="1 1 auto", min_width="300px"))
        below = Accordion([self.table], titles=("Table",))
        super().__init__([HBox([planes, side]), self.place, *self._tools(), below])

    def show(self, segmentation: Segmentation) -> None:
        """Show another segmentation of the scan; what is hidden stays so.

        Raises:
            GridError: it lies on another grid.
        """
        self.segmentation = _of_scan(segmentation, self.scan)
        self.picture.show(segmentation.labels)
        self._fill()
        self._tell_place()

    def close(self) -> None:
        """Free what browser and kernel hold of it; it is not shown any more."""
        if hasattr(self, "picture"):  # widgets that were never finished are closed as well, by Python
            _close(self.picture.ct, self.picture.labels, *self.children, self.layout)
        super().close()

    def _tools(self) -> list[ipywidgets.Widget]:
        """What lies between picture and table."""
        return []

    def _connect(self) -> None:
        self.window.observe(lambda change: self.picture.set_window(change["new"]), "value")
        self.opacity.observe(lambda change: setattr(self.picture.labels, "opacity", change["new"]), "value")
        self.every.on_click(lambda _: self._tick_all(True))
        self.no.on_click(lambda _: self._tick_all(False))
        self.picture.on_place(self._move)

    def _fill(self) -> None:
        """List and table say what the segmentation says."""
        rows = sorted(self.segmentation.table(), key=lambda row: (row.voxels == 0, row.name))
        before = self.structures
        self.structures = {row.id: self._structure(row, before.get(row.id)) for row in rows}
        for key in before.keys() - self.structures.keys():
            _close(before[key])
        self._list.children = tuple(self.structures.values())
        self.table.value = _table(self.segmentation, rows)
        self._paint()

    def _structure(self, row: StructureRow, known: Checkbox | None) -> Checkbox:
        box = known
        if box is None:
            box = Checkbox(True, indent=False, layout=Layout(width="auto", margin="0 0 2px 0", flex="0 0 auto"))
            box.observe(self._paint, "value")
        box.description = f"{row.name} · {row.volume_ml:,.1f} ml"
        box.layout.border_left = f"12px solid {to_hex(self.segmentation.colours[row.id])}"
        return box

    def _paint(self, _: object = None) -> None:
        colours = self.segmentation.colours
        self.picture.labels.paint({key: colours[key] for key, box in self.structures.items() if box.value})

    def _tick_all(self, shown: bool) -> None:
        for box in self.structures.values():  # painted once, not once for each
            box.unobserve(self._paint, "value")
            box.value = shown
            box.observe(self._paint, "value")
        self._paint()

    def _move(self, place_mm: Float3) -> None:
        self.place_mm = place_mm
        self._tell_place()

    def _tell_place(self) -> None:
        if self.place_mm is None:
            return
        voxel = np.rint(self.scan.grid.to_voxel(np.array([self.place_mm]))[0]).astype(int)
        parts = [f"voxel {shown_voxel(voxel.tolist())}"]
        if ((voxel >= 0) & (voxel < self.scan.grid.shape)).all():
            parts.append(f"{self.scan.voxels[tuple(voxel)]:.0f} HU")
            parts.append(self.segmentation.names.get(int(self.segmentation.labels[tuple(voxel)]), ""))
        self.place.value = escape(" · ".join(filter(None, parts)))


def _of_scan(segmentation: Segmentation, scan: Scan) -> Segmentation:
    return replace(segmentation, scan=scan)


def _table(segmentation: Segmentation, rows: list[StructureRow]) -> str:
    def colour(row: StructureRow) -> str:
        return f'<span style="color:{to_hex(segmentation.colours[row.id])}">■</span> {escape(row.name)}'

    cells = [
        (colour(row), str(row.id), f"{row.volume_ml:,.1f}", _hu(row.mean_hu), _hu(row.sd_hu), escape(remark(row)))
        for row in rows
    ]
    return table(("structure", "id", "volume (ml)", "mean HU", "SD (HU)", ""), cells)


def _hu(value: float | None) -> str:
    return "" if value is None else f"{value:.0f}"


def _close(*widgets: ipywidgets.Widget) -> None:
    """Close widgets with all that lies in them, their layouts and their styles."""
    for widget in widgets:
        _close(*getattr(widget, "children", ()))
        for part in (getattr(widget, "layout", None), getattr(widget, "style", None), widget):
            if part is not None:
                part.close()
