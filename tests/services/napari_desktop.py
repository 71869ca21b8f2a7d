"""What a user does in napari's window, by mouse: started by test_napari_widget.py on a virtual screen.

``python napari_desktop.py CT FOLDER`` writes pictures and ``seen.json`` into the folder.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import napari
import numpy as np
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication
from scipy.spatial.transform import Rotation

from napari_openvista.engine import Engine, LocalSession
from napari_openvista.layers import scan_layer, segmentation_of
from napari_openvista.placing import Placing
from napari_openvista.planes import show_plane
from small_sessions import bright_scan, bright_session

SECONDS = float(os.environ.get("OPENVISTA_TEST_SECONDS", "300"))


class GivenEngine(Engine):
    """A network that sees brightness."""

    def open(self, scan):
        return LocalSession(bright_session(scan))


def wait(until: Callable[[], bool]) -> None:
    end = time.monotonic() + SECONDS
    while not until():
        QApplication.processEvents()
        time.sleep(0.02)
        assert time.monotonic() < end, "it takes too long"
    for _ in range(5):
        QApplication.processEvents()


def canvas_point(viewer: napari.Viewer, world: np.ndarray) -> QPoint:
    """Where a place of the world is on the canvas."""
    canvas = viewer.window._qt_viewer.canvas
    camera, shown = viewer.scene.camera, list(viewer.dims.displayed)
    down = np.array([1 if camera.orientation2d[0] == "down" else -1, 1])
    away = (np.array(world)[shown] - np.array(camera.center)[-2:]) * camera.zoom * down
    row, column = np.array([canvas.native.height(), canvas.native.width()]) / 2 + away
    return QPoint(round(column), round(row))


def click(viewer: napari.Viewer, world: np.ndarray) -> None:
    QTest.mouseClick(viewer.window._qt_viewer.canvas.native, Qt.MouseButton.LeftButton, pos=canvas_point(viewer, world))


def drag(viewer: napari.Viewer, *worlds: np.ndarray) -> None:
    native = viewer.window._qt_viewer.canvas.native
    first, *points = (canvas_point(viewer, world) for world in worlds)
    QTest.mouseMove(native, first)
    QTest.mousePress(native, Qt.MouseButton.LeftButton, pos=first)
    for point in points:
        QTest.mouseMove(native, point)
        QApplication.processEvents()
    QTest.mouseRelease(native, Qt.MouseButton.LeftButton, pos=points[-1])


def oblique(viewer: napari.Viewer, widget) -> dict:
    """Click on a bright voxel of an oblique scan, draw over it, undo, in each plane."""
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", (9, -14, 20), degrees=True).as_matrix() @ np.diag([-2, -2.5, 3])
    affine[:3, 3] = (10, -60, 700)
    bright = np.zeros((40, 32, 24), dtype=bool)
    bright[29, 9, 5] = True
    data, choices, _ = scan_layer(bright_scan(bright, affine))
    image = viewer.add_image(data, **choices)
    controller = widget.controller
    widget.engine = lambda: GivenEngine()
    widget.scans.setCurrentText(image.name)
    widget.add_object("spot")
    wait(lambda: controller.waiting == 0 and controller.clicks is not None)
    (place,) = np.argwhere(np.asarray(image.data) > 0)
    seen = {}
    for plane in ("axial", "coronal", "sagittal"):
        show_plane(viewer, plane)
        viewer.dims.point = image.data_to_world(place)
        widget.tools[0].click()
        wait(lambda: viewer.layers.selection.active is controller.clicks)
        click(viewer, image.data_to_world(place))
        wait(lambda: controller.waiting == 0 and len(controller.items[0].clicks) == 1)
        voxel = controller.items[0].clicks[0][0]
        widget.tools[2].click()
        QApplication.processEvents()
        controller.labels.brush_size = 3
        drag(viewer, image.data_to_world(place), image.data_to_world(place))
        wait(lambda: controller.waiting == 0)
        painted = np.argwhere(segmentation_of(controller.labels).labels).tolist()
        session = np.argwhere(controller._session.labels()).tolist()
        seen[plane] = {"clicked": [round(part, 3) for part in voxel], "painted": painted, "session": session}
        widget.undo.click()
        widget.undo.click()
        wait(lambda: controller.waiting == 0 and not controller.items[0].clicks)
        seen[plane]["left"] = int(np.asarray(controller.labels.data).sum())
    controller.close()
    viewer.layers.clear()
    return seen


def starter(viewer: napari.Viewer, widget, ct: Path, folder: Path) -> dict:
    """Open a CT with the reader, find a class, segment all, click with both signs, look from the front, save."""
    del widget.engine
    viewer.open(ct, plugin="napari-openvista")
    image, controller = viewer.layers[0], widget.controller
    widget.search.setText("cord")
    rows = [widget.classes.item(row) for row in range(widget.classes.count())]
    found = [row.text() for row in rows if not row.isHidden()]
    widget.search.clear()
    widget.everything.click()
    wait(lambda: controller.waiting == 0 and bool(controller.items))
    before = segmentation_of(controller.labels)
    cord = before.id_of("spinal cord")
    middle = np.median(np.argwhere(before.labels == cord), axis=0)
    world = image.data_to_world(Placing.of_layer(image).layer_places(middle)[0])
    viewer.dims.point = world
    controller.choose(cord)
    widget.tools[0].click()
    for number, button in enumerate((widget.plus, widget.minus), start=1):
        button.click()
        click(viewer, np.add(world, (0, 0, 40.0 * (number - 1))))
        wait(lambda number=number: controller.waiting == 0 and len(controller.clicks.data) == number)
    signs = [sign for item in controller.items if item.id == cord for _, sign in item.clicks]
    viewer.window.screenshot(str(folder / "axial.png"), flash=False, canvas_only=False)
    viewer.screenshot(str(folder / "canvas.png"), flash=False)
    show_plane(viewer, "coronal")
    QApplication.processEvents()
    viewer.window.screenshot(str(folder / "coronal.png"), flash=False, canvas_only=False)
    (path,) = controller.labels.save(str(folder / "labels.seg.nrrd"), plugin="napari-openvista")
    after = segmentation_of(controller.labels)
    shown = after.labels[:, :, int(middle[2])]
    return {
        "found": found,
        "signs": signs,
        "file": path,
        "names": list(after.names.values()),
        "colours": [after.colours[int(key)] for key in np.unique(shown[shown > 0])],
        "rows": widget.objects.count(),
    }


def main(ct: str, folder: str) -> None:
    viewer = napari.Viewer(show=True)
    viewer.window.resize(1360, 940)
    _, widget = viewer.window.add_plugin_dock_widget("napari-openvista", "OpenVISTA")
    QApplication.processEvents()
    seen = {"oblique": oblique(viewer, widget), "starter": starter(viewer, widget, Path(ct), Path(folder))}
    (Path(folder) / "seen.json").write_text(json.dumps(seen))
    widget.close()
    viewer.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
