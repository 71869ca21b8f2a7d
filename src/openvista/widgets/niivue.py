"""NiiVue in a notebook: a CT with a label map over it. What is sent to the browser, and what comes back.

The wire is ipyniivue's. A volume goes to the browser once, as a NIfTI file; of a label map that changes, only the
voxels that did.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from ipyniivue import LUT, MultiplanarType, NiiVue, ShowRender, Volume
from numpy.typing import NDArray

from openvista.anatomy.colours import Colour
from openvista.geometry.grid import Float3, Grid, triple
from openvista.io import write_scan
from openvista.report.slices import in_ras_order, informative_slices
from openvista.scan import Scan

Labels = NDArray[np.unsignedinteger]

_NO_LABELS = b"see LabelVolume.get_state"


class OneWayVolume(Volume):
    """A volume whose voxels the browser does not have to send back: the kernel has them."""

    def set_state(self, state: dict[str, Any]) -> None:
        """What the browser says of it, without its voxels."""
        super().set_state({key: value for key, value in state.items() if not key.startswith("chunk_img")})


class LabelVolume(OneWayVolume):
    """A label map that may change.

    Args:
        labels_XYZ: uint8 or uint16 ids.
        grid: where they lie.
        opacity: 0..1.
    """

    colormap_label: Any  # ipyniivue's trait, whose type mypy cannot tell

    def __init__(self, labels_XYZ: Labels, grid: Grid, opacity: float) -> None:
        self._grid = grid
        self._labels_XYZ = self._sent_XYZ = labels_XYZ
        super().__init__(data=_NO_LABELS, name="labels.nii.gz", opacity=opacity, colormap_label=LUT(lut=[0] * 8))
        self.img = labels_XYZ.ravel(order="F")

    def get_state(self, key: Any = None, drop_defaults: bool = False) -> dict[str, Any]:
        """What a browser needs to show it; one that loads the page again is given the labels as they are now."""
        state: dict[str, Any] = super().get_state(key, drop_defaults)
        if "data" in state:
            self._sent_XYZ = self._labels_XYZ
            state["data"] = as_nifti(self._labels_XYZ, self._grid)
        return state

    def change(self, labels_XYZ: Labels) -> None:
        """Show other labels, of the same shape and type."""
        self._labels_XYZ = labels_XYZ
        self.img = labels_XYZ.ravel(order="F")  # ipyniivue sends the voxels that differ

    def catch_up(self) -> None:
        """Send what has changed while the browser was still loading: it hears of no changes before it has loaded."""
        before = self._sent_XYZ.ravel(order="F")
        self._handle_binary_trait_change({"name": "img", "old": before, "new": self.img})

    def paint(self, colours: Mapping[int, Colour]) -> None:
        """Give ids their colours; ids without one are not shown."""
        table = np.zeros((max([*colours, 1]) + 1, 4), int)
        for key, colour in colours.items():
            table[key] = (*colour, 255)
        lut = table.ravel().tolist()
        if lut != self.colormap_label.lut:
            self.colormap_label = LUT(lut=lut, min=0, max=len(table) - 1)


class NiiVuePicture:
    """Three planes and a 3D view of a CT with labels; the patient's right is on the left.

    Args:
        scan: HU.
        labels_XYZ: ids on its grid.
        window: the lowest and highest HU that are told apart.
        height: in pixels.

    Attributes:
        widget: what to display.
        ct, labels: its volumes.
    """

    def __init__(self, scan: Scan, labels_XYZ: Labels, window: tuple[float, float], height: int) -> None:
        self._grid = scan.grid
        self.ct = OneWayVolume(
            data=as_nifti(scan.voxels, scan.grid),
            name="ct.nii.gz",
            colormap="gray",
            cal_min=window[0],
            cal_max=window[1],
        )
        self.labels = LabelVolume(labels_XYZ, scan.grid, opacity=0.5)
        self.widget = NiiVue(
            height=height,
            is_radiological_convention=True,
            sagittal_nose_left=True,
            is_force_mouse_click_to_voxel_centers=True,
            multiplanar_layout=MultiplanarType.GRID,
            multiplanar_show_render=ShowRender.ALWAYS,
            crosshair_width=0.25,
            crosshair_width_unit="percent",
            crosshair_gap=6,
            drag_and_drop_enabled=False,
            scroll_requires_focus=True,
            loading_text="",
            log_level="error",
        )
        self.widget.scene.render_azimuth, self.widget.scene.render_elevation = 150, 12
        self.widget.scene.crosshair_pos = _middle(labels_XYZ, scan.grid)
        self.widget.on_image_loaded(lambda volume: volume is self.labels and self.labels.catch_up())
        self.widget.load_volumes([self.ct, self.labels])

    def set_window(self, window: tuple[float, float]) -> None:
        """Choose the lowest and highest HU that are told apart."""
        self.ct.cal_min, self.ct.cal_max = window

    def show(self, labels_XYZ: Labels) -> None:
        """Show other labels."""
        if labels_XYZ.dtype == self.labels.img.dtype:
            self.labels.change(labels_XYZ)
            return
        wider = LabelVolume(labels_XYZ, self._grid, self.labels.opacity)
        wider.colormap_label, self.labels = self.labels.colormap_label, wider
        self.widget.load_volumes([self.ct, wider])

    def on_place(self, tell: Callable[[Float3], None]) -> None:
        """``tell`` is called with RAS+ mm wherever the planes come to cross."""
        self.widget.on_location_change(lambda location: tell(triple(location["mm"][:3])))

    def on_click(self, tell: Callable[[], None]) -> None:
        """``tell`` is called when the mouse is let go over a plane, after ``on_place`` was told where that is."""

        def released(data: Mapping[str, Any]) -> None:
            place = data["frac_pos"]  # of the volume; negative over the 3D view
            inside = min(place.values() if isinstance(place, dict) else place) >= 0
            if inside and not data["is_dragging"]:
                tell()

        self.widget.on_mouse_up(released)


def as_nifti(voxels_XYZ: NDArray[np.generic], grid: Grid) -> bytes:
    """A compressed NIfTI file of voxels whose place is told by one affine, as NiiVue understands it."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "volume.nii.gz"
        write_scan(Scan(voxels_XYZ, grid), path)
        return path.read_bytes()


def _middle(labels_XYZ: Labels, grid: Grid) -> list[float]:
    """Where the planes cross at first, as NiiVue counts: 0..1 along R, A, S."""
    labels_RAS = in_ras_order(labels_XYZ, grid)
    slices = informative_slices(labels_RAS)
    return [(index + 0.5) / size for index, size in zip(slices, labels_RAS.shape, strict=True)]
