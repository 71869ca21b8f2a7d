"""From a CT file to an exported label map, in a browser."""

import csv
import io
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from viewer import read_nifti

from small_dicom import write_series


def test_a_class_is_segmented_seen_measured_and_exported(viewer, example_ct):
    viewer.open(example_ct)
    assert sum(viewer.labels_on_screen().values()) == 0
    viewer.segment("spinal cord")

    seen = viewer.labels_on_screen()
    assert min(seen["sagittal"], seen["render"]) > 100
    assert viewer.place()[2] == "spinal cord"  # the crosshair went there

    viewer.page.wait_for_selector("[data-row='spinal cord']")
    row = next(row for row in viewer.api("/table").json()["rows"] if row["name"] == "spinal cord")
    assert f"{row['volume_ml']:.1f}" in viewer.page.locator("[data-row='spinal cord']").inner_text()

    with viewer.page.expect_download() as download:
        viewer.page.click("#export")
        assert viewer.page.is_disabled("[data-format='dicom-seg']")  # the scan has no slices to lie on
        viewer.page.click("[data-format='nii.gz']")
    exported = read_nifti(Path(download.value.path()).read_bytes())
    expected = viewer.segmentation()
    assert download.value.suggested_filename.endswith(".nii.gz")
    assert np.count_nonzero(expected.dataobj) == row["voxels"] > 0
    np.testing.assert_array_equal(np.asanyarray(exported.dataobj), np.asanyarray(expected.dataobj))
    np.testing.assert_allclose(exported.affine, nib.load(example_ct).affine, atol=1e-3)


def test_one_dialog_exports_everything_the_server_has_and_tables_and_a_report(viewer, small_ct, tmp_path):
    image = nib.load(small_ct)
    write_series(tmp_path / "neck", np.asarray(image.dataobj).astype(np.int16), image.affine)
    viewer.page.wait_for_selector("dialog[open]")
    viewer.page.set_input_files("#open-folder", str(tmp_path / "neck"))
    viewer.wait_for_picture()
    page = viewer.page
    viewer.segment("mandible")
    page.wait_for_selector("[data-row='mandible']")
    page.keyboard.press("m")
    viewer.stroke([viewer.point("axial", right, 10) for right in (-40, 40)])
    page.wait_for_selector("[data-measure='ruler']")
    page.locator(".measured input").fill('=long, "axis"')
    page.locator(".measured input").press("Enter")
    page.wait_for_function("document.querySelector('.measured input').value.startsWith('=long')")
    viewer.wait_until_idle()
    page.locator(".layer").focus()
    page.keyboard.press("Control+s")
    offered = {row.get_attribute("data-format") for row in page.locator("[data-format]").all()}
    served = page.request.get(f"{viewer.api().url.split('/api')[0]}/openapi.json").json()
    assert set(served["components"]["schemas"]["ExportFormat"]["enum"]) <= offered
    files = {}
    for format in sorted(offered):
        with page.expect_download() as download:
            page.click(f"[data-format='{format}']")
        files[download.value.suggested_filename] = Path(download.value.path()).read_bytes()
    assert len(files) == len(offered)
    assert all(files.values())
    row = viewer.api("/table").json()["rows"][0]
    volumes = list(csv.DictReader(io.StringIO(files["neck_volumes.csv"].decode())))
    assert (volumes[0]["structure"], float(volumes[0]["volume_ml"])) == ("mandible", row["volume_ml"])
    measured = next(csv.DictReader(io.StringIO(files["neck_measurements.csv"].decode())))
    length = viewer.api("/measurements").json()["measurements"][0]["measured"]["length_mm"]
    assert (measured["name"], float(measured["length_mm"])) == ('\'=long, "axis"', length)
    (tmp_path / "report.html").write_bytes(files["neck_report.html"])
    report = page.context.new_page()
    report.goto(f"file://{tmp_path / 'report.html'}")
    assert {"neck", "mandible", f"{row['volume_ml']:.2f}", f"{length:.1f} mm"} <= set(
        report.locator("h1, td").all_inner_texts()
    )
    assert report.evaluate("document.images[0].naturalWidth") > 300
    assert report.locator("figure .measure").count() >= 1


def test_a_click_adds_and_undo_removes(viewer, small_ct):
    if not viewer.can_click():
        pytest.skip("the served model answers classes only")
    viewer.open(small_ct)
    viewer.new_object()
    viewer.page.click("button[data-tool='click']")
    viewer.page.mouse.click(*viewer.point("sagittal"))
    viewer.page.wait_for_selector(".mark.positive:not(.waiting)")
    viewer.wait_until_idle()
    clicked = viewer.objects()["object 1"]
    voxel, _, name = viewer.place()
    assert clicked["voxels"] > 0
    assert [round(at) for at in clicked["clicks"][0]["voxel"]] == list(voxel)
    assert name == "object 1"
    assert viewer.labels_on_screen()["sagittal"] > 20

    viewer.page.mouse.click(*viewer.point("sagittal", right=20), button="right")
    viewer.page.wait_for_selector(".mark.negative:not(.waiting)")
    viewer.wait_until_idle()
    assert [click["positive"] for click in viewer.objects()["object 1"]["clicks"]] == [True, False]

    viewer.page.keyboard.press("Control+z")
    viewer.page.wait_for_selector(".mark.negative", state="detached")
    viewer.wait_until_idle()
    viewer.page.keyboard.press("Control+z")
    viewer.page.wait_for_selector(".mark", state="detached")
    viewer.wait_until_idle()
    assert np.count_nonzero(viewer.segmentation().dataobj) == 0
    assert sum(viewer.labels_on_screen().values()) == 0

    viewer.page.keyboard.press("Control+Shift+z")
    viewer.page.wait_for_selector(".mark.positive")
    viewer.wait_until_idle()
    assert viewer.objects()["object 1"]["voxels"] == clicked["voxels"]


@pytest.mark.parametrize("axis_codes", ["RAS", "LPS", "SAR", "PIL"])
def test_every_orientation_shows_the_right_voxel(viewer, example_ct, tmp_path, axis_codes):
    """The crosshair's voxel, HU and object are those of the file, however its axes run."""
    source = nib.load(example_ct)
    turn = nib.orientations.ornt_transform(
        nib.io_orientation(source.affine), nib.orientations.axcodes2ornt(tuple(axis_codes))
    )
    turned = source.as_reoriented(turn)
    path = tmp_path / f"{axis_codes}.nii.gz"
    nib.save(turned, path)
    viewer.open(path)
    hu = np.asanyarray(turned.dataobj)
    for plane, right, down in [("axial", 25, -30), ("coronal", -40, 50), ("sagittal", 30, 60)]:
        viewer.page.mouse.click(*viewer.point(plane, right, down))
        viewer.wait_until_idle()
        voxel, value, _ = viewer.place()
        assert value == round(float(hu[voxel]))


def test_labels_lie_where_the_server_says(viewer, small_ct, tmp_path):
    """On a CT whose axes run the other way: the object under the crosshair is that of the label map."""
    source = nib.load(small_ct)
    path = tmp_path / "turned.nii.gz"
    nib.save(source.as_reoriented(np.array([[2, -1], [0, 1], [1, -1]])), path)
    viewer.open(path)
    viewer.segment("mandible")
    labels = np.asanyarray(viewer.segmentation().dataobj)
    seen = set()
    for right in range(-40, 41, 10):
        viewer.page.mouse.click(*viewer.point("axial", right, -20))
        viewer.wait_until_idle()
        voxel, _, name = viewer.place()
        assert (name == "mandible") == bool(labels[voxel])
        seen.add(name)
    viewer.page.click("[data-object='mandible'] .name")  # brings the crosshair into it
    viewer.wait_until_idle()
    voxel, _, name = viewer.place()
    assert name == "mandible"
    assert labels[voxel]


def test_objects_are_renamed_hidden_and_locked(viewer, small_ct):
    viewer.open(small_ct)
    viewer.segment("spinal cord")
    page = viewer.page
    page.click("[aria-label='Rename spinal cord']")
    page.keyboard.type("cord")
    page.keyboard.press("Enter")
    page.wait_for_selector("[data-object='cord']")
    page.click("[aria-label='Lock cord']")
    page.wait_for_selector("[aria-label='Unlock cord']")
    page.click("[aria-label='Hide cord']")
    page.wait_for_selector("[aria-label='Show cord']")
    viewer.wait_until_idle()
    cord = viewer.objects()["cord"]
    assert (cord["locked"], cord["visible"]) == (True, False)
    assert sum(viewer.labels_on_screen().values()) == 0


def test_keys_change_window_plane_and_slice(viewer, example_ct):
    viewer.open(example_ct)
    page = viewer.page
    page.locator(".layer").focus()
    page.keyboard.press("w")
    assert page.locator("#window-preset").evaluate("choice => choice.selectedOptions[0].text") == "Lung"
    page.keyboard.press("Shift+Digit3")
    assert page.locator("#window-preset").evaluate("choice => choice.selectedOptions[0].text") == "Bone"
    page.keyboard.press("1")
    assert page.locator("[aria-label='Axial (1)']").get_attribute("aria-pressed") == "true"
    (_, _, z), _, _ = viewer.place()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Shift+ArrowDown")
    assert viewer.place()[0][2] == z - 9
    page.keyboard.press("?")
    assert page.locator(".help-dialog").is_visible()


def test_slices_turn_by_slider_and_wheel_and_a_bar_tells_mm(viewer, example_ct):
    viewer.open(example_ct)
    page, scan = viewer.page, viewer.scan()
    slider = page.locator("[aria-label='Axial slice']")
    slider.fill("31")
    (x, y, z), _, _ = viewer.place()
    assert z == 30  # its file runs from the feet to the head
    mm = np.array(scan["affine"]) @ [x, y, z, 1]
    *told, shown_mm, _ = page.locator(".slice-bar.axial output").inner_text().split()
    assert told == ["Axial", "31/125", "I" if mm[2] < 0 else "S"]
    assert float(shown_mm) == pytest.approx(abs(mm[2]), abs=0.06)

    page.mouse.move(*viewer.point("axial"))

    def turned(*rolls, shift=False):
        before = viewer.place()[0][2]
        if shift:
            page.keyboard.down("Shift")
        for roll in rolls:
            page.mouse.wheel(0, roll)
        page.wait_for_timeout(200)
        page.keyboard.up("Shift")
        viewer.wait_until_idle()
        return viewer.place()[0][2] - before

    assert turned(-120) == 1
    assert turned(-120, -120, 120) == 1
    assert turned(-120, shift=True) == 5
    assert turned(*[10] * 10) == -2, "a touchpad's steps add up"

    bar = page.locator(".scale-bar").first
    length = bar.locator("path").evaluate("path => path.getBBox().width")
    start = viewer.point("axial", -length / 2)
    ends = []
    for right in (0, length):
        page.mouse.click(start[0] + right, start[1])
        viewer.wait_until_idle()
        ends.append(viewer.place()[0][0])
    assert abs(ends[1] - ends[0]) * scan["spacing"][0] == pytest.approx(int(bar.get_attribute("data-mm")), abs=4)


def test_search_finds_a_class_by_another_name_and_enter_asks_for_it(viewer, small_ct):
    viewer.open(small_ct)
    viewer.page.keyboard.press("/")
    viewer.page.keyboard.type("gullet")
    assert viewer.page.locator("button.class").all_inner_texts() == ["esophagus"]
    viewer.page.keyboard.press("Enter")
    viewer.page.wait_for_selector("[data-object='esophagus']")


def test_objects_are_outlined_faint_alone_and_on_top(viewer, small_ct):
    viewer.open(small_ct)
    page = viewer.page
    for number, rights in enumerate([(-40, 0), (0, 40)], 1):  # they share the middle
        viewer.new_object(number)
        page.keyboard.press("p")
        viewer.stroke([viewer.point("axial", right, 10) for right in rights])
    one, two = (viewer.mask(f"object {number}") for number in (1, 2))
    filled = viewer.labels_on_screen()["axial"]
    assert viewer.shows(one | two)

    page.keyboard.press("i")
    viewer.wait_until_idle()
    assert viewer.shows(two)
    page.keyboard.press(".")
    viewer.wait_until_idle()
    assert page.locator(".object.active").get_attribute("data-object") == "object 1"
    assert viewer.shows(one & ~two), "what lies under object 2 stays there"
    page.keyboard.press("i")

    page.keyboard.press("f")
    viewer.wait_until_idle()
    outlined = viewer.labels_on_screen()["axial"]
    assert 0 < outlined < filled
    page.keyboard.press("f")
    page.locator(".look input").fill("0")
    viewer.wait_until_idle()
    assert viewer.shows(two)
    page.locator(".look input").fill("1")

    page.locator("[data-object='object 1']").drag_to(page.locator("[data-object='object 2']"))
    viewer.wait_until_idle()
    assert list(viewer.objects()) == ["object 2", "object 1"]
    labels = np.asanyarray(viewer.segmentation().dataobj)
    assert (labels[one & two] == viewer.objects()["object 1"]["id"]).all()
    page.click("#undo")
    viewer.wait_until_idle()
    assert list(viewer.objects()) == ["object 1", "object 2"]


def test_lengths_angles_and_hu_are_measured_listed_and_deleted(viewer, small_ct):
    viewer.open(small_ct)
    page, hu, scan = viewer.page, np.asanyarray(nib.load(small_ct).dataobj), viewer.scan()
    places = {}
    for right, down in [(-40, 10), (40, 10), (0, 50)]:
        page.mouse.click(*viewer.point("axial", right, down))
        viewer.wait_until_idle()
        places[right, down] = viewer.place()[0]
    page.keyboard.press("m")
    viewer.stroke([viewer.point("axial", right, 10) for right in (-40, 40)])
    page.wait_for_selector("[data-measure='ruler']")
    page.keyboard.press("a")
    for place in places:
        page.mouse.click(*viewer.point("axial", *place))
    page.wait_for_selector("[data-measure='angle']")
    page.keyboard.press("e")
    viewer.stroke([viewer.point("axial", -40, -20), viewer.point("axial", 40, 50)])
    page.wait_for_selector("[data-measure='ellipse']")
    ruler, angle, ellipse = (one["measured"] for one in viewer.api("/measurements").json()["measurements"])

    spacing = np.array(scan["spacing"])
    a, b, c = (np.array(voxel) * spacing for voxel in places.values())
    assert ruler["length_mm"] == pytest.approx(np.linalg.norm(b - a), abs=spacing[0] * 1.5)
    cosine = (a - b) @ (c - b) / np.linalg.norm(a - b) / np.linalg.norm(c - b)
    assert angle["degrees"] == pytest.approx(np.degrees(np.arccos(cosine)), abs=8)
    assert ellipse["area_mm2"] == pytest.approx(np.pi / 4 * ruler["length_mm"] ** 2 * 70 / 80, rel=0.03)
    drawn = viewer.api("/measurements").json()["measurements"][2]["drawn"]["points"]
    slice_hu = hu[:, :, round(drawn[0][2])]
    middle, radii = np.mean(drawn, axis=0)[:2], np.abs(np.subtract(*drawn))[:2] / 2
    inside = (((np.stack(np.indices(slice_hu.shape), -1) - middle) / radii) ** 2).sum(-1) <= 1
    assert ellipse["mean_hu"] == pytest.approx(slice_hu[inside].mean(), abs=0.01)

    texts = page.locator(".measured .values").all_inner_texts()
    assert texts[0] == f"{ruler['length_mm']:.1f} mm"
    assert f"± {ellipse['sd_hu']:.0f} HU" in texts[2]
    assert page.locator(".measure").count() == 3
    page.mouse.move(*viewer.point("axial"))
    page.keyboard.press("PageUp")
    viewer.wait_until_idle()
    assert page.locator(".measure").count() == 0, "they lie on the slice below"
    page.locator(".measured input").first.fill("short axis")
    page.locator(".measured input").first.press("Enter")
    page.click("[aria-label='Delete angle 2']")
    page.wait_for_selector("[data-measure='angle']", state="detached")
    page.reload()
    viewer.wait_for_picture()
    page.click("#tab-measurements")
    kept = viewer.api("/measurements").json()["measurements"]
    assert [(one["drawn"]["kind"], one["drawn"]["name"]) for one in kept] == [("ruler", "short axis"), ("ellipse", "")]
    page.click("[data-measure='ruler']")
    viewer.wait_until_idle()
    assert page.locator(".measure ellipse").count() == 1
    assert page.locator(".measure path").count() == 2, "the line lies in the coronal plane, too"
    assert not viewer.api().json()["can_undo"], "measuring changes no object"


def test_a_list_of_steps_goes_back_and_forth(viewer, small_ct):
    viewer.open(small_ct)
    page = viewer.page
    viewer.new_object()
    page.keyboard.press("p")
    masks = []
    for down in (-20, 20):
        viewer.stroke([viewer.point("axial", right, down) for right in (-30, 30)])
        masks.append(viewer.mask("object 1"))
    viewer.stroke([viewer.point("axial", right, 0) for right in (-10, 10)], "right")
    page.click("#tab-history")
    page.wait_for_selector("[data-step='4']")
    assert page.locator("[data-step] b").all_inner_texts() == ["Erase", "Paint", "Paint", "New object", "Beginning"]

    def go(step):
        page.click(f"[data-step='{step}']")
        page.wait_for_selector(f"[data-step='{step}'][aria-current='step']")
        viewer.wait_until_idle()
        return viewer.mask("object 1")

    assert np.array_equal(go(2), masks[0])
    assert np.array_equal(go(3), masks[1])
    assert np.array_equal(go(2), masks[0])
    viewer.stroke([viewer.point("axial", right, 40) for right in (-30, 30)])
    page.wait_for_selector("[data-step='4']", state="detached")
    assert page.locator("[data-step] b").all_inner_texts() == ["Paint", "Paint", "New object", "Beginning"]
