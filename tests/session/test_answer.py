"""Where clicks fall in a session: outside, in air, in which window, on which grid."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from openvista.geometry.grid import Grid
from openvista.inference.profiles import BEST
from openvista.network import ClickLabel
from openvista.prompts import Click
from openvista.scan import Scan
from openvista.session.edits import Brush
from small_sessions import BrightRegions, ball, bright_scan, bright_session, picture, two_balls


def test_a_click_outside_changes_nothing_and_is_told():
    session = bright_session(two_balls())
    session.click((10, 12, 14))
    before, state = picture(session), session.state
    for voxel in [(40, 1, 1), (-1, 1, 1), (1, 1, 29.6)]:
        answer = session.click(voxel, positive=False)
        assert answer.outside == (Click(voxel, False),)
        assert "lies outside the scan of shape (40, 40, 30): it changed nothing" in answer.notes[0]
    assert session.click((99, 0, 0), "liver").object_id is None
    assert picture(session) == before
    assert session.state is state
    assert len(session.events) == 1
    mixed = session.clicks([Click((30, 28, 15)), Click((99, 0, 0))])
    assert (len(mixed.clicks), len(mixed.outside)) == (1, 1)


def test_a_click_in_air_is_told_but_not_in_the_gas_of_a_body():
    voxels = np.full((30, 30, 10), -1000, np.int16)
    voxels[8:22, 8:22] = 40
    voxels[13:17, 13:17] = -900
    scan = Scan(voxels, Grid(voxels.shape, np.diag([2.0, 2, 2, 1])))
    session = bright_session(scan)
    assert "lies in air outside the body" in session.click((2, 15, 5)).notes[0]
    assert session.click((15, 15, 5)).in_air == ()
    assert session.click((9, 9, 5)).in_air == ()


def test_an_empty_mask_and_a_lone_negative_click_are_told():
    session = bright_session(two_balls(), profile=replace(BEST, enforce_clicks=False))
    answer = session.click((20, 20, 15), positive=False)
    assert answer.unseen == (Click((20, 20, 15), False),)
    assert "lies outside every window of 'object'" in answer.notes[0]
    assert "is empty" in session.click((20, 5, 15)).notes[-1]
    assert session.click((30, 28, 15)).notes == []
    assert "nothing changed in 'object'" in session.click((30, 28, 15)).notes[0]


@pytest.mark.parametrize("signs", list(itertools.product((-1, 1), repeat=3)))
@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 0, 1), (1, 0, 2)])
def test_clicks_and_masks_fit_whatever_the_orientation(signs, axes):
    inside = ball((26, 22, 24), (9, 13, 10), 5)
    affine = np.eye(4)
    affine[:3, :3] = np.eye(3)[list(axes)] * np.array(signs) * 2.0
    session = bright_session(bright_scan(inside, affine))
    session.click((9, 13, 10))
    assert np.array_equal(session.mask("object"), inside)


def test_masks_follow_other_spacings_closely():
    inside = ball((40, 40, 20), (18, 20, 9), 8)
    affine = np.diag([-1.3, 1.1, 2.9, 1.0])
    session = bright_session(bright_scan(inside, affine))
    session.click((18, 20, 9))
    mask = session.mask("object")
    assert 2 * (mask & inside).sum() / (mask.sum() + inside.sum()) > 0.93


def test_clicks_in_millimetres():
    scan = two_balls()
    session = bright_session(scan)
    x, y, z = scan.grid.to_world(np.array([[10, 12, 14]]))[0]
    answer = session.click((x, y, z), world=True)
    assert answer.clicks[0].voxel == pytest.approx((10, 12, 14))


def test_a_second_click_in_a_window_asks_the_point_head_only():
    network = BrightRegions()
    session = bright_session(two_balls(), network)
    first = session.click((10, 12, 14))
    assert (first.encoded, network.encoded) == (1, 1)
    second = session.click((12, 12, 14), positive=False)
    assert (second.encoded, network.encoded) == (0, 1)
    far = session.click((30, 28, 15), grow=False)
    assert far.encoded == 1
    assert network.encoded == 2
    session.undo()
    session.redo()
    session.click((30, 28, 15), session.new_object("other"), grow=False)
    assert network.encoded == 2
    assert len(network.asked) == 4


def test_special_classes_and_new_objects_are_asked_their_own_way(two_branches):
    asked = []

    class Listening(BrightRegions):
        def answer(self, features, clicks, zero_shot):
            asked.append(({click.label for click in clicks}, zero_shot))
            return super().answer(features, clicks, zero_shot)

    session = bright_session(two_balls(), Listening())
    clicks = [Click((10, 12, 14)), Click((10, 16, 14), False)]
    session.clicks(clicks)
    session.clicks(clicks, "pancreatic tumor")
    session.clicks(clicks, "liver")
    session.clicks(clicks, session.new_object("new"))
    plain = {ClickLabel.NEGATIVE, ClickLabel.POSITIVE}
    special = {ClickLabel.SPECIAL_NEGATIVE, ClickLabel.SPECIAL_POSITIVE}
    # the liver is asked as the unnamed object was, so its answer is known
    assert asked == [(plain, False), (special, False), (plain, True)]


def test_after_a_drawing_the_notes_speak_of_the_drawing_not_of_clicks():
    air = np.full((40, 40, 30), -1000, np.int16)
    air[4:36, 4:36] = np.where(ball((40, 40, 30), (14, 14, 14), 6), 300, -50)[4:36, 4:36]
    session = bright_session(Scan(air, Grid(air.shape, np.diag([2.0, 2.0, 2.0, 1.0]))))
    answers = [
        session.box([(8, 21), (8, 21), (8, 21)], "liver", grow=False),  # its negative clicks lie in no window
        session.box([(8, 21), (8, 21), (8, 21)], "liver", grow=False),
        session.box([(1, 3), (1, 3), (1, 3)], "liver"),
        session.box([(60, 70), (1, 3), (1, 3)], "liver"),
        session.scribble([(14, 14, 14), (60, 14, 14)], "liver"),
        session.lasso(([(8, 8), (20, 8), (20, 20)], 2, 14), "spleen", positive=False),
    ]
    notes = [note for answer in answers for note in answer.notes]
    assert "the box lies in air outside the body" in notes
    assert "the box lies outside the scan of shape (40, 40, 30): it changed nothing" in notes
    assert "a part of the scribble lies outside the scan of shape (40, 40, 30): it changed nothing" in notes
    assert any(note.startswith("the lasso lies outside every window of 'spleen': it counts once") for note in notes)
    assert not any(note.startswith(("click", "negative click")) for note in notes)
    assert answers[0].notes == []
    assert all(click.drawn for item in session.objects for click in item.clicks)
    assert not session.click((14, 14, 14)).clicks[0].drawn


def test_a_drawing_that_contradicts_edits_is_told():
    session = bright_session(two_balls())
    session.edit(Brush(points=((10, 12, 14),), radius_mm=20, add=False))
    answer = session.box([(6, 15), (8, 17), (10, 19)])
    assert answer.notes[0] == (
        "the box lies where 'object' was edited by hand, which clicks do not change: paint or erase there"
    )
