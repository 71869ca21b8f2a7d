"""A CT of 512 x 512 x 400 voxels in the viewer, and local files that are shown before the server has them."""

import nibabel as nib
import numpy as np
import pytest
from large_ct import body_hu, write_body

MOST_MEMORY = 1.2e9
"""Bytes of JavaScript's heap with its array buffers."""
MOST_ANSWER = 20_000
"""Bytes that tell of one stroke of the brush; the label map has 105 million."""


def memory(page) -> float:
    client = page.context.new_cdp_session(page)
    client.send("HeapProfiler.collectGarbage")
    used = client.send("Runtime.getHeapUsage")
    return used["usedSize"] + used["backingStorageSize"]


def test_a_large_ct_is_seen_scrolled_and_painted_in_little_memory(viewer, tmp_path):
    page = viewer.page
    write_body(tmp_path / "large.nii.gz")
    fetched = []
    page.on("request", lambda request: fetched.append(request.url) if request.url.endswith("/image") else None)
    viewer.open(tmp_path / "large.nii.gz")
    assert viewer.scan()["shape"] == [512, 512, 400]
    assert fetched == []  # what the page has read itself need not come back
    assert memory(page) < MOST_MEMORY

    # sixty notches are sixty slices, however slow the machine
    page.mouse.move(*viewer.point("axial"))
    (x, y, before), _, _ = viewer.place()
    page.evaluate(
        """([x, y]) => { for (let turn = 0; turn < 60; turn++) document.elementFromPoint(x, y).dispatchEvent(
          new WheelEvent('wheel', { deltaY: 100, clientX: x, clientY: y, bubbles: true, cancelable: true })); }""",
        viewer.point("axial"),
    )
    viewer.wait_until_idle()
    (x, y, after), hu, _ = viewer.place()
    assert after == before - 60
    assert hu == body_hu()[x, y, after]

    page.keyboard.press("p")
    with page.expect_response("**/edits") as answer:
        at = viewer.point("axial", 40, 60)
        viewer.stroke([at, (at[0] + 20, at[1])])
    assert len(answer.value.body()) < MOST_ANSWER
    assert viewer.changed_by_labels().sum() > 100
    assert memory(page) < MOST_MEMORY


def held_upload(page):
    """Scans do not get to the server before what is returned is called."""
    waiting = []

    def hold(route):
        if route.request.method == "POST":
            waiting.append(route)
        else:
            route.continue_()

    page.route("**/api/v1/scans", hold)

    def let_go():
        while not waiting:
            page.wait_for_timeout(20)
        waiting.pop().continue_()
        page.unroute("**/api/v1/scans")

    return let_go


@pytest.mark.parametrize("kind", ["int16", "int16, scaled", "float32", "uint8", "uint16, wrapped"])
def test_a_local_file_is_shown_before_the_server_has_it(viewer, tmp_path, kind):
    page = viewer.page
    hu = body_hu((48, 40, 36))
    stored = {"float32": hu + np.float32(0.25), "uint8": (hu // 8 + 130).astype(np.uint8)}.get(kind, hu)
    image = nib.Nifti1Image(stored.view(np.uint16) if "wrapped" in kind else stored, np.diag([-3, 3, 4, 1]))
    if "scaled" in kind:
        image.header.set_slope_inter(0.5, -10)
        image = nib.Nifti1Image(stored * 0.5 - 10, None, image.header)
    nib.save(image, tmp_path / "local.nii")
    let_go = held_upload(page)
    page.wait_for_selector("dialog[open]")
    page.set_input_files("#open-file", str(tmp_path / "local.nii"))
    page.wait_for_selector(".place:not(:empty)")
    assert page.evaluate("location.hash") == ""
    assert page.is_disabled("#new-object")
    if "wrapped" not in kind:  # only the server knows that these are negative
        voxel, value, _ = viewer.place()
        assert abs(value - image.get_fdata()[voxel]) <= 0.5
    let_go()
    viewer.wait_for_picture()
    voxel, value, _ = viewer.place()
    wanted = hu if "wrapped" in kind else image.get_fdata()
    assert abs(value - wanted[voxel]) <= 0.5
    assert page.is_enabled("#new-object")


def test_what_was_open_comes_back_when_the_server_refuses_a_file(viewer, small_ct, tmp_path):
    page = viewer.page
    viewer.open(small_ct)
    before = (viewer.place(), viewer.session_id, viewer.picture())
    broken = body_hu((48, 40, 36)).astype(np.float32)
    broken[3, 4, 5] = np.nan
    nib.save(nib.Nifti1Image(broken, np.diag([-3, 3, 4, 1])), tmp_path / "broken.nii.gz")
    page.keyboard.press("o")
    page.set_input_files("#open-file", str(tmp_path / "broken.nii.gz"))
    page.get_by_text("NaN").wait_for()
    viewer.wait_until_idle()
    assert (viewer.place(), viewer.session_id) == before[:2]
    page.keyboard.press("Escape")
    assert np.abs(viewer.picture() - before[2])[: before[2].shape[0] // 2, : before[2].shape[1] // 2].max() < 0.1
