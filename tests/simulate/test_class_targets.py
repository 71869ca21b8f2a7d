"""Overlapping truth: the liver includes its tumour, the airway the trachea, a group its parts."""

import pytest
import torch

from openvista.simulate.class_prompts import choose_class_prompts, class_target, included_values, present_values

LABELS = torch.tensor([0, 1, 2, 3, 4, 5]).view(1, 2, 3)
CLASSES = {1: 1, 2: 25, 3: 26, 4: 4, 5: 57, 6: 132, 7: 24, 8: 3}
"""Liver, hepatic vessel, hepatic tumour, pancreas, trachea, airway, pancreatic tumour, spleen."""


@pytest.mark.parametrize(
    ("value", "voxels"), [(1, [1, 2, 3]), (2, [2]), (3, [3]), (4, [4]), (5, [5]), (6, [5]), (7, []), (8, [])]
)
def test_a_target_is_the_class_with_what_it_includes(value, voxels):
    target = class_target(LABELS, value, CLASSES)
    assert target.dtype == torch.bool
    assert LABELS[target].tolist() == voxels


def test_a_group_includes_its_parts():
    classes = {1: 20, 2: 28, 3: 32, 4: 115}
    assert sorted(LABELS[class_target(LABELS, 1, classes)].tolist()) == [1, 2, 3]
    assert included_values(4, classes) == []


def test_what_only_its_parts_show_is_present():
    assert present_values(LABELS, [6, 8, 7, 5], CLASSES) == [6, 5]
    random = torch.Generator().manual_seed(0)
    assert sorted(choose_class_prompts(LABELS, [5, 6, 8], 32, 0, random, CLASSES)) == [5, 6]
    assert choose_class_prompts(LABELS, [5, 6, 8], 0, 32, random, CLASSES) == [8]


def test_two_values_of_one_class_do_not_include_each_other():
    classes = {1: 3, 2: 3}
    assert LABELS[class_target(LABELS, 1, classes)].tolist() == [1]
