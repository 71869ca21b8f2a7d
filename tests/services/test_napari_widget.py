"""The plugin in napari's window, by mouse, on a virtual screen (Xvfb); and the page's example."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from openvista.io import read_grid, read_segmentation

pytest.importorskip("napari")

ROOT = Path(__file__).parents[2]
SECONDS = 600.0
DESKTOP = Path(__file__).with_name("napari_desktop.py")


@pytest.fixture(scope="module")
def folder(tmp_path_factory, example_ct) -> Path:
    """What the user of napari_desktop.py saw."""
    if shutil.which("xvfb-run") is None:
        pytest.skip("needs xvfb-run: run tests/services/install-debian-packages")
    made = tmp_path_factory.mktemp("napari")
    settings = {"NAPARI_CONFIG": str(made / "settings.yaml"), "PYTHONPATH": os.pathsep.join(sys.path)}
    screen = ["xvfb-run", "-a", "-s", "-screen 0 1400x1000x24"]
    called = [*screen, sys.executable, str(DESKTOP), str(example_ct), str(made)]
    done = subprocess.run(called, env=os.environ | settings, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, done.stderr
    return made


@pytest.fixture(scope="module")
def seen(folder) -> dict:
    return json.loads((folder / "seen.json").read_text())


@pytest.mark.parametrize(("plane", "across"), [("axial", 2), ("coronal", 1), ("sagittal", 0)])
def test_the_mouse_lands_on_the_voxel_of_an_oblique_scan_that_it_points_at(seen, plane, across):
    one = seen["oblique"][plane]
    bright = np.array([29, 9, 5])
    assert np.abs(np.array(one["clicked"]) - bright).max() < 0.5
    assert one["clicked"][across] == bright[across]
    assert one["painted"] == one["session"]
    assert len(one["painted"]) == 5  # the brush: a cross on the slice
    assert (np.mean(one["painted"], axis=0) == bright).all()
    assert one["left"] == 0


def test_classes_are_found_segmented_clicked_and_saved(seen, folder, example_ct):
    one = seen["starter"]
    assert one["found"] == ["spinal cord"]
    assert one["signs"] == [True, False]
    assert one["rows"] == len(one["names"]) >= 5
    saved = read_segmentation(one["file"])
    assert list(saved.names.values()) == one["names"]
    assert saved.grid.matches(read_grid(example_ct))


@pytest.mark.parametrize("picture", ["axial", "coronal"])
def test_the_window_shows_the_scan_and_the_widget(folder, picture):
    window = np.asarray(Image.open(folder / f"{picture}.png").convert("RGB")).astype(int)
    assert window.shape[0] > 800
    assert window.shape[1] > 1200
    assert len(np.unique(window.reshape(-1, 3), axis=0)) > 200


def test_labels_have_their_colours_on_the_canvas(seen, folder):
    canvas = np.asarray(Image.open(folder / "canvas.png").convert("RGB")).astype(int)
    chroma = canvas.max(axis=2) - canvas.min(axis=2)  # the CT is grey
    assert (chroma > 40).sum() > 50
    for colour in seen["starter"]["colours"]:
        wanted = np.array(colour) - np.mean(colour)
        hue = canvas - canvas.mean(axis=2, keepdims=True)
        alike = (hue @ wanted) / (np.linalg.norm(hue, axis=2) * np.linalg.norm(wanted) + 1e-9)
        assert ((alike > 0.97) & (chroma > 40)).any(), colour


def test_the_example_of_the_page_runs(tmp_path, example_ct):
    page = (ROOT / "docs" / "napari.md").read_text()
    (example,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    shutil.copy(example_ct, tmp_path / "ct.nii.gz")
    settings = {"NAPARI_CONFIG": str(tmp_path / "settings.yaml"), "PYTHONPATH": os.pathsep.join(sys.path)}
    called = [sys.executable, "-c", example]
    done = subprocess.run(
        called, env=os.environ | settings, cwd=tmp_path, capture_output=True, text=True, timeout=SECONDS
    )
    assert done.returncode == 0, done.stderr
    result = read_segmentation(tmp_path / "ct_seg.nii.gz")
    assert {"spinal cord", "brainstem"} <= set(result.names.values())
    assert result.grid.matches(read_grid(example_ct))
