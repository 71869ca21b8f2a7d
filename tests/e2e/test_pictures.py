"""The pictures of the viewer under docs/: ``OPENVISTA_PICTURES=docs make test-e2e`` makes them again."""

import os
from pathlib import Path

import numpy as np
import pytest

from openvista.geometry.grid import Grid
from openvista.io import write_segmentation
from openvista.scan import Segmentation

FOLDER = os.environ.get("OPENVISTA_PICTURES")


@pytest.mark.skipif(FOLDER is None, reason="OPENVISTA_PICTURES names no folder")
def test_pictures_in_dark_and_light(viewer, example_ct):
    viewer.open(example_ct)
    page = viewer.page
    page.click("button:has-text('Everything')")
    page.wait_for_selector("[data-row='mandible']")
    page.click("[data-object='larynx'] .name")
    viewer.wait_until_idle()
    for theme in ("dark", "light"):
        page.emulate_media(color_scheme=theme)
        page.mouse.move(5, 795)
        page.screenshot(path=str(Path(FOLDER or "") / f"viewer-{theme}.png"))


@pytest.mark.skipif(FOLDER is None, reason="OPENVISTA_PICTURES names no folder")
def test_picture_of_a_case_in_work(viewer, example_ct):
    """docs/viewer.md: axial plane, one object as an outline, measurements, steps."""
    viewer.open(example_ct)
    page = viewer.page
    page.click("button:has-text('Everything')")
    page.wait_for_selector("[data-row='mandible']")
    page.click("[data-object='left parotid'] .name")
    viewer.wait_until_idle()
    page.keyboard.press("1")
    page.mouse.move(*viewer.point("axial"))
    viewer.zoom_in(9)
    page.keyboard.press("f")

    def drag(key, *points):
        page.keyboard.press(key)
        viewer.stroke(points)

    def at(right, down):
        x, y = viewer.point("axial")
        frame = page.locator(".layer").bounding_box()
        return x + frame["width"] / 4 + right, y + frame["height"] / 4 + down

    drag("m", at(-240, -130), at(20, -130))
    drag("e", at(-75, 90), at(5, 150))
    page.wait_for_selector("[data-measure='ellipse']")
    drag("p", at(80, -60), at(95, -20), at(95, 30))
    page.select_option("#scan-state", "review")
    page.keyboard.press("n")
    page.mouse.move(5, 795)
    viewer.wait_until_idle()
    page.screenshot(path=str(Path(FOLDER or "") / "viewer-case.png"))


@pytest.mark.skipif(FOLDER is None, reason="OPENVISTA_PICTURES names no folder")
def test_picture_of_a_comparison(viewer, example_ct, tmp_path):
    """docs/viewer.md: the left parotid of the starter beside one that is moved and a little larger."""
    viewer.open(example_ct)
    page = viewer.page
    viewer.segment("left parotid")
    found = viewer.segmentation()
    moved = np.roll(np.asanyarray(found.dataobj) > 0, (1, 1), axis=(0, 2))
    other = (moved | np.roll(moved, 1, axis=1)).astype(np.uint8)
    file = tmp_path / "by hand.nii.gz"
    write_segmentation(Segmentation(other, Grid(other.shape, found.affine), {1: "left parotid"}), file)
    page.click("#tab-compare")
    page.set_input_files("#compare-file", str(file))
    page.wait_for_selector("[data-compared]")
    page.mouse.move(*viewer.point("axial"))
    viewer.zoom_in(8)
    page.mouse.move(5, 795)
    viewer.wait_until_idle()
    page.screenshot(path=str(Path(FOLDER or "") / "viewer-compare.png"))
