"""A second segmentation beside the session, in a browser."""

import csv
import io
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from viewer import Viewer

from openvista.geometry.grid import Grid
from openvista.io import write_segmentation
from openvista.metrics.masks import measure_masks
from openvista.scan import Segmentation

POINTS_IN = """path => {
  const toPath = path.getScreenCTM().inverse();
  const frame = path.getBoundingClientRect();
  const found = [];
  for (let x = frame.left + 2; x < frame.right; x += 6)
    for (let y = frame.top + 2; y < frame.bottom; y += 6)
      if (path.isPointInFill(new DOMPoint(x, y).matrixTransform(toPath))) found.push([x, y]);
  return found;
}"""
"""Places on the page that a path fills."""


@pytest.fixture
def turned(small_ct: Path, tmp_path: Path) -> Path:
    """A CT whose axes run another way than the display's."""
    path = tmp_path / "turned.nii.gz"
    nib.save(nib.load(small_ct).as_reoriented(np.array([[2, -1], [0, 1], [1, -1]])), path)
    return path


def label_file(path: Path, mask: np.ndarray, affine: np.ndarray, name: str = "mandible") -> Path:
    return write_segmentation(Segmentation(mask.astype(np.uint8), Grid(mask.shape, affine), {1: name}), path)


def compare(viewer: Viewer, path: Path) -> None:
    if not viewer.page.locator("#compare-file").is_visible():
        viewer.page.click("#tab-compare")
    viewer.page.set_input_files("#compare-file", str(path))
    viewer.wait_until_idle()


def cells(viewer: Viewer, name: str) -> list[str]:
    return viewer.page.locator(f"[data-compared='{name}'] td").all_inner_texts()


def expected(first: np.ndarray, second: np.ndarray, affine: np.ndarray) -> list[str]:
    found = measure_masks(first, second, Grid(first.shape, affine))
    return [f"{found.dice:.3f}", f"{found.truth_ml:.2f}", f"{found.predicted_ml:.2f}", f"{found.hd95_mm:.1f}"]


def test_two_segmentations_are_seen_and_measured(viewer, turned, tmp_path):
    viewer.open(turned)
    page, affine = viewer.page, nib.load(turned).affine
    viewer.segment("mandible")
    first = np.asanyarray(viewer.segmentation().dataobj) > 0
    second = np.roll(first, 4, axis=1)
    compare(viewer, label_file(tmp_path / "by hand.nii.gz", second, affine))
    assert cells(viewer, "mandible") == expected(first, second, affine)
    places = {kind: page.locator(f".only-{kind}").first.evaluate(POINTS_IN) for kind in ("first", "second")}
    for kind, wanted in (("first", first & ~second), ("second", second & ~first)):
        assert len(places[kind]) > 10
        for x, y in places[kind][:: len(places[kind]) // 5]:
            page.mouse.click(x, y)
            viewer.wait_until_idle()
            assert wanted[viewer.place()[0]], (kind, viewer.place())
    outline = page.locator(".outline.second").first.bounding_box()
    assert outline["width"] > 20
    page.keyboard.press("h")
    viewer.wait_until_idle()
    assert page.locator(".difference").count() == 0

    page.keyboard.press("h")
    page.keyboard.press("p")
    viewer.stroke([places["first"][0], places["first"][-1]], "right")
    page.click("[data-key='compare-again']")
    page.wait_for_selector(".outdated", state="detached")
    erased = np.asanyarray(viewer.segmentation().dataobj) > 0
    assert erased.sum() < first.sum()
    assert cells(viewer, "mandible") == expected(erased, second, affine)
    with page.expect_download() as download:
        page.click("[data-key='compare-csv']")
    assert download.value.suggested_filename == "turned_comparison.csv"
    row = next(csv.DictReader(io.StringIO(Path(download.value.path()).read_text())))
    assert (row["structure"], f"{float(row['dice']):.3f}") == ("mandible", cells(viewer, "mandible")[0])
    page.click("[data-key='compare-end']")
    viewer.wait_until_idle()
    assert page.locator(".difference").count() == 0
    assert not viewer.page.locator(".compared").is_visible()


def test_one_structure_of_another_session_is_shown_alone(viewer, small_ct):
    viewer.open(small_ct)
    page = viewer.page
    scan, server = viewer.scan()["id"], viewer.api().url.split("/api")[0]
    other = page.request.post(f"{server}/api/v1/sessions", data={"scan_id": scan}).json()["id"]
    for name in ("mandible", "larynx"):
        answer = page.request.post(f"{server}/api/v1/sessions/{other}/classes", data={"classes": [name]})
        assert answer.ok
    viewer.segment("mandible")
    page.click("#tab-compare")
    page.select_option("#compare-session", other)
    page.wait_for_selector("[data-compared='larynx']")
    assert cells(viewer, "mandible")[0] == "1.000"
    assert cells(viewer, "larynx")[:2] == ["–", "–"], "this session has none"
    viewer.wait_until_idle()
    assert page.locator(".only-second[d='']").count() == 3, "of structures that both have nothing differs"
    page.locator("[data-key='compared-larynx']").focus()
    page.keyboard.press("Enter")
    viewer.wait_until_idle()
    assert page.locator("[data-key='compared-larynx']").get_attribute("aria-pressed") == "true"
    assert page.locator(".only-second").first.evaluate(POINTS_IN)
    assert viewer.place()[2] != "larynx"


def test_what_cannot_be_compared_is_said_in_one_line(viewer, small_ct, tmp_path):
    viewer.open(small_ct)
    viewer.segment("mandible")
    image = nib.load(small_ct)
    compare(viewer, label_file(tmp_path / "cyst.nii.gz", np.ones(image.shape, bool), image.affine, "cyst"))
    other_grid = label_file(tmp_path / "small.nii.gz", np.ones((9, 9, 9), bool), image.affine)
    compare(viewer, other_grid)
    told = viewer.page.locator(".notice.error").all_inner_texts()
    assert "no structure is named in both segmentations: one has mandible, the other cyst" in told[0]
    assert "(9, 9, 9) and does not lie on the grid" in told[1]
    assert not any("\n" in text.strip() for text in told)
    assert viewer.page.locator(".difference").count() == 0
