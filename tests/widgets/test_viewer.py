"""A scan with its structures in a notebook: list, table, place, and what is refused."""

import subprocess
import sys

import ipywidgets
import numpy as np
import pytest

import openvista as ov
from openvista.errors import GridError, MissingExtraError
from openvista.geometry.grid import Grid

GRID = Grid((6, 5, 4), np.diag([-2.0, -2.0, 5.0, 1.0]))
SCAN = ov.Scan(np.arange(120, dtype=np.int16).reshape(GRID.shape), GRID)


def segmentation(grid: Grid = GRID) -> ov.Segmentation:
    labels = np.zeros(grid.shape, np.uint8)
    labels[1:3, 1:3, 1:3] = 1
    labels[4, :, 1] = 201
    names = {1: "liver", 201: "<lesion>", 3: "spleen"}
    return ov.Segmentation(labels, grid, names, {1: (255, 0, 16)})


def lut(viewer) -> np.ndarray:
    return np.reshape(viewer.picture.labels.colormap_label.lut, (-1, 4))


def test_the_list_has_colours_and_volumes(browser):
    viewer = ov.view(SCAN, segmentation())
    listed = [box.description for box in viewer.structures.values()]
    assert listed == ["<lesion> · 0.1 ml", "liver · 0.2 ml", "spleen · 0.0 ml"]
    assert viewer.structures[1].layout.border_left == "12px solid #ff0010"
    assert lut(viewer)[1].tolist() == [255, 0, 16, 255]


def test_ticks_hide_and_show(browser):
    viewer = ov.view(SCAN, segmentation())
    viewer.structures[1].value = False
    assert lut(viewer)[[1, 201], 3].tolist() == [0, 255]
    viewer.show(segmentation())
    assert lut(viewer)[[1, 201], 3].tolist() == [0, 255]  # what is hidden stays so
    painted = []
    viewer.picture.labels.observe(painted.append, "colormap_label")
    viewer.no.click()
    assert not lut(viewer).any()
    assert len(painted) == 1
    viewer.every.click()
    assert lut(viewer)[[1, 201], 3].tolist() == [255, 255]


def test_the_table_says_what_segmentation_table_says(browser):
    viewer = ov.view(SCAN, segmentation())
    for row in segmentation().table():
        assert f"{row.volume_ml:.1f}</td>" in viewer.table.value
    assert "touches the border" in viewer.table.value
    assert "not found" in viewer.table.value
    assert "&lt;lesion&gt;" in viewer.table.value
    assert "<lesion>" not in viewer.table.value


def test_the_line_below_says_what_lies_where_the_planes_cross(browser):
    viewer = ov.view(SCAN, segmentation())
    browser.point(viewer.picture.widget, GRID.to_world(np.array([[2, 1, 2]]))[0])
    assert viewer.place.value == f"voxel (2, 1, 2) · {SCAN.voxels[2, 1, 2]} HU · liver"
    browser.point(viewer.picture.widget, GRID.to_world(np.array([[9, 1, 2]]))[0])
    assert viewer.place.value == "voxel (9, 1, 2)"


def test_window_and_opacity(browser):
    viewer = ov.view(SCAN)
    viewer.window.label = "Lung"
    assert (viewer.picture.ct.cal_min, viewer.picture.ct.cal_max) == (-1350, 150)
    viewer.opacity.value = 0.2
    assert viewer.picture.labels.opacity == 0.2


def test_other_structures_take_the_place_of_those_before(browser):
    viewer = ov.view(SCAN)
    assert viewer.structures == {}
    viewer.show(segmentation())
    assert list(viewer.structures) == [201, 1, 3]
    browser.load(viewer.picture.widget)
    viewer.show(ov.Segmentation(segmentation().labels, GRID, {1: "liver"}))
    assert list(viewer.structures) == [1]


def test_another_grid_is_refused(browser):
    with pytest.raises(GridError, match="different grids"):
        ov.view(SCAN, segmentation(Grid(GRID.shape, np.eye(4))))


def test_close_leaves_no_widget_behind(browser):
    def all_widgets() -> set:
        return set(ipywidgets.widgets.widget._instances)

    before = all_widgets()
    viewer = ov.view(SCAN, segmentation())
    viewer.show(ov.Segmentation(segmentation().labels, GRID, {1: "liver"}))
    assert all_widgets() != before
    viewer.close()
    left = [type(ipywidgets.widgets.widget._instances[key]).__name__ for key in all_widgets() - before]
    assert left == []


def test_without_the_extra_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "ipyniivue", None)
    for name in [name for name in sys.modules if name.startswith("openvista.widgets.")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(MissingExtraError, match=r"ipyniivue is needed .* pip install 'openvista\[notebook\]'"):
        ov.view(SCAN)


def test_nothing_is_loaded_before_it_is_needed():
    code = "import openvista, sys; openvista.view; print({'ipyniivue', 'ipywidgets'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
