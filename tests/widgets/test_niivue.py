"""What the browser is sent, and what comes of what it says."""

import gzip

import nibabel as nib
import numpy as np
import pytest

from openvista.geometry.grid import Grid
from openvista.scan import Scan
from openvista.widgets.niivue import NiiVuePicture, as_nifti

AFFINE = np.array([[0, -2.0, 0, 30], [-1.5, 0, 0, 20], [0, 0, 3.0, -10], [0, 0, 0, 1]])
GRID = Grid((8, 7, 6), AFFINE)
SCAN = Scan(np.zeros(GRID.shape, np.int16), GRID)


def some_labels(seed: int = 0, dtype: type = np.uint8) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 4, GRID.shape).astype(dtype)


def picture_of(labels: np.ndarray) -> NiiVuePicture:
    return NiiVuePicture(SCAN, labels, (-160, 240), 300)


def shown(browser, picture: NiiVuePicture) -> np.ndarray:
    """The labels that the browser draws, [X, Y, Z]."""
    return browser.voxels[picture.labels.model_id].reshape(GRID.shape, order="F")


@pytest.mark.parametrize("dtype", [np.int16, np.float32, np.uint8, np.uint16])
def test_a_file_for_the_browser_holds_voxels_and_grid(dtype):
    voxels = some_labels(dtype=dtype)
    image = nib.Nifti1Image.from_bytes(gzip.decompress(as_nifti(voxels, GRID)))
    assert image.get_data_dtype() == dtype
    np.testing.assert_array_equal(np.asarray(image.dataobj), voxels)
    np.testing.assert_allclose(image.affine, AFFINE, atol=1e-5)


def test_after_the_first_time_only_voxels_that_change_are_sent(browser):
    picture = picture_of(some_labels())
    browser.load(picture.widget)
    np.testing.assert_array_equal(shown(browser, picture), some_labels())
    changed = some_labels()
    changed[2, 3, 4] += 5
    changed[0, 1] = 0
    picture.show(changed)
    np.testing.assert_array_equal(shown(browser, picture), changed)
    assert browser.received == 5 * np.count_nonzero(changed != some_labels())


def test_a_change_before_the_browser_has_loaded_arrives(browser):
    picture = picture_of(some_labels())
    picture.show(some_labels(1))
    browser.load(picture.widget)
    np.testing.assert_array_equal(shown(browser, picture), some_labels(1))
    picture.show(some_labels(2))
    np.testing.assert_array_equal(shown(browser, picture), some_labels(2))


def test_a_page_that_is_loaded_again_shows_the_present(browser):
    picture = picture_of(some_labels())
    browser.load(picture.widget)
    picture.show(some_labels(1))
    browser.load_again(picture.widget)
    np.testing.assert_array_equal(shown(browser, picture), some_labels(1))


def test_more_ids_than_fit_a_byte(browser):
    picture = picture_of(some_labels())
    picture.labels.opacity = 0.25
    picture.labels.paint({3: (9, 8, 7)})
    browser.load(picture.widget)
    wide = some_labels(1, np.uint16) * 100
    picture.show(wide)
    browser.load(picture.widget)
    np.testing.assert_array_equal(shown(browser, picture), wide)
    assert picture.labels.opacity == 0.25
    assert browser.states[picture.labels.model_id]["colormap_label"]["lut"][12:] == [9, 8, 7, 255]


def test_the_kernel_keeps_no_copy_of_what_the_browser_drew(browser):
    picture = picture_of(some_labels())
    browser.load(picture.widget)
    assert picture.ct.img is None


def test_colours_and_what_is_not_shown(browser):
    picture = picture_of(some_labels())
    picture.labels.paint({2: (10, 20, 30)})
    told = browser.states[picture.labels.model_id]["colormap_label"]
    assert (told["min"], told["max"]) == (0, 2)
    assert told["lut"] == [0, 0, 0, 0, 0, 0, 0, 0, 10, 20, 30, 255]
    picture.labels.paint({})
    assert not any(browser.states[picture.labels.model_id]["colormap_label"]["lut"])


def test_planes_cross_where_there_is_something_to_see(browser):
    labels = np.zeros(GRID.shape, np.uint8)
    labels[5, 2, 4] = 1
    right, anterior, superior = browser.states[picture_of(labels).widget.model_id]["scene"]["crosshairPos"]
    # array axis 1 runs to the left, array axis 0 to the back
    assert (right, anterior, superior) == pytest.approx((1 - 2.5 / 7, 1 - 5.5 / 8, 4.5 / 6))


def test_clicks_are_those_on_planes(browser):
    picture, places, clicks = picture_of(some_labels()), [], []
    picture.on_place(places.append)
    picture.on_click(lambda: clicks.append(places[-1]))
    browser.point(picture.widget, np.array([1.0, 2.0, 3.0]))
    browser.point(picture.widget, np.array([4.0, 5.0, 6.0]), plane=False)
    browser.point(picture.widget, np.array([7.0, 8.0, 9.0]), dragging=True)
    assert places == [(1, 2, 3), (7, 8, 9)]
    assert clicks == [(1, 2, 3)]
