"""The pictures of the viewer under docs/: ``OPENVISTA_PICTURES=docs make test-e2e`` makes them again."""

import os
from pathlib import Path

import pytest

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
