"""The truth of a patch: where it is known, and what of it can be clicked."""

import pytest
import torch

from openvista.anatomy.catalogue import SPECIAL_IDS
from openvista.simulate.truth import ClickObject, PatchTruth

CLASSES = {1: 1, 2: 26, 3: 3}
"""Liver, hepatic tumour, spleen. Label value 9 has no class."""
LABELS = torch.tensor([0, 9, 2, 3]).view(1, 2, 2)
EVERYWHERE = torch.ones_like(LABELS, dtype=torch.bool)


def truth(annotated=(1, 2, 3), known=None):
    return PatchTruth(LABELS, annotated, CLASSES, known or {})


def test_a_liver_of_which_only_the_tumour_is_seen_can_be_clicked():
    assert truth().clickable() == [1, 2, 3]
    assert torch.equal(truth().target(1), truth().target(2))
    assert truth((3, 9, 2)).clickable() == [3, 2], "in the order given, without what has no class"


def test_what_is_known_only_elsewhere_cannot_be_clicked():
    beside = LABELS == 3
    assert truth(known={1: beside, 3: beside}).clickable() == [2, 3]
    assert truth(known={1: ~EVERYWHERE, 2: ~EVERYWHERE, 3: ~EVERYWHERE}).clickable() == []


def test_truth_without_a_mask_is_known_everywhere():
    half = LABELS > 2
    patch = truth(known={3: half})
    assert torch.equal(patch.known(3), half)
    assert torch.equal(patch.known(1), EVERYWHERE)
    assert patch.known(1).dtype == torch.bool


@pytest.mark.parametrize("value", CLASSES)
def test_a_class_is_an_object_in_one_piece_and_special_where_the_catalogue_says_so(value):
    patch = truth()
    item = patch.object_of(value)
    assert (item.class_id, item.unseen, item.special) == (CLASSES[value], False, CLASSES[value] in SPECIAL_IDS)
    assert torch.equal(item.target_XYZ, patch.target(value))
    assert torch.equal(item.pieces_XYZ == 1, item.target_XYZ)
    assert item.pieces_XYZ.unique().tolist() == [0, 1]
    assert not ClickObject(item.target_XYZ, item.known_XYZ, item.pieces_XYZ).special
