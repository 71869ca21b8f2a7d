import numpy as np
import pytest

from openvista.errors import PromptError
from openvista.geometry.box import Box
from openvista.prompts import GAP, Click
from openvista.session.drawing import MOST, draw_box, draw_lasso, draw_scribble
from openvista.session.regions import contour_region

SHAPE = (40, 40, 20)


def filled(points, axis, index):
    """A contour as a mask of the scan."""
    return contour_region(points, axis, index, SHAPE).on(Box.whole(SHAPE), False)


def test_a_box_is_a_click_in_its_middle_and_negative_ones_beyond_its_faces():
    clicks = draw_box([(10, 21), (10, 30), (4, 9)], SHAPE).clicks
    assert clicks[0] == Click((15, 19.5, 6))
    assert [click.voxel for click in clicks[1:]] == [
        (7.25, 19.5, 6),
        (22.75, 19.5, 6),
        (15, 5, 6),
        (15, 34, 6),
        (15, 19.5, 2),
        (15, 19.5, 10),
    ]
    assert not any(click.positive for click in clicks[1:])


def test_a_box_on_a_slice_says_nothing_about_other_slices():
    clicks = draw_box([(10, 21), (10, 30), (5, 6)], SHAPE).clicks
    assert {click.voxel[2] for click in clicks} == {5}
    assert len(clicks) == 5


def test_negative_clicks_of_a_box_stay_in_the_scan():
    clicks = draw_box([(0, 40), (10, 30), (5, 6)], SHAPE).clicks
    assert len(clicks) == 3


def test_a_negative_box_is_one_negative_click():
    assert draw_box([(10, 21), (10, 30), (5, 6)], SHAPE, positive=False).clicks == [Click((15, 19.5, 5), False)]


@pytest.mark.parametrize("box", [[(1, 2), (3, 4)], [(1, 1), (2, 3), (4, 5)], [(1, 2, 3), (2, 3), (4, 5)]])
def test_broken_boxes(box):
    with pytest.raises(PromptError, match="is not understood"):
        draw_box(box, SHAPE)


def test_a_scribble_spreads_its_clicks_along_the_stroke():
    clicks = draw_scribble([(5, 5, 3), (35, 5, 3)]).clicks
    assert len(clicks) == MOST
    assert clicks[0].voxel == (20, 5, 3)
    assert {click.voxel[0] for click in clicks[1:3]} == {5, 35}
    gaps = [np.linalg.norm(np.subtract(a.voxel, b.voxel)) for a in clicks for b in clicks if a is not b]
    assert min(gaps) >= GAP


def test_a_scribble_as_mask_or_as_stroke_is_the_same():
    mask = np.zeros(SHAPE, bool)
    mask[5:36, 7, 3] = True
    assert draw_scribble(mask, False).clicks == draw_scribble([(5, 7, 3), (35, 7, 3)], False).clicks
    assert draw_scribble([(5, 7, 3)]).clicks == [Click((5, 7, 3))]
    with pytest.raises(PromptError, match="empty"):
        draw_scribble(np.zeros(SHAPE, bool))


def test_a_lasso_clicks_deep_inside():
    mask = filled([(5, 5), (35, 5), (35, 15), (5, 15)], 2, 4)
    assert mask[:, :, 4].sum() == 30 * 10
    clicks = draw_lasso(mask, SHAPE).clicks
    assert 2 <= len(clicks) <= MOST
    for click in clicks:
        x, y, z = click.voxel
        assert z == 4
        assert min(x - 5, 35 - x, y - 5, 15 - y) >= 2
    assert not any(click.positive for click in draw_lasso(mask, SHAPE, positive=False).clicks)


def test_a_contour_with_a_bay_keeps_clicks_out_of_it():
    ring = np.zeros(SHAPE, bool)
    ring[10:30, 10:30, 3] = True
    ring[14:30, 14:26, 3] = False
    assert all(ring[tuple(int(p) for p in click.voxel)] for click in draw_lasso(ring, SHAPE).clicks)


def test_a_lasso_lies_on_one_slice():
    with pytest.raises(PromptError, match="several slices"):
        draw_lasso(np.ones(SHAPE, bool), SHAPE)


@pytest.mark.parametrize("far", [2e5, 4e63, 1.7e308])
def test_a_stroke_that_no_hand_draws_is_refused_at_once(far):
    with pytest.raises(PromptError, match="longer than"):
        draw_scribble([(-far, 1, 1), (far, 1, 1)])


def test_the_log_tells_what_was_drawn_unless_it_was_a_mask():
    box = draw_box([(10, 21), (10, 30), (4, 9)], SHAPE)
    assert (box.action, box.details) == ("box", {"box": [[10, 21], [10, 30], [4, 9]], "positive": True})
    points = [(5, 5), (35, 5), (35, 15), (5, 15)]
    lasso, mask = draw_lasso((points, 2, 4), SHAPE, False), draw_lasso(filled(points, 2, 4), SHAPE, False)
    assert lasso.clicks == mask.clicks
    assert lasso.details == {"points": [list(point) for point in points], "axis": 2, "index": 4, "positive": False}
    assert (mask.action, mask.details) == ("clicks", {"clicks": [[*c.voxel, False] for c in mask.clicks]})
