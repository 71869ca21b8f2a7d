"""The five variants of a clicked object, and the clicks that show them."""

from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from openvista.errors import RecipeError
from openvista.network.point_head import ClickLabel
from openvista.simulate.clicks import ClickRules, first_clicks
from openvista.simulate.objects import choose_click_objects
from openvista.simulate.pieces import dilate
from openvista.simulate.supervoxel_mix import VARIANTS, SupervoxelMixing

SIDE = 24
CLASSES = {1: 3, 2: 115, 3: 23}
"""Spleen, heart, lung tumour (special)."""
RULES = ClickRules(from_supervoxels=True)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def only(variant, **more):
    return SupervoxelMixing(**{name: float(name == variant) for name in VARIANTS}, **more)


@pytest.fixture
def labels():
    volume = torch.zeros(SIDE, SIDE, SIDE, dtype=torch.long)
    volume[2:13, 2:13, 2:13] = 1
    volume[16:23, 1:9, 1:9] = 2
    volume[18:22, 18:22, 18:22] = 3
    return volume


@pytest.fixture
def supervoxels():
    """Cubes of 8³ voxels, numbered with gaps; one of them is air."""
    x, y, z = torch.meshgrid(*[torch.arange(SIDE) // 8] * 3, indexing="ij")
    numbers = (9 * x + 3 * y + z) * 7 + 5
    return numbers.where(numbers != numbers[0, 23, 23], 0)


def choose(labels, supervoxels, mixing, annotated=(1,), most=4, seed=0, known=None):
    return choose_click_objects(labels, annotated, CLASSES, known or {}, most, seeded(seed), supervoxels, mixing)


def clicks_of(objects, seed=0):
    return first_clicks(
        objects.targets_BXYZ, objects.known_BXYZ, objects.special_B, RULES, seeded(seed), objects.pieces_BXYZ
    )


def places(clicks, label, number=0):
    return [tuple(place) for place in clicks.places_BN3[number][clicks.labels_BN[number] == label].tolist()]


def test_variant_boundaries_are_those_of_the_recipe():
    mixing = SupervoxelMixing()
    drawn = [mixing.variant(chance) for chance in (0, 0.59, 0.61, 0.69, 0.71, 0.79, 0.81, 0.89, 0.91, 0.999)]
    assert drawn == [variant for variant in VARIANTS for _ in range(2)]


def test_variants_come_as_often_as_stated(labels, supervoxels):
    def variant(objects):
        target, pieces = objects.targets_BXYZ[0], objects.pieces_BXYZ[0]
        if objects.class_ids_B[0] == CLASSES[1]:
            return "plain"
        if pieces.min() < 0:
            return "part"
        if not labels[target].any():
            return "unlabelled"
        return "neighbour" if torch.equal(pieces == 1, labels == 1) else "merged"

    count = 400
    found = Counter(variant(choose(labels, supervoxels, SupervoxelMixing(), seed=seed)) for seed in range(count))
    for name in VARIANTS:
        assert found[name] / count == pytest.approx(getattr(SupervoxelMixing(), name), abs=0.05)


def test_a_class_is_marked_unseen_as_often_as_stated_and_never_unless_asked(labels, supervoxels):
    def unseen(share, seed, annotated=(1,)):
        objects = choose(labels, supervoxels, only("plain", unseen_plain=share), annotated, seed=seed)
        assert objects.class_ids_B.tolist() == [CLASSES[value] for value in annotated]
        return bool(objects.unseen_B[0])

    assert 8 < sum(unseen(0.3, seed) for seed in range(60)) < 30
    assert not any(unseen(0.0, seed) for seed in range(20))
    assert not any(unseen(1.0, seed, annotated=(3,)) for seed in range(5))  # a special class has labels of its own


def test_a_part_is_one_side_of_the_organ_and_the_clicks_tell_which(labels, supervoxels):
    organ = labels == 1
    is_supervoxel, unseen = [], []
    for seed in range(60):
        objects = choose(labels, supervoxels, only("part"), seed=seed)
        target, rest = objects.targets_BXYZ[0], objects.pieces_BXYZ[0] == -1
        assert torch.equal(target | rest, organ)
        assert not (target & rest).any()
        part = min(target, rest, key=lambda mask: int(mask.sum()))
        assert 0.1 <= int(part.sum()) / int(organ.sum()) <= 0.9
        assert len(supervoxels[part].unique()) == 1
        clicks = clicks_of(objects, seed)
        assert all(target[place] for place in places(clicks, ClickLabel.POSITIVE))
        assert all(rest[place] for place in places(clicks, ClickLabel.NEGATIVE))
        assert clicks.labels_BN.tolist() == [[1, 1, 1, 0]]
        assert objects.class_ids_B.tolist() == [0]
        is_supervoxel.append(torch.equal(part, target))
        unseen.append(bool(objects.unseen_B[0]))
    assert 15 < sum(is_supervoxel) < 45
    assert 15 < sum(unseen) < 45


def test_a_neighbour_makes_the_organ_grow(labels, supervoxels):
    organ = labels == 1
    unseen, neighbours = [], set()
    for seed in range(60):
        objects = choose(labels, supervoxels, only("neighbour"), seed=seed)
        added = objects.targets_BXYZ[0] & ~organ
        assert (objects.targets_BXYZ[0] & organ).equal(organ)
        assert int(added.sum()) >= 0.1 * int(organ.sum())
        assert not labels[added].any()
        assert (dilate(organ, 3) & added).any()
        assert len(supervoxels[added].unique()) == 1
        neighbours.add(int(supervoxels[added][0]))
        on_pieces = places(clicks_of(objects, seed), ClickLabel.POSITIVE)
        assert sum(bool(organ[place]) for place in on_pieces) == 3
        assert sum(bool(added[place]) for place in on_pieces) == 1
        unseen.append(bool(objects.unseen_B[0]))
    assert len(neighbours) > 3
    assert 0 not in neighbours
    assert 15 < sum(unseen) < 45


def test_an_unlabelled_supervoxel_is_large_unmarked_and_unseen(labels, supervoxels):
    seen = set()
    for seed in range(60):
        objects = choose(labels, supervoxels, only("unlabelled"), seed=seed)
        target = objects.targets_BXYZ[0]
        assert not labels[target].any()
        assert int(target.sum()) >= SIDE**3 // 256
        assert objects.unseen_B.tolist() == [True]
        assert objects.known_BXYZ.all()
        (number,) = supervoxels[target].unique().tolist()
        seen.add(number)
    assert 0 not in seen
    assert len(seen) > 10


def test_a_merged_supervoxel_takes_the_organs_it_covers(labels, supervoxels):
    for seed in range(60):
        objects = choose(labels, supervoxels, only("merged"), annotated=(1, 2, 3), most=1, seed=seed)
        if objects.special_B[0]:
            continue
        target, pieces = objects.targets_BXYZ[0], objects.pieces_BXYZ[0]
        (number,) = supervoxels[pieces > 0].unique().tolist()
        whole = supervoxels == number
        covered = [v for v in (1, 2, 3) if int((whole & (labels == v)).sum()) > 0.1 * int((labels == v).sum())]
        assert covered
        expected = whole.clone()
        for value in covered:
            expected |= labels == value
        assert torch.equal(target, expected)
        assert objects.unseen_B.tolist() == [True]
        on_pieces = [int(pieces[place]) for place in places(clicks_of(objects, seed), ClickLabel.POSITIVE)]
        assert set(on_pieces) == set(pieces[pieces > 0].tolist())


def test_a_merged_supervoxel_inside_an_organ_is_the_main_piece():
    labels, supervoxels = torch.zeros(2, SIDE, SIDE, SIDE, dtype=torch.long)
    labels[:16, :16, :16] = 1
    supervoxels[2:12, 2:12, 2:12] = 9
    for seed in range(10):
        objects = choose(labels, supervoxels, only("merged"), seed=seed)
        assert torch.equal(objects.targets_BXYZ[0], labels == 1)
        assert torch.equal(objects.pieces_BXYZ[0] == 1, supervoxels == 9)
        assert len(places(clicks_of(objects, seed), ClickLabel.POSITIVE)) == RULES.most_positive


def test_of_a_neighbour_in_two_pieces_the_one_that_touches_counts():
    labels, supervoxels = torch.zeros(2, SIDE, 8, 8, dtype=torch.long)
    labels[2:8, 1:7, 1:7] = 1
    supervoxels[8:12, 1:7, 1:7] = 4
    supervoxels[14:23, 1:7, 1:7] = 4
    objects = choose(labels, supervoxels, only("neighbour"))
    assert torch.equal(objects.pieces_BXYZ[0] == 2, (supervoxels == 4) & (torch.arange(SIDE) < 12)[:, None, None])
    assert choose(labels, supervoxels * 0 + 4, only("neighbour", least_neighbour=50.0)).class_ids_B.tolist() == [3]


def test_supervoxels_are_known_where_an_organ_is_not(labels, supervoxels):
    known = {1: torch.zeros_like(labels, dtype=torch.bool)}
    known[1][:, :, 5:] = True
    for variant in ("neighbour", "merged"):
        for seed in range(10):
            objects = choose(labels, supervoxels, only(variant), seed=seed, known=known)
            pieces = objects.pieces_BXYZ[0]
            made = pieces == 2 if variant == "neighbour" else pieces > 0
            assert made.any()
            assert torch.equal(objects.known_BXYZ[0], known[1] | made)
    assert torch.equal(choose(labels, supervoxels, only("part"), known=known).known_BXYZ[0], known[1])


def test_special_classes_stay_as_they_are(labels, supervoxels):
    for variant in VARIANTS:
        objects = choose(labels, supervoxels, only(variant), annotated=(3,))
        assert objects.class_ids_B.tolist() == [23]
        assert objects.special_B.tolist() == [True]
        assert torch.equal(objects.targets_BXYZ[0], labels == 3)
        assert set(clicks_of(objects).labels_BN.flatten().tolist()) == {ClickLabel.SPECIAL_POSITIVE}


@pytest.mark.parametrize("variant", VARIANTS)
def test_where_no_supervoxel_fits_the_class_is_asked_for(labels, variant):
    for numbers in (torch.zeros_like(labels), labels.new_zeros(SIDE, SIDE, SIDE).index_fill_(0, torch.tensor([5]), 4)):
        objects = choose(labels, numbers, only(variant))
        assert objects.class_ids_B.tolist() == [CLASSES[1]]
        assert objects.unseen_B.tolist() == [False]


def test_without_a_class_a_supervoxel_is_asked_for(labels, supervoxels):
    empty = torch.zeros_like(labels)
    objects = choose(empty, supervoxels, SupervoxelMixing())
    assert objects.unseen_B.tolist() == [True]
    several = choose(empty, supervoxels, SupervoxelMixing(without_class=3))
    numbers = [int(supervoxels[target][0]) for target in several.targets_BXYZ]
    assert len(set(numbers)) == 3
    assert len(choose(empty, supervoxels, SupervoxelMixing(without_class=0))) == 0
    assert len(choose(empty, torch.zeros_like(labels), SupervoxelMixing())) == 0


def test_size_limit_shrinks_with_the_patch():
    mixing = SupervoxelMixing()
    assert [mixing.least_voxels(side**3) for side in (224, 128, 48)] == [8000, 8000, 432]


def test_any_integer_type_will_do_for_supervoxels(labels, supervoxels):
    expected = choose(labels, supervoxels, only("part"), seed=4)
    for kind in (torch.uint8, torch.uint16, torch.int32):
        other = choose(labels, supervoxels.to(kind), only("part"), seed=4)
        assert torch.equal(expected.targets_BXYZ, other.targets_BXYZ)


def test_shares_must_sum_to_one():
    with pytest.raises(RecipeError, match=r"sum to 1\.1"):
        SupervoxelMixing(plain=0.7)
    with pytest.raises(RecipeError, match="shares"):
        SupervoxelMixing(plain=1.1, part=-0.1, neighbour=0, unlabelled=0, merged=0)


@settings(max_examples=40)
@given(seed=st.integers(0, 10**6), variant=st.sampled_from(VARIANTS))
def test_whatever_is_mixed_clicks_are_true_and_known_and_a_seed_repeats_it(seed, variant):
    noise = torch.nn.functional.avg_pool3d(torch.randn(3, 20, 20, 20, generator=seeded(seed)), 5, 1, 2)
    labels = (noise[0] > 0.05).long() + (noise[1] > 0.08).long()
    numbers = ((noise[2] * 40).long() + 8).clamp(min=0)
    known = {1: noise[2] > -0.1}
    arguments = (labels, numbers, only(variant, smallest=30), (1, 2), 3, seed, known)
    objects, again = choose(*arguments), choose(*arguments)
    assert torch.equal(objects.targets_BXYZ, again.targets_BXYZ)
    assert torch.equal(objects.unseen_B, again.unseen_B)
    clicks = clicks_of(objects, seed)
    for number in range(len(objects)):
        for place, label in zip(clicks.places_BN3[number].tolist(), clicks.labels_BN[number].tolist(), strict=True):
            if label != ClickLabel.PADDING:
                assert objects.known_BXYZ[number][tuple(place)]
                assert bool(objects.targets_BXYZ[number][tuple(place)]) == (label == ClickLabel.POSITIVE)
        assert (clicks.labels_BN[number] == ClickLabel.POSITIVE).any()
