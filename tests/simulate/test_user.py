"""The simulated user of the evaluation: clicks in the middle of things, the same every time, and they help."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from openvista.errors import PromptError
from openvista.metrics.masks import dice
from openvista.network import ClickLabel
from openvista.simulate.objects import ClickObjects
from openvista.simulate.user import first_user_click, first_user_clicks, next_user_click, next_user_clicks

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

    scores = repaired(truth, predicted, 12, lambda t, p: next_user_click(t, p, PATCH_SPACING)[0])
    assert all(later > earlier for earlier, later in pairwise(scores))
    assert scores[-1] > scores[0] + 0.2
    assert scores[-1] > np.mean([repaired(truth, predicted, 12, anywhere)[-1] for _ in range(5)])


PATCH_SPACING = (4.0, 4.0, 3.0)


@pytest.fixture
def objects():
    """A box, a special box, and one of which nothing is known."""
    targets = torch.zeros(3, 12, 12, 12, dtype=torch.bool)
    targets[0, 2:9, 3:8, 4:9] = True
    targets[1, 5:11, 1:4, 2:10] = True
    targets[2] = targets[0]
    known = torch.ones_like(targets)
    known[2] = False
    special = torch.tensor([False, True, False])
    return ClickObjects(targets, known, torch.tensor([1, 2, 3]), special, ~special, targets.to(torch.int8))


def test_first_clicks_lie_in_the_middle(objects):
    clicks = first_user_clicks(objects, PATCH_SPACING)
    assert clicks.labels_BN.flatten().tolist() == [
        ClickLabel.POSITIVE,
        ClickLabel.SPECIAL_POSITIVE,
        ClickLabel.PADDING,
    ]
    for target, place in zip(objects.targets_BXYZ[:2], clicks.places_BN3[:2, 0], strict=True):
        assert tuple(place.tolist()) == first_user_click(target.numpy(), PATCH_SPACING)


def test_next_clicks_lie_in_the_largest_error(objects):
    predicted = objects.targets_BXYZ.clone()
    predicted[0, :5] = False  # most of it is missing
    predicted[1, :5, 6:] = True  # much too much
    clicks = next_user_clicks(predicted, objects, PATCH_SPACING)
    assert clicks.labels_BN.flatten().tolist() == [
        ClickLabel.POSITIVE,
        ClickLabel.SPECIAL_NEGATIVE,
        ClickLabel.PADDING,
    ]
    for number in (0, 1):
        place, _ = next_user_click(objects.targets_BXYZ[number].numpy(), predicted[number].numpy(), PATCH_SPACING)
        assert tuple(clicks.places_BN3[number, 0].tolist()) == place


def test_an_error_as_thin_as_a_voxel_is_clicked(objects):
    predicted = objects.targets_BXYZ.clone()
    predicted[0, 8] = False
    clicks = next_user_clicks(predicted, objects, PATCH_SPACING)
    assert int(clicks.places_BN3[0, 0, 0]) == 8


def test_nobody_clicks_when_all_is_right(objects):
    assert next_user_clicks(objects.targets_BXYZ, objects, PATCH_SPACING) is None
