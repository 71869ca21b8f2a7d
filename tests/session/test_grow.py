"""Growing: masks go on where no window has looked, and end where the object does."""

import numpy as np
import pytest

from openvista.inference.profiles import BUNDLE
from openvista.session.grow import GROW_LIMIT, find_rim, next_window
from openvista.session.lattice import Lattice
from small_sessions import BrightRegions, ball, bright_scan, bright_session

LATTICE = Lattice((40, 16, 16), (16, 16, 16))


def tube(shape=(20, 24, 96)) -> np.ndarray:
    """A bent tube along the third axis, six windows of 16 voxels long."""
    x, y, z = np.indices(shape)
    centre_x, centre_y = 10 + 5 * np.sin(z / 14), 12 + 6 * np.cos(z / 17)
    inside = (x - centre_x) ** 2 + (y - centre_y) ** 2 <= 3.2**2
    inside[:, :, :6] = inside[:, :, -6:] = False
    return inside


def test_a_tube_that_spans_four_windows_is_found_whole_and_without_planar_cut():
    inside = tube()
    session = bright_session(bright_scan(inside), BrightRegions((24, 24, 24)))
    place = np.argwhere(inside[:, :, 20]).mean(axis=0)
    answer = session.click((*np.rint(place), 20))
    assert answer.grown >= 3
    assert not answer.goes_on
    assert np.array_equal(session.mask("object"), inside)


def test_without_growing_the_mask_ends_with_its_window():
    inside = tube()
    scan = bright_scan(inside)
    place = (*np.rint(np.argwhere(inside[:, :, 40]).mean(axis=0)), 40)
    alone, bundle = (
        bright_session(scan, BrightRegions((24, 24, 24))),
        bright_session(scan, BrightRegions((24, 24, 24)), BUNDLE),
    )
    assert alone.click(place, grow=False).grown == 0
    assert bundle.click(place).grown == 0
    cut = np.flatnonzero(alone.mask("object").any(axis=(0, 1)))
    assert len(cut) == 24
    assert (
        alone.mask("object")[:, :, cut[-1]].sum() == inside[:, :, cut[-1]].sum() > 10
    )  # flat: the whole cross-section
    assert np.array_equal(bundle.mask("object"), alone.mask("object"))


def test_a_later_click_lets_an_object_grow_on():
    inside = tube()
    session = bright_session(bright_scan(inside), BrightRegions((24, 24, 24)))
    place = (*np.rint(np.argwhere(inside[:, :, 40]).mean(axis=0)), 40)
    session.click(place, grow=False)
    session.click((place[0] + 1, *place[1:]))
    assert np.array_equal(session.mask("object"), inside)


def test_growing_stops_at_its_limit_and_says_so():
    inside = np.zeros((8, 8, 400), bool)
    inside[2:6, 2:6] = True
    session = bright_session(bright_scan(inside), BrightRegions((8, 8, 8)))
    answer = session.click((3, 3, 200))
    assert answer.grown == GROW_LIMIT
    assert answer.goes_on
    assert any("goes on beyond 16 windows" in note for note in answer.notes)
    before = session.mask("object").sum()
    further = np.flatnonzero(session.mask("object").any(axis=(0, 1)))[-1]
    assert session.click((3, 3, further)).grown > 0
    assert session.mask("object").sum() > before


def test_a_leak_that_grew_is_gone_once_a_click_closes_it():
    inside = ball((24, 24, 70), (12, 12, 10), 6)
    inside[11:13, 11:13, 15:] = True  # a thin bridge out of the ball, and on to the end of the scan
    network = BrightRegions((24, 24, 24))
    session = bright_session(bright_scan(inside), network)
    assert session.click((12, 12, 10)).grown > 0
    assert session.mask("object")[11, 11, 60]
    session.click((12, 12, 18), positive=False)
    mask = session.mask("object")
    assert mask[12, 12, 10]
    assert not mask[:, :, 22:].any()
    assert len(session.state.find("object").inputs.windows) == 1
    session.undo()
    assert session.mask("object")[11, 11, 60]


def test_faces_of_the_volume_are_no_rim():
    mask = np.ones((40, 16, 16), bool)
    assert not find_rim(mask, np.ones_like(mask), (0, 0, 0), (40, 16, 16)).any()
    seen = mask.copy()
    seen[20:] = False
    rim = find_rim(mask & seen, seen, (0, 0, 0), (40, 16, 16))
    assert np.flatnonzero(rim.any(axis=(1, 2))).tolist() == [19]
    alone = find_rim(mask[:20], seen[:20], (0, 0, 0), (40, 16, 16))
    assert np.array_equal(alone, rim[:20])
    assert not find_rim(mask[:20], seen[:20], (0, 0, 0), (20, 16, 16)).any()


@pytest.mark.parametrize("side", [-1, 1])
def test_the_next_window_looks_beyond_the_rim_and_its_click_lies_in_the_middle_of_the_mask(side):
    mask = np.zeros((16, 16, 16), bool)
    mask[:, 5:10, 6:11] = True
    origin = (0, 0, 0) if side > 0 else (24, 0, 0)
    window = next_window(mask, np.ones_like(mask), origin, LATTICE, (1.0, 1.0, 1.0))
    assert window is not None
    first, last = window.start[0], window.start[0] + 15
    assert (first < 16 and last >= 23) if side > 0 else (first <= 16 and last >= 24)
    ((x, y, z),) = window.placed
    assert (y, z) == (7, 8)
    assert first <= x <= last
    assert 0 <= x - origin[0] <= 15


def test_no_rim_no_window():
    mask = np.zeros((16, 16, 16), bool)
    mask[4:8, 4:8, 4:8] = True
    assert next_window(mask, np.ones_like(mask), (0, 0, 0), LATTICE, (1.0, 1.0, 1.0)) is None
