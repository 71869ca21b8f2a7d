"""Lengths, angles and HU of ellipses, judged by geometry in mm."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openvista.errors import PromptError
from openvista.geometry.grid import Grid
from openvista.scan import Scan
from openvista.session.measuring import Angle, Ellipse, Ruler, measure

SHAPE = (20, 16, 6)
TURN = np.array([[0.8, -0.6, 0, 0], [0.6, 0.8, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
SPACING = (0.7, 1.5, 3.0)
AFFINE = TURN @ np.diag([*SPACING, 1])
PLACES = st.tuples(*(st.floats(-5, side + 5) for side in SHAPE))


@pytest.fixture(scope="module")
def scan():
    hu = np.random.default_rng(0).integers(-1000, 1000, SHAPE).astype(np.int16)
    return Scan(hu, Grid(SHAPE, AFFINE))


@settings(max_examples=20)
@given(PLACES, PLACES, PLACES)
def test_sides_of_a_triangle_and_its_angle_fit_together(scan, a, b, c):
    ab, bc, ac = (measure(scan, Ruler(points=ends)).length_mm for ends in ((a, b), (b, c), (a, c)))
    assert ab == pytest.approx(np.linalg.norm((np.array(a) - b) * SPACING))
    if min(ab, bc) > 1e-3:
        degrees = measure(scan, Angle(points=(a, b, c))).degrees
        law_of_cosines = ab**2 + bc**2 - 2 * ab * bc * np.cos(np.radians(degrees))
        assert ac**2 == pytest.approx(law_of_cosines, abs=1e-3)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_an_ellipse_holds_the_voxels_whose_centres_lie_in_it(scan, axis):
    u, v = (other for other in range(3) if other != axis)
    corners = np.full((2, 3), 3.0)
    corners[:, u], corners[:, v] = (-2, 9.5), (4.4, 1)
    measured = measure(scan, Ellipse(axis=axis, points=corners.tolist()))
    radii = np.array([11.5, 3.4]) / 2
    assert measured.area_mm2 == pytest.approx(np.pi * np.prod(radii * [SPACING[u], SPACING[v]]))
    places = np.indices(SHAPE)
    inside = ((places[u] - 3.75) / radii[0]) ** 2 + ((places[v] - 2.7) / radii[1]) ** 2 <= 1
    hu = scan.voxels[inside & (places[axis] == 3)]
    assert measured.voxels == hu.size > 5
    assert (measured.mean_hu, measured.sd_hu) == (pytest.approx(hu.mean()), pytest.approx(hu.std()))
    assert (measured.min_hu, measured.max_hu) == (hu.min(), hu.max())


def test_what_holds_no_voxel_has_no_hu(scan):
    beside = measure(scan, Ellipse(axis=2, points=((30, 30, 2), (34, 33, 2))))
    assert (beside.voxels, beside.mean_hu, beside.area_mm2) == (0, None, pytest.approx(np.pi * 2 * 1.5 * 0.7 * 1.5))
    flat = measure(scan, Ellipse(axis=2, points=((3, 3, 2), (8, 3, 2))))
    assert (flat.voxels, flat.area_mm2) == (0, 0)


@pytest.mark.parametrize(
    "drawn",
    [
        Ellipse(axis=2, points=((3, 3, 2), (8, 5, 3))),
        Ellipse(axis=2, points=((3, 3, 6), (8, 5, 6))),
        Angle(points=((1, 1, 1), (1, 1, 1), (4, 1, 1))),
    ],
)
def test_what_cannot_be_measured_is_explained(scan, drawn):
    with pytest.raises(PromptError, match=r"one slice|three different points"):
        measure(scan, drawn)
