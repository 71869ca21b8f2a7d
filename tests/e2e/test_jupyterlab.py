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

import nibabel as nib
import numpy as np
import pytest
from matplotlib import image as png

pytest.importorskip("jupyterlab", reason="pip install 'openvista[e2e]'")

PICTURES = os.environ.get("OPENVISTA_PICTURES")
CELLS = (
    "import openvista as ov\nmodel = ov.load_model('starter')\nsession = model.open(ov.read_scan('ct.nii.gz'))\n"
    "session.segment()\nprint('ready')",
    "session.view()",
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


@pytest.fixture(scope="module")
def page(browser, lab) -> Iterator:
    """The notebook with all its cells run, and the widget drawn."""
    context = browser.new_context(viewport={"width": 1280, "height": 1000})
    opened = context.new_page()
    opened.set_default_timeout(300_000)
    asked: list[str] = []
    opened.on("request", lambda request: asked.append(request.url))
    opened.goto(lab)
    opened.wait_for_selector(".jp-Notebook .jp-Cell")
    opened.get_by_role("menuitem", name="Run", exact=True).click()
    opened.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    opened.wait_for_selector(".jp-OutputArea canvas")
    opened.wait_for_selector("text=mandible")
    yield opened
    context.close()
    here = lab.split("/doc")[0]
    assert [url for url in asked if not url.startswith((here, "blob:", "data:"))] == []


def picture(page) -> np.ndarray:
    """What NiiVue has drawn: float [rows, columns, RGB], 0..1."""
    page.mouse.move(5, 5)
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return png.imread(io.BytesIO(page.locator(".jp-OutputArea canvas").first.screenshot()))[..., :3]


def test_look(page):
    page.wait_for_timeout(15000)
    page.screenshot(path="/tmp/nb_lab.png")
    a = picture(page)
    print(a.shape, a.mean())
