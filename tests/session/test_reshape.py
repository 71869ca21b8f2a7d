"""Masks made from masks: what must hold for any."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from openvista.errors import PromptError
from openvista.geometry.box import Box, Crop
from openvista.session.reshape import (
    combined,
    interpolated,
    piece_kept,
    slice_copied,
    smoothed,
    with_holes_filled,
    with_margin,
)
from small_sessions import ball

SHAPE = (9, 8, 7)
SPACING = (1.0, 1.5, 2.5)
MASKS = arrays(bool, SHAPE, elements=st.booleans())
PLANES = arrays(bool, (8, 7), elements=st.booleans())


def crop(mask):
    return Crop((0, 0, 0), mask).cropped(mask)


def whole(found, shape=SHAPE):
    return found.on(Box.whole(shape), False)


@given(PLANES, st.integers(0, 2), st.integers(2, 6))
def test_between_equal_slices_lies_the_same_slice(plane, axis, gap):
    assume(plane.any())
    slices = np.zeros((gap + 3, 8, 7), bool)
    slices[[1, gap + 1]] = plane
    mask = np.moveaxis(slices, 0, axis)
    found = np.moveaxis(whole(interpolated(crop(mask), axis, None, SPACING), mask.shape), axis, 0)
    assert (found[1 : gap + 2] == plane).all()
    assert not found[[0, gap + 2]].any()


def test_slices_that_do_not_overlap_move_from_one_to_the_other():
    mask = np.zeros((30, 9, 9), bool)
    mask[2:7, 2:7, 0] = mask[22:27, 2:7, 8] = True
    found = whole(interpolated(crop(mask), 2, None, (1.0, 1.0, 1.0)), mask.shape)
    middles = [ndimage.center_of_mass(found[:, :, index])[0] for index in range(9)]
    assert np.allclose(np.diff(middles), 2.5, atol=0.51)
    assert all(20 <= found[:, :, index].sum() <= 30 for index in range(9))


def test_between_two_given_slices_everything_is_replaced():
    mask = np.zeros(SHAPE, bool)
    mask[2:6, 2:6, 1:6] = True
    mask[:, :, 3] = True
    found = whole(interpolated(crop(mask), 2, (5, 1), SPACING))
    assert found.sum() == 4 * 4 * 5
    with pytest.raises(PromptError, match="no voxel on slice 6"):
        interpolated(crop(mask), 2, (1, 6), SPACING)


@settings(max_examples=40)
@given(MASKS, st.floats(0, 4))
def test_growing_adds_what_lies_near_and_shrinking_is_growing_the_outside(mask, mm):
    assume(mask.any())
    centres = np.stack(np.indices(SHAPE), -1) * SPACING
    distance = np.linalg.norm(centres[:, :, :, None] - centres[mask], axis=-1).min(-1)
    assume(not np.isclose(distance, mm, rtol=1e-9).any() or mm == 0)
    grown = whole(with_margin(crop(mask), mm, SHAPE, SPACING))
    assert np.array_equal(grown, distance <= mm)
    if not mask.all():
        assert np.array_equal(whole(with_margin(crop(~mask), -mm, SHAPE, SPACING)), ~grown | (mm == 0) & ~mask)


def test_where_the_scan_ends_shrinking_takes_nothing():
    mask = np.zeros(SHAPE, bool)
    mask[:, :4] = True
    found = whole(with_margin(crop(mask), -1.5, SHAPE, SPACING))
    assert np.array_equal(np.flatnonzero(found.any(axis=(0, 2))), [0, 1, 2])
    assert found[:, :3].all()
    everything = Crop((0, 0, 0), np.ones(SHAPE, bool))
    assert whole(with_margin(everything, -3, SHAPE, SPACING)).all()


@given(MASKS, MASKS)
def test_combining_is_what_sets_do(one, other):
    assert np.array_equal(whole(combined(crop(one), crop(other), "union")), one | other)
    assert np.array_equal(whole(combined(crop(one), crop(other), "subtract")), one & ~other)
    assert np.array_equal(whole(combined(crop(one), crop(other), "intersect")), one & other)


@given(MASKS, st.sampled_from([None, 0, 1, 2]))
def test_holes_are_what_the_outside_does_not_reach(mask, axis):
    assume(mask.any())
    faces = ndimage.generate_binary_structure(3, 1)
    outside = np.pad(~mask, [(0, 0) if each == axis else (1, 1) for each in range(3)], constant_values=True)
    if axis is not None:
        np.moveaxis(faces, axis, 0)[[0, 2]] = False
    reached, _ = ndimage.label(outside, faces)
    inner = tuple(slice(None) if each == axis else slice(1, -1) for each in range(3))
    first = [reached[tuple(k if each == axis else 0 for each in range(3))] for k in range(SHAPE[axis or 0])]
    filled = ~np.isin(reached, first)[inner]
    assert np.array_equal(whole(with_holes_filled(crop(mask), axis)), filled)


def test_smoothing_takes_a_spike_and_keeps_the_ball():
    mask = ball((24, 24, 24), (11, 11, 11), 7)
    spiked = mask.copy()
    spiked[19:23, 11, 11] = True
    found = whole(smoothed(crop(spiked), 1.2, mask.shape, (1.0, 1.0, 1.0)), mask.shape)
    assert not found[20:].any()
    assert 2 * (found & mask).sum() / (found.sum() + mask.sum()) > 0.97


def test_the_piece_at_a_voxel_or_the_largest_stays():
    mask = np.zeros(SHAPE, bool)
    mask[1:3, 2:4, 0:2] = mask[5:8, 5:8, 4:7] = True
    small = np.zeros(SHAPE, bool)
    small[1:3, 2:4, 0:2] = True
    assert np.array_equal(whole(piece_kept(crop(mask), [(1, 2, 1)])), small)
    assert np.array_equal(whole(piece_kept(crop(mask), [])), mask & ~small)
    with pytest.raises(PromptError, match="no piece of the object"):
        piece_kept(crop(small), [(8, 7, 6)])


@pytest.mark.parametrize("by", [1, -1])
def test_a_copied_slice_replaces_its_neighbour(by):
    mask = np.zeros(SHAPE, bool)
    mask[1:4, 3, 2:5] = True
    mask[5, 3 + by, 3] = True
    found = whole(slice_copied(crop(mask), 1, 3, by, SHAPE))
    assert np.array_equal(found[:, 3 + by], mask[:, 3])
    assert np.array_equal(found[:, 3], mask[:, 3])
    with pytest.raises(PromptError, match="nothing to copy"):
        slice_copied(crop(mask), 1, 3 - by, by, SHAPE)
    with pytest.raises(PromptError, match="no slice 8"):
        slice_copied(crop(mask), 1, 7, 1, SHAPE)
