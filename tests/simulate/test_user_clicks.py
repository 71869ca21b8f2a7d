"""Training clicks of the simulated user are those of the evaluation, object by object, where the truth is known."""

import pytest
import torch

from openvista.model import ClickLabel
from openvista.simulate.objects import ClickObjects
from openvista.simulate.user import first_user_click, next_user_click
from openvista.simulate.user_clicks import first_user_clicks, next_user_clicks

SPACING = (4.0, 4.0, 3.0)


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
    clicks = first_user_clicks(objects, SPACING)
    assert clicks.labels_BN.flatten().tolist() == [
        ClickLabel.POSITIVE,
        ClickLabel.SPECIAL_POSITIVE,
        ClickLabel.PADDING,
    ]
    for target, place in zip(objects.targets_BXYZ[:2], clicks.places_BN3[:2, 0], strict=True):
        assert tuple(place.tolist()) == first_user_click(target.numpy(), SPACING)


def test_next_clicks_lie_in_the_largest_error(objects):
    predicted = objects.targets_BXYZ.clone()
    predicted[0, :5] = False  # most of it is missing
    predicted[1, :5, 6:] = True  # much too much
    clicks = next_user_clicks(predicted, objects, SPACING)
    assert clicks.labels_BN.flatten().tolist() == [
        ClickLabel.POSITIVE,
        ClickLabel.SPECIAL_NEGATIVE,
        ClickLabel.PADDING,
    ]
    for number in (0, 1):
        place, _ = next_user_click(objects.targets_BXYZ[number].numpy(), predicted[number].numpy(), SPACING)
        assert tuple(clicks.places_BN3[number, 0].tolist()) == place


def test_an_error_as_thin_as_a_voxel_is_clicked(objects):
    predicted = objects.targets_BXYZ.clone()
    predicted[0, 8] = False
    clicks = next_user_clicks(predicted, objects, SPACING)
    assert int(clicks.places_BN3[0, 0, 0]) == 8


def test_nobody_clicks_when_all_is_right(objects):
    assert next_user_clicks(objects.targets_BXYZ, objects, SPACING) is None
