import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openvista.geometry.box import Box, Crop, minus, plus


def test_boxes():
    crop = Crop((1, 2, 3), np.ones((2, 2, 2)))
    assert crop.box.stop == (3, 4, 5)
    assert crop.at((2, 3, 4), 7) == 1
    assert crop.at((3, 3, 4), 7) == 7
    assert crop.on(Box((0, 0, 0), (2, 3, 4)), 0).sum() == 1
    assert crop.on(Box((5, 5, 5), (6, 6, 6)), 9).tolist() == [[[9]]]
    assert Box((0, 0, 0), (2, 2, 2)).intersect(Box((2, 0, 0), (3, 2, 2))) is None
    assert Box.hull([Box((0, 0, 0), (0, 0, 0)), crop.box]) == crop.box
    assert Box.hull([]) == ((0, 0, 0), (0, 0, 0))


SHAPE = (6, 5, 7)
voxels = st.tuples(*[st.integers(0, length) for length in SHAPE])
boxes = st.builds(Box, voxels, voxels)
"""In an array of ``SHAPE``; some are empty, in which case ``stop`` may lie before ``start``."""
masks = st.lists(voxels, max_size=6).map(lambda places: drawn(Box.sized(place, (1, 1, 1)) for place in places))


def drawn(some) -> np.ndarray:
    """A mask of ``SHAPE`` that is true in each box."""
    mask = np.zeros(SHAPE, bool)
    for box in some:
        if not box.empty:
            mask[box.slices()] = True
    return mask


@given(boxes)
def test_a_box_is_its_slices(box):
    mask = drawn([box])
    assert mask.sum() == np.prod(box.shape)
    assert box.empty == (not mask.any())
    assert Box.of_slices(box.slices()) == box
    assert Box.sized(box.start, box.shape) == box or box.empty
    for place in np.ndindex(SHAPE):
        assert box.contains(place) == mask[place]


@given(boxes, boxes)
def test_what_boxes_share_is_what_their_masks_share(one, other):
    shared, mask = one.intersect(other), drawn([one]) & drawn([other])
    assert np.array_equal(mask, drawn([] if shared is None else [shared]))
    assert shared is None or not shared.empty


@given(st.lists(boxes, max_size=4))
def test_the_hull_is_the_box_around_all_of_them(some):
    around = Box.around(drawn(some))
    assert Box.hull(some) == (((0, 0, 0), (0, 0, 0)) if around is None else around)


@given(masks, st.integers(0, 3), st.tuples(*[st.integers(0, 3)] * 3))
def test_the_box_around_a_mask_and_a_margin(mask, margin, margins):
    tight = Box.around(mask)
    if tight is None:
        assert not mask.any()
        return
    places = np.argwhere(mask)
    assert tight == (tuple(places.min(axis=0)), tuple(places.max(axis=0) + 1))
    assert Box.around(mask, margin) == tight.widened(margin, SHAPE) == tight.widened([margin] * 3, SHAPE)
    wide = Box.around(mask, margins)
    assert wide.start == tuple(max(a - m, 0) for a, m in zip(tight.start, margins, strict=True))
    assert wide.intersect(Box.whole(SHAPE)) == wide


@given(boxes, voxels)
def test_a_box_moves_there_and_back(box, by):
    moved = box.shifted(by)
    assert moved.shape == box.shape
    assert moved.shifted(minus((0, 0, 0), by)) == box
    assert moved.slices(by) == box.slices()
    assert minus(plus(box.start, by), by) == box.start


@given(boxes, st.integers(1, 3))
def test_a_scaled_box_holds_the_same_voxels_cut_finer(box, by):
    finer = drawn([box]).repeat(by, 0).repeat(by, 1).repeat(by, 2)
    assert Box.around(finer) == (None if box.empty else box.scaled(by))


@given(boxes, boxes, st.integers(0, 1000))
def test_a_crop_on_another_box_is_what_the_whole_array_has_there(box, other, seed):
    values = np.random.default_rng(seed).normal(size=SHAPE)
    crop = Crop(box.start, values[box.slices()])
    expected = np.where(drawn([box]), values, -7.0)
    assert np.array_equal(crop.on(Box.whole(SHAPE), -7.0), expected)
    if not other.empty:
        assert np.array_equal(crop.on(other, -7.0), expected[other.slices()])
    for place in np.ndindex(SHAPE):
        assert crop.at(place, -7.0) == expected[place]


@pytest.mark.parametrize("margin", [0, 2])
def test_the_box_around_a_mask(margin):
    mask = np.zeros((6, 6, 6), bool)
    assert Box.around(mask) is None
    mask[1, 4, 3] = mask[2, 4, 3] = True
    expected = {0: ((1, 4, 3), (3, 5, 4)), 2: ((0, 2, 1), (5, 6, 6))}
    assert Box.around(mask, margin) == expected[margin]


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("margin", [0, 2])
def test_a_box_reaches_a_face(axis, margin):
    whole, inner = Box((1, 2, 3), (21, 22, 23)), Box((9, 9, 9), (12, 12, 12))
    for start in range(25):
        begin, end = list(inner.start), list(inner.stop)
        begin[axis], end[axis] = start, start + 3
        near = start <= whole.start[axis] + margin or start + 3 >= whole.stop[axis] - margin
        assert Box(tuple(begin), tuple(end)).reaches_face(whole, margin) == near


def test_what_is_cropped_holds_on_to_nothing_else():
    crop = Crop((5, 6, 7), np.arange(6 * 7 * 8).reshape(6, 7, 8))
    needed = np.zeros((6, 7, 8), bool)
    assert crop.cropped(needed).values_XYZ.shape == (0, 0, 0)
    assert crop.cropped(needed).values_XYZ.base is None
    needed[2, 3, 4] = needed[3, 3, 7] = True
    kept = crop.cropped(needed, margin=1)
    assert kept.box == ((6, 8, 10), (10, 11, 15))
    assert kept.values_XYZ.base is None
    assert np.array_equal(kept.values_XYZ, crop.values_XYZ[1:5, 2:5, 3:8])
