"""Slabs of several slices: what the planes show of made-up voxels, what they say, and that drawing needs one slice."""

import nibabel as nib
import numpy as np
import pytest
from viewer import FRAME

SHAPE, SPACING = (60, 60, 40), (2.0, 2.0, 2.5)
MIDDLE = tuple(length // 2 for length in SHAPE)
BESIDE = 3
"""Slices from the middle one to the plates: 6 mm across and 7.5 mm along the body."""
REACH = 3  # voxels, of a plate, to all sides
TISSUE, BRIGHT, DARK, LAST = 40, 1000, -160, 340
LOW, HIGH = -160, 240  # the window that the viewer begins with


@pytest.fixture
def plates(tmp_path):
    """Beside the middle of each plane a bright and a dark plate; the last slice brighter; labels where a plate lies."""
    hu = np.full(SHAPE, TISSUE, np.int16)
    for axis, middle in enumerate(MIDDLE):
        for beside, value in ((BESIDE, BRIGHT), (-BESIDE, DARK)):
            place = [slice(at - REACH + 1, at + REACH) for at in MIDDLE]
            place[axis] = slice(middle + beside, middle + beside + 1)
            hu[tuple(place)] = value
    hu[..., -1] = LAST
    labels = np.zeros(SHAPE, np.uint8)
    labels[..., MIDDLE[2] + BESIDE] = 1
    to_file = nib.orientations.axcodes2ornt("SLA")  # other axes than those of the screen
    for name, voxels in (("plates", hu), ("labels", labels)):
        image = nib.Nifti1Image(voxels, np.diag([*SPACING, 1.0])).as_reoriented(to_file)
        nib.save(image, tmp_path / f"{name}.nii.gz")
    return tmp_path


def seen(viewer, plane):
    """HU in the middle of a tile, where the crosshair leaves a gap."""
    x, y = viewer.point(plane)
    frame = viewer.page.locator(".picture").bounding_box()
    column, row = round(x - frame["x"]) - FRAME, round(y - frame["y"]) - FRAME
    around = viewer.picture()[row - 4 : row + 4, column - 4 : column + 4]
    return LOW + float(np.median(around)) * (HIGH - LOW)


def marks(viewer):
    viewer.wait_until_idle()
    return [text.replace("  ", " ") for text in viewer.page.locator(".slab-mark").all_text_contents()]


def test_planes_show_maximum_minimum_and_mean_of_a_slab_and_say_so(viewer, plates):
    page = viewer.page
    viewer.open(plates / "plates.nii.gz")

    def shows(**expected):
        for plane, hu in expected.items():
            assert seen(viewer, plane) == pytest.approx(hu, abs=8), plane

    assert marks(viewer) == []
    shows(axial=TISSUE, coronal=TISSUE, sagittal=TISSUE)
    page.keyboard.press("t")
    page.keyboard.press("t")
    assert marks(viewer) == ["MIP 10 mm · 5 slices"] * 3
    shows(axial=TISSUE, coronal=TISSUE, sagittal=TISSUE)  # the plates are farther away
    page.keyboard.press("t")
    assert marks(viewer) == ["MIP 20 mm · 9 slices", "MIP 20 mm · 11 slices", "MIP 20 mm · 11 slices"]
    shows(axial=HIGH, coronal=HIGH, sagittal=HIGH)
    page.keyboard.press("Shift+T")
    assert marks(viewer)[0] == "MinIP 20 mm · 9 slices"
    shows(axial=DARK, coronal=DARK, sagittal=DARK)
    page.select_option("#slab", label="Mean 20 mm")
    assert marks(viewer)[0] == "Mean 20 mm · 9 slices"
    mean = [(BRIGHT + DARK + (slices - 2) * TISSUE) / slices for slices in (9, 11)]
    shows(axial=mean[0], coronal=mean[1], sagittal=mean[1])
    page.fill("[aria-label='Axial slice']", str(SHAPE[2]))
    assert marks(viewer)[0] == "Mean 20 mm · 5 slices"  # no more than there are
    shows(axial=(LAST + 4 * TISSUE) / 5)
    page.select_option("#slab", label="Slab off")
    assert marks(viewer) == []


def test_labels_are_those_of_the_middle_slice(viewer, plates):
    page = viewer.page
    viewer.open(plates / "plates.nii.gz")
    page.set_input_files("#labels-file", str(plates / "labels.nii.gz"))
    page.wait_for_selector("[data-object]")
    page.select_option("#slab", label="MIP 20 mm")
    assert viewer.labels_on_screen()["axial"] == 0
    page.fill("[aria-label='Axial slice']", str(MIDDLE[2] + BESIDE + 1))
    assert viewer.labels_on_screen()["axial"] > 10_000


def test_the_oblique_plane_is_a_slab_too(viewer, plates):
    page = viewer.page
    viewer.open(plates / "plates.nii.gz")
    page.keyboard.press("5")
    for mm, hu in ((10, TISSUE), (20, HIGH)):
        page.select_option("#slab", label=f"MIP {mm} mm")
        assert marks(viewer)[-1] == f"MIP {mm} mm"
        for tilt in (0, 90):
            page.fill("[aria-label='Tilt of the oblique plane in degrees']", str(tilt))
            assert seen(viewer, "render") == pytest.approx(hu, abs=8), (mm, tilt)


def test_who_draws_sees_the_slice_alone(viewer, plates):
    page = viewer.page
    viewer.open(plates / "plates.nii.gz")
    page.select_option("#slab", label="MIP 20 mm")
    page.keyboard.press("m")
    assert len(marks(viewer)) == 3  # a length is measured in the plane
    page.keyboard.press("p")
    assert marks(viewer) == []
    assert page.inner_text(".slab-waits") == "not while drawing"
    assert seen(viewer, "axial") == pytest.approx(TISSUE, abs=8)
    viewer.stroke([viewer.point("axial", -20, 0), viewer.point("axial", 20, 0)])
    page.wait_for_selector("[data-object]")
    painted = nib.as_closest_canonical(viewer.segmentation())
    assert set(np.nonzero(np.asanyarray(painted.dataobj))[2]) == {MIDDLE[2]}
    for key, shown in (("e", 0), ("c", 0), ("a", 3), ("b", 0), ("n", 3)):
        page.keyboard.press(key)
        assert len(marks(viewer)) == shown, key
    assert page.inner_text(".slab-waits") == ""
