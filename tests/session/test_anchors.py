"""Where anchors lie, and that with them a first click corrects a mask instead of replacing it."""

import numpy as np
import pytest

from openvista.geometry.box import Crop
from openvista.inference.profiles import BUNDLE
from openvista.io.session_file import read_session
from openvista.scan import Segmentation
from openvista.session.anchors import ANCHORS, GIVES_WAY, SAYS_THE_SAME, find_anchors, without_contradicted
from openvista.session.click_engine import GridClick
from openvista.session.lattice import Lattice
from openvista.session.session import Session
from openvista.session.state import ClickWindow
from small_sessions import BrightRegions, bright_scan, bright_session

LATTICE = Lattice((60, 60, 60), (32, 32, 32))
SPACING = (2.0, 2.0, 1.0)


def box(*sides: tuple[int, int]) -> np.ndarray:
    mask = np.zeros(LATTICE.volume, bool)
    mask[tuple(slice(*side) for side in sides)] = True
    return mask


def anchors_of(mask: np.ndarray, place: tuple[int, int, int], positive: bool = False):
    click = GridClick(tuple(map(float, place)), positive)
    start = LATTICE.start(click.place)
    return find_anchors(Crop((0, 0, 0), mask), click, place, start, LATTICE, SPACING)


def test_anchors_lie_in_the_mask_in_the_window_and_away_from_the_click_and_each_other():
    mask, click = box((10, 40), (12, 30), (10, 30)), (14, 20, 20)
    found = anchors_of(mask, click)
    assert len(set(found)) == ANCHORS
    places = [np.array(place, int) for place in found]
    assert all(mask[tuple(place)] for place in places)
    assert all(LATTICE.holds(LATTICE.start(click), tuple(place)) for place in places)
    apart = [np.linalg.norm((a - b) * SPACING) for a, b in zip(places, [np.array(click), *places], strict=False)]
    assert min(apart) > 8


def test_a_window_without_any_of_the_mask_has_none():
    assert anchors_of(box((50, 58), (50, 58), (50, 58)), (5, 5, 5)) == ()


def test_a_small_piece_with_a_negative_click_in_it_is_no_anchor():
    large, piece = box((4, 20), (4, 20), (4, 20)), box((24, 28), (10, 14), (10, 14))
    found = anchors_of(large | piece, (26, 12, 12))
    assert found
    assert all(large[tuple(map(int, place))] for place in found)
    assert anchors_of(piece, (26, 12, 12)), "the only piece is what the object is"


def test_what_is_near_a_positive_click_is_no_anchor():
    assert anchors_of(box((10, 13), (10, 13), (10, 13)), (11, 11, 11), positive=True) == ()
    found = anchors_of(box((8, 28), (10, 13), (10, 13)), (9, 11, 11), positive=True)
    assert all(np.linalg.norm((np.array(place) - (9, 11, 11)) * SPACING) > SAYS_THE_SAME for place in found)
    assert found


def test_an_anchor_gives_way_to_a_negative_click():
    window = ClickWindow((0, 0, 0), (), ((10.0, 10.0, 10.0), (20.0, 10.0, 10.0)))
    near = GridClick((10.0, 10.0, 10.0 + GIVES_WAY - 1), False)
    (kept,) = without_contradicted([window], [near], SPACING)
    assert kept.anchors == ((20.0, 10.0, 10.0),)
    (same,) = without_contradicted([window], [GridClick(near.place, True)], SPACING)
    assert same == window


def brought() -> tuple[Session, np.ndarray]:
    """A session in which somebody brought the bright bar of the scan and too much of the dark at its end."""
    bright = np.zeros((40, 24, 20), bool)
    bright[4:26, 8:16, 6:14] = True
    mask = bright.copy()
    mask[26:36, 8:16, 6:14] = True
    session = bright_session(bright_scan(bright), BrightRegions((40, 40, 40)))
    session.start_from(Segmentation(mask.astype(np.uint8), session.scan.grid, {1: "bar"}))
    return session, bright


def test_a_negative_first_click_takes_away_what_is_near_it_and_leaves_the_rest():
    session, bright = brought()
    session.click((33, 12, 10), "bar", positive=False)
    mask = session.mask("bar")
    assert not mask[31:].any()
    assert np.array_equal(mask[:20], bright[:20])


def test_the_papers_rule_asks_with_the_click_alone():
    session, _ = brought()
    by_paper = Session(session.open_scan.model, session.scan, BUNDLE)
    by_paper.start_from(Segmentation(session.mask("bar").astype(np.uint8), session.scan.grid, {1: "bar"}))
    by_paper.click((33, 12, 10), "bar", positive=False)
    inputs = by_paper.object("bar").state.inputs
    assert inputs.corrections == ()
    assert all(not window.anchors for window in inputs.windows)
    assert not by_paper.mask("bar")[30:].any()


@pytest.mark.parametrize("positive", [True, False])
def test_undo_and_a_saved_session_know_anchors(tmp_path, positive):
    session, _ = brought()
    before = session.mask("bar")
    session.click((8, 12, 10), "bar", positive=positive)
    session.click((33, 12, 10), "bar", positive=False)
    after = session.mask("bar")
    session.save(tmp_path / "case.ovsession")
    contents = read_session(tmp_path / "case.ovsession")
    assert contents.manifest["format"] == 3, "earlier versions would answer later clicks otherwise"
    back = Session.restored(contents, session.open_scan.model, session.scan)
    assert back.object("bar").state == session.object("bar").state
    assert any(window.anchors for window in back.object("bar").state.inputs.windows)
    back.open_scan.restored.clear()
    assert np.array_equal(back.mask("bar"), after)
    session.undo()
    session.undo()
    assert np.array_equal(session.mask("bar"), before)


def test_a_first_click_on_a_mask_with_nothing_in_it_corrects_nothing():
    session, bright = brought()
    nothing = np.zeros(bright.shape, np.uint8)
    session.start_from(Segmentation(nothing, session.scan.grid, {1: "empty"}), labels=["empty"])
    session.click((10, 12, 10), "empty")
    assert session.object("empty").state.inputs.corrections == ()
    assert np.array_equal(session.mask("empty"), bright)
