"""The simulated user of the evaluation: clicks in the middle of things, the same every time, and they help."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from openvista.errors import PromptError
from openvista.evaluate.metrics import dice
from openvista.simulate.user import first_user_click, next_user_click

SPACING = (1.0, 1.0, 3.0)


def box(shape, *sides):
    mask = np.zeros(shape, bool)
    mask[tuple(slice(*side) for side in sides)] = True
    return mask


def random_mask(seed, shape=(15, 12, 9)):
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), 1.5)
    return noise > 0.08


def depth_of(mask, spacing):
    """Distance of every voxel to the nearest voxel outside, by trying all of them; beyond the array is outside."""
    padded = np.pad(mask, 1)
    outside = np.argwhere(~padded) * spacing
    inside = np.argwhere(padded)
    return {
        tuple(int(i) for i in place - 1): np.sqrt(((outside - place * spacing) ** 2).sum(1)).min() for place in inside
    }


@settings(max_examples=25)
@given(seed=st.integers(0, 10**6), spacing=st.sampled_from([(1.0, 1.0, 1.0), SPACING, (0.7, 1.2, 5.0)]))
def test_the_first_click_is_the_deepest_voxel_of_the_largest_component(seed, spacing):
    truth = random_mask(seed)
    if not truth.any():
        return
    labels, _ = ndimage.label(truth, structure=np.ones((3, 3, 3)))
    sizes = np.bincount(labels.ravel())[1:]
    click = first_user_click(truth, spacing)
    assert sizes[labels[click] - 1] == sizes.max()
    depth = depth_of(labels == labels[click], np.asarray(spacing))
    assert depth[click] == pytest.approx(max(depth.values()))


def test_middle_is_meant_in_millimetres():
    """A column on a plate one voxel thick: thick slices make the plate the deeper of the two."""
    truth = box((9, 9, 9), (1, 8), (1, 8), (4, 5)) | box((9, 9, 9), (1, 4), (1, 4), (1, 8))
    assert first_user_click(truth, (1.0, 1.0, 1.0))[:2] == (2, 2)
    assert first_user_click(truth, (1.0, 1.0, 9.0))[:2] == (4, 4)


def test_of_a_tube_the_middle_and_not_its_end():
    assert first_user_click(box((5, 5, 41), (1, 4), (1, 4), (0, 41)), SPACING) == (2, 2, 20)


def test_a_structure_cut_by_the_scan_is_clicked_in_the_middle_of_what_is_seen():
    assert first_user_click(np.ones((9, 9, 9), bool), (1.0, 1.0, 1.0)) == (4, 4, 4)


def test_the_largest_error_counts_and_says_its_sign():
    truth = box((20, 20, 20), (2, 9), (2, 9), (2, 9))
    nothing = np.zeros_like(truth)
    assert next_user_click(truth, nothing, (1.0, 1.0, 1.0)) == ((5, 5, 5), True)
    too_much = truth | box(truth.shape, (12, 19), (12, 19), (12, 19))
    assert next_user_click(truth, too_much, (1.0, 1.0, 1.0)) == ((15, 15, 15), False)
    both = too_much & ~box(truth.shape, (2, 9), (2, 9), (2, 5))
    assert next_user_click(truth, both, (1.0, 1.0, 1.0)) == ((15, 15, 15), False)
    equal = box(truth.shape, (12, 19), (12, 19), (12, 19))
    assert next_user_click(truth, equal, (1.0, 1.0, 1.0)) == ((5, 5, 5), True)


def test_missing_and_superfluous_voxels_that_touch_are_two_errors():
    truth, predicted = box((24, 9, 9), (2, 10), (2, 7), (2, 7)), box((24, 9, 9), (10, 20), (2, 7), (2, 7))
    click, positive = next_user_click(truth, predicted, (1.0, 1.0, 1.0))
    assert not positive
    assert 12 <= click[0] <= 17


@settings(max_examples=30)
@given(seed=st.integers(0, 10**6))
def test_a_click_always_lies_in_an_error_of_its_sign(seed):
    truth, predicted = random_mask(seed), random_mask(seed + 1)
    answer = next_user_click(truth, predicted, SPACING)
    assert answer == next_user_click(truth.copy(), predicted.copy(), SPACING)
    if answer is None:
        assert np.array_equal(truth, predicted)
        return
    click, positive = answer
    assert truth[click] == positive
    assert predicted[click] != positive


def test_no_error_no_click_and_nothing_to_click_is_said():
    truth = random_mask(0)
    assert next_user_click(truth, truth, SPACING) is None
    with pytest.raises(PromptError, match="no voxel"):
        first_user_click(np.zeros_like(truth), SPACING)
    with pytest.raises(PromptError, match=r"\(15, 12, 9\).*\(14, 12, 9\)"):
        next_user_click(truth, truth[1:], SPACING)


def repaired(truth, predicted, clicks, next_click):
    """Dice after each click, where the answer becomes right within 5 mm of a click."""
    grid = np.moveaxis(np.indices(truth.shape), 0, -1) * SPACING
    scores = [dice(predicted, truth)]
    for _ in range(clicks):
        near = np.sqrt(((grid - np.asarray(next_click(truth, predicted)) * SPACING) ** 2).sum(-1)) < 5
        predicted = np.where(near, truth, predicted)
        scores.append(dice(predicted, truth))
    return scores


@pytest.mark.parametrize("seed", range(4))
def test_clicks_lower_the_error_and_more_than_clicks_on_any_error_would(seed):
    truth, predicted = random_mask(seed, (24, 24, 10)), random_mask(seed + 100, (24, 24, 10))
    random = np.random.default_rng(seed)

    def anywhere(truth, predicted):
        return random.choice(np.argwhere(truth ^ predicted))

    scores = repaired(truth, predicted, 12, lambda t, p: next_user_click(t, p, SPACING)[0])
    assert all(later > earlier for earlier, later in pairwise(scores))
    assert scores[-1] > scores[0] + 0.2
    assert scores[-1] > np.mean([repaired(truth, predicted, 12, anywhere)[-1] for _ in range(5)])
