"""Make the pictures of docs/ again: ``python docs/site/pictures.py [NAME ...]``, from the root of the repository.

The demo picture and those of clicks need the extra ``report``; those of reports need Chromium and the extra ``e2e``.
Pictures of the viewer are made by ``OPENVISTA_PICTURES=docs make test-e2e``.
"""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

import openvista as ov
from openvista.io import read_labels
from openvista.metrics.masks import dice as overlap
from openvista.report.slices import radiological

DOCS = Path("docs")
CT, LABELS = Path("examples/data/head_neck_ct.nii.gz"), Path("examples/data/head_neck_labels.nii.gz")
PAROTID, LARYNX = 3, 6  # in the label map
LARYNX_CLICKS = [((60, 40, 60), True), ((58, 41, 65), True), ((63, 41, 66), True), ((66, 38, 61), False)]
"""Each in the middle of the largest error, as protocol ``clicks`` places them."""
BACKGROUND, TEXT, TRUTH, MASK, WRONG = "#0d1117", "#e6edf3", "#ffd21f", "#4fd1a5", "#ff6b5e"


def demo() -> None:
    """What ``make demo`` draws."""
    with tempfile.TemporaryDirectory() as folder:
        run("segment", CT, "-o", folder, "--preview")
        shutil.copy(Path(folder, "head_neck_ct_seg.png"), DOCS / "demo.png")


def correction() -> None:
    """The front page's click: the right parotid before and after it."""
    session = ov.load_model("starter").open(ov.read_scan(CT))
    session.segment(["right parotid"])
    before = session.mask("right parotid")
    session.click((70, 41, 82), "right parotid")
    views = [("as segmented", before, []), ("after one click", session.mask("right parotid"), [((70, 41, 82), True)])]
    draw(DOCS / "correction.png", PAROTID, views, axis=2, index=82)


def clicks() -> None:
    """A larynx made of clicks, without telling the model what it is."""
    session = ov.load_model("starter").open(ov.read_scan(CT))
    thing = session.new_object("something")
    views = []
    for number, (at, positive) in enumerate(LARYNX_CLICKS, start=1):
        session.click(at, thing, positive=positive)
        views.append((f"click {number}", session.mask(thing), LARYNX_CLICKS[:number]))
    draw(DOCS / "clicks.png", LARYNX, views, axis=1, index=40)


def report() -> None:
    """The page of ``segment --report``."""
    with tempfile.TemporaryDirectory() as folder:
        run("segment", CT, "-o", folder, "--report")
        photograph(Path(folder, "head_neck_ct_seg.html"), DOCS / "report.png")


def cohort() -> None:
    """The report of ``batch`` on the CTs of the examples."""
    with tempfile.TemporaryDirectory() as folder:
        scans = sorted(Path("examples/data").glob("*_ct.nii.gz"))
        run("batch", *scans, "-o", folder, "--workers", "1")
        photograph(Path(folder, "report.html"), DOCS / "cohort.png")


def scores() -> None:
    """The report of ``evaluate`` on the CT of the examples, which chose weights of the starter."""
    with tempfile.TemporaryDirectory() as folder:
        run("evaluate", "examples/data/dataset.json", "--split", "training", "-o", folder)
        photograph(Path(folder, "report.html"), DOCS / "scores.png")


def run(*arguments: object) -> None:
    subprocess.run([sys.executable, "-m", "openvista", *map(str, arguments)], check=True)


def photograph(page: Path, picture: Path) -> None:
    """The top of a page, as a browser of 1100 pixels shows it."""
    from playwright.sync_api import sync_playwright

    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        view = browser.new_page(viewport={"width": 1100, "height": 900}, color_scheme="light")
        view.goto(page.resolve().as_uri())
        view.screenshot(path=str(picture))
        browser.close()


def draw(
    picture: Path,
    label: int,
    views: Sequence[tuple[str, NDArray[np.bool_], Sequence[tuple[tuple[int, int, int], bool]]]],
    axis: int,
    index: int,
) -> None:
    """A slice for each view: the mask filled, the physicians' contour, the clicks.

    Args:
        picture: the PNG file.
        label: value of the structure in the label map.
        views: name, mask [X, Y, Z], clicks so far.
        axis: what the slice cuts. The example's axes run RAS, so planes need no turning.
        index: of the slice.
    """
    scan, truth = ov.read_scan(CT), read_labels(LABELS)[0] == label
    spacing = np.delete(scan.grid.spacing, axis)
    figure = Figure(figsize=(3.6 * len(views), 4.0), dpi=100, facecolor=BACKGROUND)
    plane = radiological(truth, axis, index)
    rows, columns = (np.flatnonzero(plane.any(axis=1 - one)) for one in (0, 1))
    for place, (name, mask, given) in enumerate(views):
        panel: Any = figure.add_axes((place / len(views) + 0.004, 0.02, 1 / len(views) - 0.008, 0.86))
        panel.imshow(
            radiological(scan.voxels, axis, index),
            cmap="gray",
            vmin=-160,
            vmax=240,
            aspect=spacing[1] / spacing[0],
            interpolation="bicubic",
        )
        here = radiological(mask, axis, index).astype(float)
        panel.contourf(here, levels=[0.5, 2], colors=[MASK], alpha=0.45)
        panel.contour(plane.astype(float), levels=[0.5], colors=[TRUTH], linewidths=1.6)
        for at, positive in given:
            x, y = click_in_plane(at, axis, scan.voxels.shape)
            panel.plot(x, y, "o", color=MASK if positive else WRONG, markeredgecolor="black", markersize=9)
        panel.set_xlim(columns[0] - 9, columns[-1] + 9)
        panel.set_ylim(rows[-1] + 9, rows[0] - 9)
        panel.set_axis_off()
        panel.set_title(f"{name}: Dice {overlap(mask, truth):.3f}", color=TEXT, fontsize=12)
    figure.savefig(picture, facecolor=BACKGROUND, bbox_inches="tight", pad_inches=0.08)


def click_in_plane(at: tuple[int, int, int], axis: int, shape: tuple[int, ...]) -> tuple[float, float]:
    """Column and row of a voxel in the picture of its slice."""
    mark = np.zeros(shape, bool)
    mark[at] = True
    (row,), (column,) = np.nonzero(radiological(mark, axis, at[axis]))
    return float(column), float(row)


if __name__ == "__main__":
    made = {one.__name__: one for one in (demo, correction, clicks, report, cohort, scores)}
    for name in sys.argv[1:] or made:
        made[name]()
