"""Outlines of masks, and back."""

import numpy as np
import pytest
from scipy import ndimage

from openvista.geometry.contours import contours_of, fill_contours


def blob(seed: int) -> np.ndarray:
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(40, 50)), 2.5)
    return noise > 0.03


def ring() -> np.ndarray:
    y, x = np.ogrid[:40, :40]
    radius = np.hypot(x - 19, y - 21)
    return (radius < 15) & (radius > 6) | (radius < 3)


@pytest.mark.parametrize("keyhole", [False, True])
@pytest.mark.parametrize("mask", [blob(0), blob(1), ring(), np.ones((5, 7), bool), np.eye(4, dtype=bool)])
def test_filled_contours_are_the_mask(mask, keyhole):
    assert np.array_equal(fill_contours(contours_of(mask, keyhole), *mask.shape), mask)


def test_contours_run_half_way_between_pixels():
    mask = np.zeros((6, 8), bool)
    mask[2:5, 3] = True
    (points,) = contours_of(mask)
    assert {tuple(point) for point in points.tolist()} == {
        (2.5, 2.0),
        (2.5, 4.0),
        (3.5, 2.0),
        (3.5, 4.0),
        (3.0, 1.5),
        (3.0, 4.5),
    }


def test_a_hole_is_a_contour_of_its_own_or_a_keyhole():
    mask = ring()
    assert len(contours_of(mask)) == 3
    assert len(contours_of(mask, keyhole=True)) == 2


def area(points: np.ndarray) -> float:
    ahead = np.roll(points, -1, axis=0)
    return float(np.sum(points[:, 0] * ahead[:, 1] - ahead[:, 0] * points[:, 1]) / 2)


@pytest.mark.parametrize("mask", [blob(2), ring()])
def test_area_is_that_of_the_pixels_and_keyholes_do_not_change_it(mask):
    """Corners are cut, so a rim of pixels counts a bit less; a hole turns the other way and is subtracted."""
    plain, keyholes = (abs(sum(map(area, contours_of(mask, keyhole)))) for keyhole in (False, True))
    assert plain == pytest.approx(keyholes, rel=1e-6)
    assert plain == pytest.approx(mask.sum(), rel=0.05)


def test_nothing_has_no_contours():
    assert contours_of(np.zeros((4, 4), bool)) == []
