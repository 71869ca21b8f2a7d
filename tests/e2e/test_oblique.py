"""The plane that can be turned: what it shows, where it says that it cuts the others, and clicks in it."""

import nibabel as nib
import numpy as np
import pytest

SHAPE, SPACING = (80, 80, 40), (2.0, 2.0, 4.0)
PLATE_MM, AIR, BONE = 6.0, -1000, 1000


def places_mm():
    """Of all voxels, from the middle of the scan: right, anterior, superior."""
    axes = [(np.arange(length) - (length - 1) / 2) * step for length, step in zip(SHAPE, SPACING, strict=True)]
    return np.meshgrid(*axes, indexing="ij")


@pytest.fixture
def plate(tmp_path):
    """A plate that stands halfway between the axial and the coronal plane, and labels on the patient's right."""
    right, anterior, superior = places_mm()
    hu = np.where(np.abs(anterior - superior) < PLATE_MM, BONE, AIR).astype(np.int16)
    affine = np.diag([*SPACING, 1.0])
    affine[:3, 3] = [-(length - 1) / 2 * step for length, step in zip(SHAPE, SPACING, strict=True)]
    nib.save(nib.Nifti1Image(hu, affine), tmp_path / "plate.nii.gz")
    nib.save(nib.Nifti1Image((right > 0).astype(np.uint8), affine), tmp_path / "right.nii.gz")
    return tmp_path


def turn_to(viewer, turn, tilt):
    for name, degrees in (("Turn", turn), ("Tilt", tilt)):
        viewer.page.fill(f"[aria-label='{name} of the oblique plane in degrees']", str(degrees))
    viewer.wait_until_idle()


def around_middle(picture, reach=45):
    """What the fourth tile shows around its middle."""
    rows, columns = picture.shape[:2]
    row, column = rows // 4, columns * 3 // 4
    return picture[row - reach : row + reach, column - reach : column + reach]


def test_an_oblique_plane_shows_what_lies_in_it(viewer, plate):
    page = viewer.page
    viewer.open(plate / "plate.nii.gz")
    page.keyboard.press("5")

    def bright():
        return float((around_middle(viewer.picture()).mean(axis=2) > 0.5).mean())

    turn_to(viewer, 0, 45)
    assert bright() > 0.95  # all of the plate
    turn_to(viewer, 0, -45)
    assert 0.02 < bright() < 0.25  # across it
    turn_to(viewer, 180, 45)
    assert 0.02 < bright() < 0.25
    page.set_input_files("#labels-file", str(plate / "right.nii.gz"))
    page.wait_for_selector("[data-object]")
    turn_to(viewer, 0, 45)
    labelled = around_middle(viewer.changed_by_labels())
    half = labelled.shape[1] // 2
    assert labelled[:, : half - 6].mean() > 0.95  # the patient's right is on the left
    assert labelled[:, half + 6 :].mean() < 0.05
    turn_to(viewer, 90, 45)
    labelled = around_middle(viewer.changed_by_labels())  # screen right is posterior, up is to the left and up
    assert labelled[half + 6 :].mean() > 0.95
    assert labelled[: half - 6].mean() < 0.05


def test_the_others_show_where_it_cuts_and_it_turns_by_drag_wheel_and_reset(viewer, plate):
    page = viewer.page
    viewer.open(plate / "plate.nii.gz")
    page.keyboard.press("5")
    assert page.locator(".oblique-cut[data-plane='axial']").count() == 0  # it lies in that plane
    turn_to(viewer, 0, 45)
    line = page.locator(".oblique-cut[data-plane='sagittal']")
    x1, y1, x2, y2 = (float(line.get_attribute(name)) for name in ("x1", "y1", "x2", "y2"))
    assert abs(abs((y2 - y1) / (x2 - x1)) - 1) < 0.01
    assert (y2 - y1) / (x2 - x1) > 0  # anterior, on the left, is up
    middle = viewer.point("render")
    frame = page.locator(".layer").bounding_box()
    assert abs((x1 + x2) / 2 + frame["x"] - middle[0]) < 30
    page.click("text=Straight")
    viewer.wait_until_idle()
    before, _, _ = viewer.place()
    page.mouse.move(*middle)
    page.mouse.wheel(0, -100)
    viewer.wait_until_idle()
    assert viewer.place()[0] == (before[0], before[1], before[2] + 1)
    viewer.stroke([middle, (middle[0] + 40, middle[1] - 60)])
    assert page.inner_text(".oblique-bar").split()[:4] == ["Turn", "20°", "Tilt", "30°"]
    assert viewer.objects() == {}


def test_clicks_lie_in_the_turned_plane_where_they_lie_in_space(viewer, plate):
    if not viewer.can_click():
        pytest.skip("this model takes no clicks")
    page = viewer.page
    viewer.open(plate / "plate.nii.gz")
    page.keyboard.press("5")
    page.keyboard.press("c")
    page.mouse.click(*viewer.point("axial", 40, 0))
    page.wait_for_selector("[data-object]")
    page.keyboard.press("n")
    page.mouse.click(*viewer.point("axial"))  # the crosshair goes back from the click
    viewer.wait_until_idle()
    middle = np.array(viewer.point("render")) - [page.locator(".layer").bounding_box()[side] for side in ("x", "y")]

    def marks():
        """From the middle of the fourth tile, to the right and up."""
        found = page.eval_on_selector_all(".mark", "(all) => all.map((mark) => mark.getAttribute('transform'))")
        places = [np.array([float(part) for part in one[len("translate(") : -1].split()]) for one in found]
        offsets = [(place - middle) * [1, -1] for place in places]
        return [offset for offset in offsets if np.abs(offset).max() < 90]

    voxel = 8  # CSS pixels, about: the click is put into its middle
    (straight,) = marks()
    assert np.abs(straight - [40, 0]).max() < voxel
    turn_to(viewer, 0, 60)
    assert np.abs(marks()[0] - straight).max() < voxel  # it lies on the axis of the tilt
    turn_to(viewer, 30, 0)
    cosine, sine = np.cos(np.pi / 6), np.sin(np.pi / 6)
    assert np.abs(marks()[0] - [40 * cosine, 40 * sine]).max() < voxel
    turn_to(viewer, 90, 80)
    assert marks() == []  # too far from it
