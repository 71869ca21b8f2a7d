"""Class prompts: only what is annotated, within the limits, present and absent; truth that overlaps."""

import pytest
import torch

from openvista.simulate.class_prompts import choose_class_prompts, class_target, included_values, present_values

PATCH = torch.tensor([0, 1, 1, 2, 5, 6]).view(1, 2, 3)


def draw(annotated, most_present=32, most_absent=4, seed=0):
    random = torch.Generator().manual_seed(seed)
    return choose_class_prompts(PATCH, annotated, most_present, most_absent, random)


def test_background_and_unmarked_structures_are_never_prompted():
    for seed in range(10):
        assert set(draw((1, 2, 3), seed=seed)) <= {1, 2, 3}


def test_all_present_and_at_most_so_many_absent():
    prompts = draw(tuple(range(1, 20)))
    assert {1, 2, 5, 6} <= set(prompts)
    assert len(prompts) == 4 + 4
    assert len(set(prompts)) == len(prompts)


def test_limits_hold_and_choice_varies():
    drawn = {tuple(draw((1, 2, 5, 6), most_present=2, most_absent=0, seed=seed)) for seed in range(20)}
    assert all(len(prompts) == 2 for prompts in drawn)
    assert len(drawn) > 3


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
