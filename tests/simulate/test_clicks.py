"""Simulated clicks: where they lie, how many there are, what they are labelled, and that a seed repeats them."""

from collections import Counter
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from openvista.network.point_head import ClickLabel
from openvista.simulate.clicks import ClickRules, first_clicks, further_clicks, joined
from openvista.simulate.pieces import erode

RULES = ClickRules()
POSITIVE = {int(ClickLabel.POSITIVE), int(ClickLabel.SPECIAL_POSITIVE)}
NEGATIVE = {int(ClickLabel.NEGATIVE), int(ClickLabel.SPECIAL_NEGATIVE)}


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def blobs(seed, objects=3, shape=(13, 16, 11)):
    """Random masks from empty to nearly full, smooth enough that some survive an erosion."""
    noise = torch.nn.functional.avg_pool3d(torch.randn(objects, *shape, generator=seeded(seed)), 3, stride=1, padding=1)
    return noise > torch.linspace(-0.3, 0.6, objects)[:, None, None, None]


def clicked(clicks):
    """(object, voxel, label) of every click that is not padding."""
    for number, (places, labels) in enumerate(zip(clicks.places_BN3.tolist(), clicks.labels_BN.tolist(), strict=True)):
        for place, label in zip(places, labels, strict=True):
            if label != ClickLabel.PADDING:
                yield number, tuple(place), label


def special_none(targets):
    return torch.zeros(len(targets), dtype=torch.bool)


def everywhere(targets):
    return torch.ones_like(targets)


def first(targets, known=None, special=None, rules=RULES, seed=0, pieces=None):
    known = everywhere(targets) if known is None else known
    special = special_none(targets) if special is None else special
    return first_clicks(targets, known, special, rules, seeded(seed), pieces)


def further(predicted, targets, known=None, rules=RULES, seed=0):
    known = everywhere(targets) if known is None else known
    return further_clicks(predicted, targets, known, special_none(targets), rules, seeded(seed))


def box(shape, *sides):
    mask = torch.zeros(1, *shape, dtype=torch.bool)
    mask[(0, *(slice(*side) for side in sides))] = True
    return mask


@settings(max_examples=40)
@given(seed=st.integers(0, 10**6), supervoxels=st.booleans())
def test_first_clicks_are_right_known_and_different(seed, supervoxels):
    targets, known = blobs(seed), blobs(seed + 1).flip(0)
    clicks = first(targets, known, rules=replace(RULES, from_supervoxels=supervoxels), seed=seed)
    seen = list(clicked(clicks))
    for number, place, label in seen:
        assert known[number][place]
        assert bool(targets[number][place]) == (label in POSITIVE)
    assert len({(number, place) for number, place, _ in seen}) == len(seen)
    for number in range(len(targets)):
        can_be_clicked = bool((targets[number] & known[number]).any())
        assert any(n == number and label in POSITIVE for n, _, label in seen) == can_be_clicked


@settings(max_examples=40)
@given(seed=st.integers(0, 10**6))
def test_further_clicks_lie_in_the_eroded_error_of_their_sign(seed):
    targets, predicted, known = blobs(seed), blobs(seed + 1), blobs(seed + 2).flip(0)
    rules = replace(RULES, border=3, border_share=0.2)
    clicks = further(predicted, targets, known, rules, seed)
    missing = erode(targets & ~predicted & known, 3)
    superfluous = erode(predicted & ~targets & known, 3)
    inner = torch.zeros_like(missing)
    inner[:, 2:-2, 3:-3, :] = True  # a fifth of 13 and 16 voxels, at most 3; Z is free
    missing, superfluous = missing & inner, superfluous & inner
    if clicks is None:
        assert not missing.any()
        assert not superfluous.any()
        return
    assert clicks.labels_BN.shape == (len(targets), 2)
    for number in range(len(targets)):
        (there, gone), (positive, negative) = clicks.places_BN3[number].tolist(), clicks.labels_BN[number].tolist()
        assert positive == (ClickLabel.POSITIVE if missing[number].any() else ClickLabel.PADDING)
        assert negative == (ClickLabel.NEGATIVE if superfluous[number].any() else ClickLabel.PADDING)
        assert positive == ClickLabel.PADDING or missing[number][tuple(there)]
        assert negative == ClickLabel.PADDING or superfluous[number][tuple(gone)]


@settings(max_examples=40)
@given(seed=st.integers(0, 10**6))
def test_a_seed_repeats_the_clicks(seed):
    targets, predicted = blobs(seed), blobs(seed + 1)
    for make in (lambda s: first(targets, seed=s), lambda s: further(predicted, targets, seed=s)):
        one, two = make(seed), make(seed)
        if one is None:
            assert two is None
        else:
            assert torch.equal(one.places_BN3, two.places_BN3)
            assert torch.equal(one.labels_BN, two.labels_BN)


def test_global_randomness_is_neither_used_nor_changed():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first(blobs(0))
    further(blobs(1), blobs(0))
    assert torch.equal(before, torch.get_rng_state())


def test_numbers_of_first_clicks_follow_the_recipe():
    objects = 4000
    targets = box((6, 6, 6), (0, 3), (0, 6), (0, 6)).expand(objects, -1, -1, -1)
    labels = first(targets).labels_BN
    positives = Counter((labels == ClickLabel.POSITIVE).sum(1).tolist())
    negatives = Counter((labels == ClickLabel.NEGATIVE).sum(1).tolist())
    below = [2 * norm.cdf(bound) - 1 for bound in (1, 2, 3)]
    for floor, share in enumerate((below[0], below[1] - below[0])):
        assert positives[floor + 1] / objects == pytest.approx(share, abs=0.03)
        assert negatives[floor] / objects == pytest.approx(share, abs=0.03)
    assert set(positives) == {1, 2, 3}
    assert set(negatives) <= {0, 1, 2, 3}
    assert positives[3] / objects == pytest.approx(1 - below[1], abs=0.02)


def test_with_supervoxels_three_positive_clicks_and_no_negative_one():
    targets = box((12, 12, 12), (3, 9), (2, 9), (3, 8)).expand(5, -1, -1, -1)
    labels = first(targets, rules=replace(RULES, from_supervoxels=True)).labels_BN
    assert labels.tolist() == [[ClickLabel.POSITIVE] * 3] * 5


def test_first_clicks_keep_away_from_every_side_and_further_ones_from_x_and_y():
    targets = torch.ones(200, 24, 26, 28, dtype=torch.bool)
    rules = replace(RULES, border=10, border_share=0.5)
    places = first(targets, rules=rules).places_BN3[:, 0]
    assert (places >= 10).all()
    assert (places <= torch.tensor([13, 15, 17])).all()
    places = further(~targets, targets, rules=rules).places_BN3[:, 0]
    assert (places[:, :2] >= 10).all()
    assert (places[:, :2] <= torch.tensor([13, 15])).all()
    assert places[:, 2].min() < 3
    assert places[:, 2].max() > 24


def test_border_is_ten_voxels_of_a_large_patch_and_shrinks_with_a_small_one():
    assert [RULES.margin(side) for side in (224, 144, 128, 96, 48, 8)] == [10, 10, 10, 8, 4, 0]


def test_every_voxel_of_the_eroded_object_is_clicked_and_no_other():
    targets = box((12, 12, 12), (3, 8), (4, 7), (2, 9)).expand(600, -1, -1, -1)
    places = {place for _, place, label in clicked(first(targets)) if label in POSITIVE}
    assert places == {(x, 5, z) for x in range(4, 7) for z in range(3, 8)}


@pytest.mark.parametrize(
    "sides",
    [((5, 6), (2, 9), (2, 9)), ((0, 2), (0, 3), (0, 3))],
    ids=["too thin to erode", "only near the border"],
)
def test_what_cannot_be_clicked_well_is_clicked_anywhere(sides):
    rules = replace(RULES, border=2, border_share=0.5)
    targets = box((12, 12, 12), *sides).expand(400, -1, -1, -1)
    places = {place for _, place, label in clicked(first(targets, rules=rules)) if label in POSITIVE}
    assert places == {tuple(place) for place in targets[0].nonzero().tolist()}


def test_padding_only_where_there_is_nothing_to_click():
    targets = torch.cat((box((9, 9, 9), (4, 5), (4, 5), (4, 5)), box((9, 9, 9), (0, 0), (0, 0), (0, 0))))
    rules = replace(RULES, from_supervoxels=True)
    clicks = first(targets, rules=rules)
    assert list(clicked(clicks)) == [(0, (4, 4, 4), ClickLabel.POSITIVE)]
    whole = torch.ones_like(targets)
    labels = torch.cat([first(whole, seed=seed).labels_BN.flatten() for seed in range(20)])
    assert not set(labels.tolist()) & NEGATIVE


def test_special_objects_have_labels_of_their_own():
    targets = blobs(0, objects=4)
    special = torch.tensor([True, False, True, False])
    for clicks in (
        first(targets, special=special, seed=3),
        further_clicks(targets.roll(5, 1), targets, everywhere(targets), special, RULES, seeded()),
    ):
        labels = list(clicked(clicks))
        assert labels
        for number, _, label in labels:
            assert (label >= ClickLabel.SPECIAL_NEGATIVE) == bool(special[number])


def test_no_error_no_click():
    targets = blobs(0)
    assert further(targets, targets) is None
    assert further(targets[:0], targets[:0]) is None
    unknown = torch.zeros_like(targets)
    assert further(~targets, targets, known=unknown) is None
    assert list(clicked(first(targets, known=unknown))) == []


def test_no_objects_no_clicks():
    clicks = first(torch.zeros(0, 5, 5, 5, dtype=torch.bool))
    assert clicks.places_BN3.shape == (0, 0, 3)
    assert clicks.labels_BN.shape == (0, 0)


def test_pieces_get_clicks_of_their_own_and_the_rest_of_an_organ_a_negative_one():
    part, rest = box((20, 8, 8), (1, 7), (1, 7), (1, 7)), box((20, 8, 8), (7, 13), (1, 7), (1, 7))
    far = box((20, 8, 8), (14, 19), (1, 7), (1, 7))
    targets = torch.cat((part, part | far, part))
    pieces = torch.cat((part.char() - rest.char(), part.char() + 2 * far.char(), part.char()))
    clicks = first(targets, rules=replace(RULES, from_supervoxels=True), pieces=pieces)
    inner_part, inner_rest, inner_far = erode(part, 3)[0], erode(rest, 3)[0], erode(far, 3)[0]
    found = [[(place, label) for n, place, label in clicked(clicks) if n == number] for number in range(3)]
    assert [label for _, label in found[0]] == [1, 1, 1, 0]
    assert inner_rest[found[0][-1][0]]
    assert [label for _, label in found[1]] == [1, 1, 1, 1]
    assert inner_far[found[1][-1][0]]
    assert [label for _, label in found[2]] == [1, 1, 1]
    assert all(inner_part[place] for object_clicks in found for place, _ in object_clicks[:3])


def test_clicks_join_over_rounds():
    targets = blobs(0, objects=2)
    one = first(targets, rules=replace(RULES, from_supervoxels=True))
    two = further(~targets, targets)
    rounds = joined([one, two])
    assert rounds.labels_BN.shape == (2, 5)
    assert torch.equal(rounds.places_BN3[:, 3:], two.places_BN3)
