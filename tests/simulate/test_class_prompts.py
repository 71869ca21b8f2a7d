"""Class prompts: only what is annotated, within the limits, present and absent."""

import torch

from openvista.simulate.class_prompts import choose_class_prompts

LABELS = torch.tensor([0, 1, 1, 2, 5, 6]).view(1, 2, 3)


def draw(annotated, most_present=32, most_absent=4, seed=0):
    random = torch.Generator().manual_seed(seed)
    return choose_class_prompts(LABELS, annotated, most_present, most_absent, random)


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
