"""Which objects are asked for: present, known, annotated, at most so many, with overlapping truth."""

import pytest
import torch

from openvista.simulate.clicks import ClickRules, first_clicks, further_clicks
from openvista.simulate.objects import choose_click_objects
from openvista.simulate.supervoxel_mix import SupervoxelMixing

CLASSES = {1: 1, 2: 26, 3: 3, 4: 121, 5: 133, 6: 14}
"""Liver, hepatic tumour (special), spleen, spinal cord, a class of the model's own, left kidney (absent)."""


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def labels():
    """Five boxes; the tumour lies in the liver."""
    volume = torch.zeros(16, 16, 16, dtype=torch.long)
    volume[1:7, 1:7, 1:7] = 1
    volume[3:5, 3:5, 3:5] = 2
    volume[9:15, 1:7, 1:7] = 3
    volume[1:7, 9:15, :] = 4
    volume[9:15, 9:15, 9:15] = 5
    return volume


def choose(labels, annotated=(1, 2, 3, 4, 5, 6), known=None, most=4, seed=0, **more):
    return choose_click_objects(labels, annotated, CLASSES, known or {}, most, seeded(seed), **more)


def test_only_present_annotated_classes_and_at_most_so_many(labels):
    seen = set()
    for seed in range(40):
        objects = choose(labels, annotated=(1, 3, 5, 6), most=2, seed=seed)
        ids = objects.class_ids_B.tolist()
        assert len(objects) == len(set(ids)) == 2
        seen |= set(ids)
    assert seen == {1, 3, 133}
    assert sorted(choose(labels, most=10).class_ids_B.tolist()) == [1, 3, 26, 121, 133]


def test_a_label_without_a_class_is_never_chosen(labels):
    labels[0, 0, 0] = 9
    assert 9 not in choose(labels, annotated=(1, 9), most=9).class_ids_B.tolist()
    assert len(choose(labels, annotated=(9,))) == 0


def test_targets_overlap_and_special_classes_are_marked(labels):
    objects = choose(labels, annotated=(1, 2), most=2)
    for class_id, target, special in zip(
        objects.class_ids_B.tolist(), objects.targets_BXYZ, objects.special_B.tolist(), strict=True
    ):
        values = {1: [1, 2], 26: [2]}[class_id]
        assert labels[target].unique().tolist() == values
        assert int(target.sum()) == sum(int((labels == value).sum()) for value in values)
        assert special == (class_id == 26)


def test_no_class_is_marked_unseen_not_even_one_above_the_official_ids(labels):
    assert not choose(labels, most=9).unseen_B.any()


def test_what_is_not_known_here_is_not_asked_for(labels):
    nowhere = torch.zeros_like(labels, dtype=torch.bool)
    half = nowhere.clone()
    half[:, :12] = True
    objects = choose(labels, most=9, known={3: nowhere, 4: half})
    ids = objects.class_ids_B.tolist()
    assert sorted(ids) == [1, 26, 121, 133]
    assert torch.equal(objects.known_BXYZ[ids.index(121)], half)
    assert objects.known_BXYZ[ids.index(1)].all()


def test_nothing_to_click(labels):
    for objects in (choose(torch.zeros_like(labels)), choose(labels, annotated=()), choose(labels, most=0)):
        assert len(objects) == 0
        assert objects.targets_BXYZ.shape == objects.known_BXYZ.shape == objects.pieces_BXYZ.shape == (0, 16, 16, 16)
        assert objects.special_B.shape == objects.unseen_B.shape == (0,)
        clicks = first_clicks(
            objects.targets_BXYZ, objects.known_BXYZ, objects.special_B, ClickRules(), seeded(), objects.pieces_BXYZ
        )
        assert clicks.labels_BN.shape == (0, 0)


def test_mixing_without_supervoxels_and_supervoxels_without_mixing_change_nothing(labels):
    plain = choose(labels, seed=3)
    for other in (
        choose(labels, seed=3, mixing=SupervoxelMixing()),
        choose(labels, seed=3, supervoxels_XYZ=labels),
    ):
        assert torch.equal(plain.targets_BXYZ, other.targets_BXYZ)
        assert torch.equal(plain.class_ids_B, other.class_ids_B)


def test_pieces_of_plain_objects_make_the_same_clicks_as_none(labels):
    objects = choose(labels)
    arguments = (objects.targets_BXYZ, objects.known_BXYZ, objects.special_B, ClickRules())
    one, two = first_clicks(*arguments, seeded(1)), first_clicks(*arguments, seeded(1), objects.pieces_BXYZ)
    assert torch.equal(one.places_BN3, two.places_BN3)
    assert torch.equal(one.labels_BN, two.labels_BN)


def test_clicks_in_rounds_repair_a_wrong_answer(labels):
    """Painting around each click, until no error is large enough to see, makes the answer better and never worse."""
    objects = choose(labels, most=9)
    truth = objects.targets_BXYZ
    answer, random = truth.roll(3, 1), seeded(1)
    rules = ClickRules(border=0)
    wrong = [int((answer ^ truth).sum())]
    for _ in range(60):
        clicks = further_clicks(answer, truth, objects.known_BXYZ, objects.special_B, rules, random)
        if clicks is None:
            break
        for number, (places, kinds) in enumerate(
            zip(clicks.places_BN3.tolist(), clicks.labels_BN.tolist(), strict=True)
        ):
            for (x, y, z), kind in zip(places, kinds, strict=True):
                if kind >= 0:
                    around = (number, *(slice(max(at - 1, 0), at + 2) for at in (x, y, z)))
                    answer[around] = kind % 2 == 1
        wrong.append(int((answer ^ truth).sum()))
    assert clicks is None
    assert wrong == sorted(wrong, reverse=True)
    assert wrong[-1] < 0.5 * wrong[0]
