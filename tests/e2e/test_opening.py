"""What gets into the viewer, in a browser: DICOM, lists of scans, bad files, a page that is loaded again."""

import nibabel as nib
import numpy as np
import pytest

from openvista.io import read_scan
from openvista.io.dicom.rtstruct import write_rtstruct
from openvista.scan import Segmentation
from small_dicom import write_series


def test_a_dicom_folder_is_opened(viewer, small_ct, tmp_path):
    image = nib.load(small_ct)
    hu = np.asarray(image.dataobj).astype(np.int16)
    write_series(tmp_path / "study" / "CT", hu, image.affine)
    (tmp_path / "study" / "DICOMDIR").write_bytes(b"names what is not there")
    (tmp_path / "study" / "viewer.exe").write_bytes(b"as on a disc from a hospital")
    viewer.page.wait_for_selector("dialog[open]")
    viewer.page.set_input_files("#open-folder", str(tmp_path / "study"))
    viewer.wait_for_picture()
    voxel, value, _ = viewer.place()
    kept = viewer.scan()
    assert (kept["name"], kept["shape"]) == ("study", list(hu.shape))
    assert abs(value - hu[voxel]) <= 1
    viewer.page.click("#export")
    assert viewer.page.is_enabled("[data-format='dicom-seg']")


def test_contours_of_a_planning_system_become_objects(viewer, small_ct, tmp_path):
    image = nib.load(small_ct)
    write_series(tmp_path / "study", np.asarray(image.dataobj).astype(np.int16), image.affine)
    scan = read_scan(tmp_path / "study")
    labels = np.zeros(scan.grid.shape, np.uint8)
    labels[tuple(slice(length // 3, length // 2) for length in labels.shape)] = 1
    write_rtstruct(tmp_path / "contours.dcm", Segmentation(labels, scan.grid, {1: "parotid"}, scan=scan))
    viewer.page.wait_for_selector("dialog[open]")
    viewer.page.set_input_files("#open-folder", str(tmp_path / "study"))
    viewer.wait_for_picture()
    viewer.page.set_input_files("#labels-file", str(tmp_path / "contours.dcm"))
    viewer.page.wait_for_selector("[data-object='parotid']")
    assert np.count_nonzero(viewer.segmentation().dataobj) == np.count_nonzero(labels)


def test_a_work_list_keeps_states_and_leads_from_scan_to_scan(viewer, small_ct, tmp_path):
    page = viewer.page
    for name in ("first", "second"):
        (tmp_path / f"{name}.nii.gz").write_bytes(small_ct.read_bytes())
        viewer.open(tmp_path / f"{name}.nii.gz")
        page.keyboard.press("o")
    page.wait_for_selector(".known-scan[data-scan='second']")
    assert page.locator(".known-scan b").all_inner_texts() == ["second", "first"]
    page.select_option("[aria-label='State of first']", "done")
    page.wait_for_selector("[aria-label='State of first'][data-state='done']")
    page.keyboard.press("Escape")
    assert page.input_value("#scan-state") == "open"
    page.select_option("#scan-state", "review")
    page.wait_for_selector("#scan-state[data-state='review']")

    def name():
        page.wait_for_selector("#work", state="hidden")
        return page.inner_text(".scan-name").split()[0]

    page.locator(".layer").focus()
    page.keyboard.press("k")
    page.wait_for_selector("#scan-state[data-state='done']")
    assert (name(), page.inner_text(".place-in-list")) == ("first", "1/2")
    assert page.is_disabled("[aria-label='Previous scan']")
    page.click("[aria-label='Next scan']")
    page.wait_for_selector("#scan-state[data-state='review']")
    assert name() == "second"
    page.reload()
    viewer.wait_for_picture()
    page.wait_for_selector("#scan-state[data-state='review']")
    assert [viewer.scan()[key] for key in ("name", "state")] == ["second", "review"]


def test_one_of_several_series_is_chosen(viewer, small_ct, tmp_path):
    image = nib.load(small_ct)
    hu = np.asarray(image.dataobj).astype(np.int16)
    for number in (4, 7):
        write_series(tmp_path / "study" / str(number), hu + number, image.affine, SeriesNumber=number)
    viewer.page.wait_for_selector("dialog[open]")
    viewer.page.set_input_files("#open-folder", str(tmp_path / "study"))
    viewer.page.wait_for_selector(".series-dialog[open]")
    assert viewer.page.locator("[data-series]").count() == 2
    viewer.page.locator("[data-series]", has_text="7: CT").click()
    viewer.wait_for_picture()
    voxel, value, _ = viewer.place()
    assert abs(value - hu[voxel] - 7) <= 1


def test_missing_slices_are_named_and_filled_if_wanted(viewer, small_ct, tmp_path):
    image = nib.load(small_ct)
    hu = np.asarray(image.dataobj).astype(np.int16)
    files = write_series(tmp_path / "study", hu, image.affine)
    files[len(files) // 2].unlink()
    viewer.page.wait_for_selector("dialog[open]")
    viewer.page.set_input_files("#open-folder", str(tmp_path / "study"))
    viewer.page.wait_for_selector(".gaps-dialog[open]")
    assert "1 slice is missing, at" in viewer.page.inner_text(".gaps-dialog")
    viewer.page.click(".gaps-dialog button:has-text('Interpolate')")
    viewer.wait_for_picture()
    assert viewer.scan()["shape"] == list(hu.shape)


def test_a_bad_file_is_explained(viewer, tmp_path):
    bad = tmp_path / "notes.nii.gz"
    bad.write_text("this is no CT")
    viewer.page.wait_for_selector("dialog[open]")
    viewer.page.set_input_files("#open-file", str(bad))
    message = viewer.page.wait_for_selector(".notice.error").inner_text()
    assert "nii" in message
    assert "Traceback" not in message
    assert viewer.page.locator("#work").is_hidden()


def test_a_page_that_is_loaded_again_carries_on(viewer, small_ct):
    viewer.open(small_ct)
    viewer.segment("spinal cord")
    before = viewer.labels_on_screen()
    viewer.page.reload()
    viewer.wait_for_picture()
    viewer.page.click("[data-object='spinal cord'] .name")
    viewer.wait_until_idle()
    assert viewer.labels_on_screen()["render"] == pytest.approx(before["render"], rel=0.2)
