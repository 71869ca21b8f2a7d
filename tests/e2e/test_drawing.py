"""What is drawn in the viewer, in a browser: brush, scribble, lasso, box, and slices between."""

import nibabel as nib
import numpy as np
import pytest


def test_a_brush_paints_what_is_seen_erases_and_is_undone(viewer, small_ct):
    viewer.open(small_ct)
    viewer.new_object()
    viewer.page.keyboard.press("p")
    viewer.page.keyboard.press("-")
    line = [viewer.point("axial", right, -10) for right in (-40, 40)]
    viewer.stroke(line)
    painted = np.asanyarray(viewer.segmentation().dataobj) > 0
    found = viewer.objects()["object 1"]
    assert (found["edits"], found["clicks"], found["voxels"]) == (["brush"], [], painted.sum())
    assert len(np.unique(np.argwhere(painted)[:, 2])) == 1  # a disk, on the slice that is shown
    assert viewer.labels_on_screen()["axial"] > 200
    voxels = []
    viewer.page.keyboard.press("n")
    for right in (-40, 0, 40):  # what was painted lies under the stroke
        viewer.page.mouse.click(*viewer.point("axial", right, -10))
        viewer.wait_until_idle()
        voxels.append(viewer.place()[0])
        assert viewer.place()[2] == "object 1"
    reach = viewer.objects()["object 1"]["voxels"]
    spacing = np.array(viewer.scan()["spacing"])
    first, last = (np.array(voxels[index]) * spacing for index in (0, -1))
    way = last - first
    places = np.argwhere(np.ones_like(painted)) * spacing
    share = ((places - first) @ way / (way @ way)).clip(0, 1)[:, None]
    distance = np.linalg.norm(places - first - share * way, axis=1).reshape(painted.shape)
    off_slice = np.arange(painted.shape[2]) != voxels[0][2]
    distance[:, :, off_slice] = np.inf
    assert painted[distance <= 4 - spacing.max()].all()  # whole voxels: a little is rounded
    assert not painted[distance > 4 + spacing.max()].any()

    viewer.page.keyboard.press("p")
    viewer.stroke([viewer.point("axial", 0, -10), viewer.point("axial", 1, -10)], "right")
    assert viewer.objects()["object 1"]["voxels"] < reach
    viewer.page.keyboard.press("Control+z")
    viewer.wait_until_idle()
    assert np.array_equal(np.asanyarray(viewer.segmentation().dataobj) > 0, painted)
    viewer.page.keyboard.press("Control+z")
    viewer.wait_until_idle()
    assert sum(viewer.labels_on_screen().values()) == 0


def test_a_scribble_is_a_prompt_for_or_against(viewer, small_ct):
    if not viewer.can_click():
        pytest.skip("the served model answers classes only")
    viewer.open(small_ct)
    page = viewer.page
    viewer.new_object()
    page.keyboard.press("s")
    viewer.stroke([viewer.point("axial", right, 10) for right in (-30, 30)])
    first = viewer.mask("object 1")
    clicks = viewer.objects()["object 1"]["clicks"]
    assert len(clicks) > 1
    assert all(click["positive"] and click["drawn"] for click in clicks)
    assert page.locator(".mark, .scribble").count() == 0, "marks of clicks that nobody made"
    assert viewer.shows(first)

    page.keyboard.press("s")
    page.keyboard.press("x")
    viewer.stroke([viewer.point("axial", right, 60) for right in (-20, 20)])
    assert {click["positive"] for click in viewer.objects()["object 1"]["clicks"]} == {True, False}
    page.keyboard.press("Control+z")
    viewer.wait_until_idle()
    assert np.array_equal(viewer.mask("object 1"), first)
    page.keyboard.press("Control+z")
    viewer.wait_until_idle()
    assert sum(viewer.labels_on_screen().values()) == 0


def test_a_brush_for_some_hu_only_and_objects_combined(viewer, small_ct):
    viewer.open(small_ct)
    page, hu = viewer.page, np.asanyarray(nib.load(small_ct).dataobj)
    viewer.new_object()
    page.keyboard.press("p")
    viewer.stroke([viewer.point("axial", right, -10) for right in (-40, 20)])
    viewer.new_object(2)
    page.check("#brush-hu")
    least, most = page.locator("[aria-label='HU, at least']"), page.locator("[aria-label='HU, at most']")
    middle = int(np.median(hu[hu > -30]))
    most.fill(str(middle))
    least.fill(str(middle + 1))
    least.press("Tab")
    assert least.input_value() == "-30", "no range: the last one stands again"
    least.fill("-29")
    least.press("Tab")
    viewer.stroke([viewer.point("axial", right, -10) for right in (-20, 40)])
    one, two = (viewer.mask(f"object {number}") for number in (1, 2))
    assert one.any()
    assert two.any()
    assert hu[one].max() > middle >= hu[two].max()

    def change(name):
        page.click("#change summary")
        page.select_option("#change-other", label="object 1")
        page.click(f"#change button:has(b:text-is('{name}'))")
        viewer.wait_until_idle()
        now = viewer.mask("object 2")
        page.keyboard.press("Control+z")
        viewer.wait_until_idle()
        return now

    assert np.array_equal(change("Add the other"), one | two)
    assert np.array_equal(change("Take the other away"), two & ~one)
    assert np.array_equal(change("Keep what both have"), two & one)
    assert (two & one).any()
    assert (two & ~one).any()


def test_a_lasso_is_the_region_and_a_box_leaves_no_marks(viewer, small_ct):
    viewer.open(small_ct)
    viewer.new_object()
    viewer.page.keyboard.press("l")
    corners = [viewer.point("axial", *corner) for corner in ((-40, -40), (40, -40), (40, 40), (-40, 40), (-40, -38))]
    viewer.stroke(corners)
    filled = np.asanyarray(viewer.segmentation().dataobj) > 0
    assert viewer.objects()["object 1"]["edits"] == ["polygon"]
    voxels = np.argwhere(filled)
    assert np.ptp(voxels[:, 2]) == 0
    x, y = np.ptp(voxels[:, :2], axis=0) + 1
    assert filled.sum() == pytest.approx(x * y, rel=0.05)
    if not viewer.can_click():
        return
    viewer.page.check("#lasso-as-hint")
    viewer.stroke(corners)
    viewer.page.keyboard.press("b")
    viewer.stroke([viewer.point("axial", -40, -40), viewer.point("axial", 40, 40)])
    viewer.page.keyboard.press("Enter")
    viewer.wait_until_idle()
    assert all(click["drawn"] for click in viewer.objects()["object 1"]["clicks"])
    assert len(viewer.objects()["object 1"]["clicks"]) > 2
    assert viewer.page.locator(".mark").count() == 0


def test_slices_drawn_apart_are_joined_by_the_menu(viewer, small_ct):
    viewer.open(small_ct)
    page = viewer.page
    viewer.new_object()
    page.keyboard.press("p")
    for steps in (0, 4):
        page.mouse.move(*viewer.point("axial"))
        for _ in range(steps):
            page.keyboard.press("PageUp")
        viewer.stroke([viewer.point("axial", right) for right in (-10, 10)])
    one = viewer.objects()["object 1"]["voxels"] / 2

    def change(name, mm=None):
        page.click("#change summary")
        if mm is not None:
            page.fill("#change-mm", str(mm))
        page.click(f"#change button:has(b:text-is('{name}'))")
        viewer.wait_until_idle()
        return viewer.objects()["object 1"]["voxels"] / one

    assert change("Interpolate slices") == 5
    assert change("Copy slice up") == 6
    assert change("Grow", mm=6) > 8
    page.keyboard.press("Control+z")
    viewer.wait_until_idle()
    assert change("Keep this piece") == 6
