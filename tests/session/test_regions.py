"""What a brush and a polygon hold, judged by rules written another way."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from matplotlib.path import Path

from openvista.errors import PromptError
from openvista.geometry.box import Box
from openvista.session.regions import brush_region, contour_region, stroke_voxels

SHAPE = (14, 11, 6)
SPACING = (1.5, 0.8, 3.0)
PLACES = st.tuples(*(st.floats(-4, side + 3).map(lambda value: round(value, 2)) for side in SHAPE))


def voxels(region):
    return region.on(Box.whole(SHAPE), False)


@settings(max_examples=40)
@given(st.lists(PLACES, min_size=1, max_size=5), st.floats(0, 6))
def test_a_brush_holds_what_lies_within_its_radius_of_the_stroke(points, radius):
    centres = np.stack(np.indices(SHAPE), -1) * SPACING
    stroke = stroke_voxels(points) * SPACING
    distance = np.linalg.norm(centres[:, :, :, None] - stroke, axis=-1).min(axis=-1)
    assume(not np.isclose(distance, radius, rtol=1e-9).any() or radius == 0)
    if not (distance <= radius).any():
        with pytest.raises(PromptError, match="touches no voxel"):
            brush_region(points, radius, None, SHAPE, SPACING)
    else:
        assert np.array_equal(voxels(brush_region(points, radius, None, SHAPE, SPACING)), distance <= radius)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_disk_is_the_sphere_on_its_slice(axis):
    points = [(3, 4, 2), (9, 8, 2)]
    points = [tuple(2 if each == axis else part for each, part in enumerate(point)) for point in points]
    sphere, disk = (voxels(brush_region(points, 3.2, each, SHAPE, SPACING)) for each in (None, axis))
    on_slice = np.moveaxis(np.zeros(SHAPE, bool), axis, 0)
    on_slice[2] = True
    assert np.array_equal(disk, sphere & np.moveaxis(on_slice, 0, axis))
    with pytest.raises(PromptError, match="leaves it"):
        brush_region([(1, 1, 1), (4, 4, 4)], 2, axis, SHAPE, SPACING)


def test_a_long_stroke_is_painted_in_pieces():
    points = [(index, 5, 2) for index in range(-200, 200)]
    expected = voxels(brush_region([(0, 5, 2), (13, 5, 2)], 1.7, None, SHAPE, SPACING))
    assert np.array_equal(voxels(brush_region(points, 1.7, None, SHAPE, SPACING)), expected)


@settings(max_examples=60)
@given(st.lists(st.tuples(st.floats(-3, 15), st.floats(-3, 12)), min_size=3, max_size=9))
def test_a_polygon_holds_what_another_rasteriser_says(points):
    points = [(round(row, 2) + 0.003, round(column, 2) + 0.003) for row, column in points]  # never on a centre
    rows, columns = SHAPE[:2]
    centres = np.stack(np.indices((rows, columns)), -1)
    ours = contour_region(points, 2, 1, SHAPE)
    assert ours.box == Box((0, 0, 1), (rows, columns, 2))
    edges = np.array([*points, points[0]])
    start, way = edges[:-1], np.diff(edges, axis=0)
    along = centres[:, :, None] - start
    share = ((along * way).sum(-1) / np.maximum((way**2).sum(-1), 1e-12)).clip(0, 1)
    near = np.linalg.norm(along - share[..., None] * way, axis=-1).min(-1) < 1e-6
    inside = Path(edges, closed=True).contains_points(centres.reshape(-1, 2)).reshape(rows, columns)
    # where a contour crosses itself matplotlib counts turns and we count crossings: simple contours only
    assume(_simple(edges))
    assert np.array_equal(ours.values_XYZ[:, :, 0][~near], inside[~near])


def _simple(edges):
    """Whether no two edges of a closed contour cross."""

    def side(a, b, c):
        return np.sign((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]))

    sides = [(edges[index], edges[index + 1]) for index in range(len(edges) - 1)]
    return not any(
        side(a, b, c) != side(a, b, d) and side(c, d, a) != side(c, d, b)
        for first, (a, b) in enumerate(sides)
        for second, (c, d) in enumerate(sides[first + 2 :], start=first + 2)
        if not (first == 0 and second == len(sides) - 1)
    )


def test_far_corners_of_a_polygon_are_far():
    everywhere = [(-1e300, -1e300), (1e300, -1e300), (1e300, 1e300), (-1e300, 1e300)]
    assert contour_region(everywhere, 2, 3, SHAPE).values_XYZ.all()


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_contours_lie_on_their_slice(axis):
    mask = voxels(contour_region([(1, 1), (1, 4), (4, 4), (4, 1)], axis, 3, SHAPE))
    assert np.flatnonzero(np.moveaxis(mask, axis, 0).any(axis=(1, 2))).tolist() == [3]


def test_impossible_contours():
    with pytest.raises(PromptError, match="at least three points"):
        contour_region([(1, 1), (2, 2)], 0, 0, SHAPE)
    with pytest.raises(PromptError, match="no slice 99"):
        contour_region([(1, 1), (2, 2), (3, 1)], 0, 99, SHAPE)
