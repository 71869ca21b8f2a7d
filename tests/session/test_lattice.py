import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from openvista.session.lattice import Lattice, cut_window

SIDES = st.tuples(*[st.sampled_from([8, 16, 32])] * 3)
LENGTHS = st.tuples(*[st.integers(1, 90)] * 3)


@st.composite
def clicked(draw):
    lattice = Lattice(draw(LENGTHS), draw(SIDES))
    place = tuple(draw(st.floats(-0.5, n - 0.51)) for n in lattice.volume)
    return lattice, place


@settings(max_examples=200)
@given(clicked())
def test_a_click_lies_well_inside_the_window_it_opens(case):
    lattice, place = case
    start = lattice.start(place)
    assert lattice.holds(start, place)
    assert lattice.holds_well(start, place)
    for axis in range(3):
        length, side, step = lattice.volume[axis], lattice.window[axis], lattice.step[axis]
        if length <= side:
            assert start[axis] == -((side - length) // 2)
        else:
            assert start[axis] % step == 0 or start[axis] == length - side
            assert 0 <= start[axis] <= length - side
            if 0 < start[axis] < length - side:
                assert abs(place[axis] - start[axis] - (side - 1) / 2) <= step / 2 + 1e-6


@settings(max_examples=100)
@given(clicked())
def test_the_window_holds_the_neighbours_of_its_click_that_exist(case):
    """Or growing could open a window without seeing anything new."""
    lattice, place = case
    start = lattice.start(place)
    for axis in range(3):
        for sign in (-1, 1):
            beside = list(place)
            beside[axis] += sign
            if -0.5 <= beside[axis] < lattice.volume[axis] - 0.5:
                assert lattice.holds(start, tuple(beside))


def test_clicks_near_each_other_share_a_window():
    lattice = Lattice((200, 200, 200), (64, 64, 64))
    assert len({lattice.start((x, 100, 100)) for x in range(88, 104)}) == 1
    assert lattice.start((103, 100, 100)) != lattice.start((104, 100, 100))


def test_windows_are_half_open():
    lattice = Lattice((40, 40, 40), (16, 16, 16))
    assert lattice.holds((8, 8, 8), (8, 8, 8))
    assert lattice.holds((8, 8, 8), (7.5, 23.4, 8))
    assert not lattice.holds((8, 8, 8), (24, 8, 8))
    assert lattice.holds((24, 8, 8), (24, 8, 8))


def test_holding_well_means_a_quarter_from_faces_but_for_those_of_the_volume():
    lattice = Lattice((40, 40, 40), (16, 16, 16))
    assert lattice.holds_well((8, 8, 8), (12, 12, 19))
    assert not lattice.holds_well((8, 8, 8), (11, 12, 12))
    assert not lattice.holds_well((8, 8, 8), (12, 20, 12))
    assert lattice.holds_well((0, 0, 24), (0, 0, 39))


@pytest.mark.parametrize("padding", ["constant", "replicate"])
def test_windows_beyond_a_small_volume_are_padded_alike_on_both_sides(padding):
    lattice = Lattice((5, 20, 7), (8, 8, 8))
    image = torch.rand(lattice.volume)
    start = lattice.start((2, 10, 3))
    window = cut_window(image, lattice, start, padding)
    whole = functional.pad(image[None, None], [0, 1, 0, 0, 1, 2], mode=padding)[0, 0]
    assert start == (-1, 6, 0)
    assert torch.equal(window, whole[:, 6:14])
    assert torch.equal(window[lattice.inside(start).slices(start)], image[:, 6:14])
