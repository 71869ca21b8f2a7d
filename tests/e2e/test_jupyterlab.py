"""The notebook's widget in JupyterLab: drawn, clicked on, and nothing is fetched from elsewhere."""

import io
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib import image as png

pytest.importorskip("jupyterlab", reason="pip install 'openvista[e2e]'")

PICTURES = os.environ.get("OPENVISTA_PICTURES")
CELLS = (
    "import openvista as ov\nmodel = ov.load_model('starter')\nsession = model.open(ov.read_scan('ct.nii.gz'))",
    "session.segment('larynx')\nview = session.view()\nview",
    "session.segment()\nview.refresh()",  # before the browser has loaded what the cell above sends
)
SETTINGS = {
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "apputils-extension/themes": {"theme": "JupyterLab Light", "adaptive-theme": False},
}
START_SECONDS = 120


@pytest.fixture(scope="module")
def lab(tmp_path_factory, example_ct: Path) -> Iterator[str]:
    """The address of a notebook in a JupyterLab of its own, without the user's settings."""
    folder = tmp_path_factory.mktemp("lab")
    shutil.copy(example_ct, folder / "ct.nii.gz")
    empty = {"cell_type": "code", "metadata": {}, "execution_count": None, "outputs": []}
    cells = [{**empty, "id": f"cell-{number}", "source": text} for number, text in enumerate(CELLS)]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    (folder / "look.ipynb").write_text(json.dumps(notebook))
    for name, values in SETTINGS.items():
        path = folder / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values))
    own = {"JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data", "JUPYTERLAB_SETTINGS_DIR": "settings"}
    own |= {"JUPYTER_RUNTIME_DIR": "runtime", "JUPYTERLAB_WORKSPACES_DIR": "workspaces", "IPYTHONDIR": "ipython"}
    environment = {**os.environ, **{name: str(folder / place) for name, place in own.items()}}
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--port=0", "--ip=127.0.0.1"]
    command += ["--IdentityProvider.token=secret", f"--ServerApp.root_dir={folder}"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    timer = threading.Timer(START_SECONDS, process.kill)
    timer.start()
    try:
        for line in process.stderr or ():
            if found := re.search(r"http://127\.0\.0\.1:\d+", line):
                break
        else:
            raise AssertionError(f"JupyterLab ended with {process.wait()} before it printed its address")
        timer.cancel()
        threading.Thread(target=lambda: [None for _ in process.stderr or ()], daemon=True).start()
        yield f"{found.group()}/doc/tree/look.ipynb?token=secret"
    finally:
        timer.cancel()
        process.terminate()
        process.wait(60)


@pytest.fixture
def widget(browser, lab) -> Iterator["Widget"]:
    """The widget in a notebook whose cells have run, in a browser that has asked nobody else."""
    context = browser.new_context(viewport={"width": 1280, "height": 1000})
    page = context.new_page()
    page.set_default_timeout(300_000)  # a busy machine without a graphics card
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(lab)
    page.wait_for_selector("text=/Python 3 .* Idle/")
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    yield Widget(page)
    context.close()
    here = lab.split("/doc")[0]
    assert [url for url in asked if not url.startswith((here, "blob:", "data:"))] == []


class Widget:
    """The widget as a user's hands and eyes."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.canvas = page.locator(".jp-OutputArea canvas").first
        self.wait_until_drawn()

    def wait_until_drawn(self) -> None:
        """There are labels of all structures, in colours, on every tile."""
        self.page.wait_for_selector("label:has-text('mandible')")
        for _ in range(300):
            picture = self.picture()
            colourful = (picture.max(axis=2) - picture.min(axis=2)) > 0.2
            if colourful.mean() > 0.01:
                return
            self.page.wait_for_timeout(1000)
        raise AssertionError("nothing was drawn in five minutes")

    def picture(self) -> np.ndarray:
        """What NiiVue has drawn: float [rows, columns, RGB], 0..1."""
        self.page.mouse.move(5, 5)
        self.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        return png.imread(io.BytesIO(self.canvas.screenshot()))[..., :3]

    def volume_ml(self, name: str) -> float:
        """What the list says of a structure."""
        return float(self.page.locator(f"label:has-text('{name}')").inner_text().split(" · ")[1].removesuffix(" ml"))

    def pixels_of(self, name: str) -> np.ndarray:
        """[rows, columns] where the picture changes when a structure is hidden; it is shown again."""
        shown = self.picture()
        self.page.locator(f"label:has-text('{name}')").click()
        hidden = self.settled(shown)
        self.page.locator(f"label:has-text('{name}')").click()
        self.settled(hidden)
        return np.abs(shown - hidden).max(axis=2) > 0.05

    def settled(self, before: np.ndarray) -> np.ndarray:
        """The picture, once it is another one and stays so."""
        last = before
        for _ in range(300):
            self.page.wait_for_timeout(300)
            now = self.picture()
            if np.array_equal(now, last) and not np.array_equal(now, before):
                return now
            last = now
        raise AssertionError("the picture did not change")

    def click(self, row: int, column: int) -> None:
        """Click on a pixel of the picture."""
        frame = self.canvas.bounding_box()
        self.page.mouse.click(frame["x"] + column + 0.5, frame["y"] + row + 0.5)


def test_look_click_undo_and_load_again(widget):
    page = widget.page
    rows, columns = (size // 2 for size in widget.picture().shape[:2])
    seen = widget.pixels_of("larynx")
    assert all(tile.any() for tile in (seen[:rows, :columns], seen[:rows, columns:], seen[rows:, columns:]))
    assert widget.pixels_of("mandible")[:rows].any()  # though it came before the browser had loaded
    places = np.argwhere(seen[:rows, :columns])
    row, column = places[np.abs(places - places.mean(0)).sum(1).argmin()]
    widget.click(row, column)
    page.wait_for_selector("text=/voxel .* HU · larynx/")

    before, volume = widget.picture(), widget.volume_ml("larynx")
    page.get_by_placeholder("object or class").fill("airway")
    page.get_by_placeholder("object or class").press("Enter")
    page.get_by_role("button", name="New object").click()
    page.wait_for_selector("text=airway: click on it")
    page.get_by_role("button", name="Click +").click()
    widget.click(row, column)
    page.wait_for_selector("text=/airway: .* s/")
    clicked, airway = widget.settled(before), widget.volume_ml("airway")
    assert airway > 1
    assert widget.volume_ml("larynx") < volume
    if PICTURES:
        page.locator(".jp-OutputArea-output:has(canvas)").screenshot(path=str(Path(PICTURES) / "notebook.png"))

    page.keyboard.press("Control+s")
    page.wait_for_selector("text=/voxel .* HU · airway/")
    page.wait_for_timeout(2000)
    page.reload()
    widget.wait_until_drawn()
    assert widget.volume_ml("airway") == airway
    again = widget.picture()
    assert (np.abs(again - clicked).max(axis=2) > 0.05).sum() < 20  # pixels
    assert (np.abs(again - before).max(axis=2) > 0.05).sum() > 200
    page.get_by_role("button", name="Undo").click()
    widget.settled(again)
    assert (widget.volume_ml("airway"), widget.volume_ml("larynx")) == (0, volume)
