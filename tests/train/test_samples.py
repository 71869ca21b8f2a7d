"""Samples depend on seed, step and index alone; prompts are left out as often as the recipe says."""

import threading
import time
from dataclasses import replace

import pytest
import torch
from tiny_training import JOINT, POINT, tiny_recipe

from openvista.simulate.supervoxel_mix import VARIANTS
from openvista.train.samples import SampleLoader, draw_sample, prompt_weights, random_source, sample_groups


def test_order_does_not_matter(data, tiny_list):
    recipe = tiny_recipe(tiny_list, **JOINT)
    forwards = [draw_sample(data, recipe, step, index) for step in range(2) for index in range(2)]
    backwards = [draw_sample(data, recipe, step, index) for step in (1, 0) for index in (1, 0)][::-1]
    for one, other in zip(forwards, backwards, strict=True):
        assert one.case == other.case
        assert torch.equal(one.image_XYZ, other.image_XYZ)
        assert (one.clicks is None) == (other.clicks is None)
        if one.clicks is not None:
            assert torch.equal(one.clicks.clicks.places_BN3, other.clicks.clicks.places_BN3)
    assert not torch.equal(forwards[0].image_XYZ, forwards[1].image_XYZ)
    other_seed = draw_sample(data, replace_seed(recipe, 5), 0, 0)
    assert not torch.equal(forwards[0].image_XYZ, other_seed.image_XYZ)


def replace_seed(recipe, seed):
    return recipe.model_copy(update={"seed": seed})


def test_numbers_do_not_run_into_each_other():
    drawn = {float(torch.rand(1, generator=random_source(*numbers))) for numbers in [(1, 2), (12,), (2, 1), (1, 2, 0)]}
    assert len(drawn) == 4


def test_the_bundles_shares(data, tiny_list):
    """A quarter without classes; of the rest a quarter without clicks; what has neither is asked by clicks."""
    recipe = tiny_recipe(tiny_list, **JOINT)
    samples = [draw_sample(data, recipe, step, 0) for step in range(300)]
    by_class = sum(sample.classes is not None for sample in samples) / 300
    both = sum(sample.classes is not None and sample.clicks is not None for sample in samples) / 300
    assert all(sample.classes is not None or sample.clicks is not None for sample in samples)
    assert by_class == pytest.approx(0.75, abs=0.07)
    assert both == pytest.approx(0.75 * 0.75, abs=0.08)


def test_a_point_run_never_asks_by_class(data, tiny_list):
    recipe = tiny_recipe(tiny_list, **POINT)
    assert all(draw_sample(data, recipe, step, 0).classes is None for step in range(20))


def test_weights_draw_cases(data, tiny_list):
    only_second = replace(data, weights=torch.tensor([0.0, 1.0], dtype=torch.float64))
    drawn = {draw_sample(only_second, tiny_recipe(tiny_list), step, 0).case for step in range(8)}
    assert drawn == {data.training[1].name}


def test_repeats_centre_patches(data, tiny_list):
    recipe = tiny_recipe(tiny_list, window=(16, 16, 16), augmentation={"around_structure": 1, "spatial_share": 0})

    def voxels(repeats):
        """Of the class itself in 40 patches: the more, the more often it lies in the middle."""
        drawn = replace(data, repeats=repeats)
        samples = [draw_sample(drawn, recipe, step, 0).classes for step in range(40)]
        return sum(int(one.targets_KXYZ[one.ids_K == 134].sum()) for one in samples if one is not None)

    assert voxels({134: 1e6}) > 1.2 * voxels({133: 1e6})


def test_manual_labels_count_as_much_as_pseudo_labels():
    assert prompt_weights([True, True, True, False]).tolist() == [1, 1, 1, 3]
    assert prompt_weights([False, False, True]).tolist() == [1, 1, 1]
    assert prompt_weights([True]).tolist() == [1]


@pytest.mark.parametrize("variant", ["plain", "unlabelled"])
def test_the_recipe_says_what_is_made_of_supervoxels(data, tiny_list, variant):
    shares = dict.fromkeys(VARIANTS, 0.0) | {variant: 1.0}
    recipe = tiny_recipe(tiny_list, **POINT | {"supervoxels": True, "mixing": shares})
    everything_one = [replace(case, supervoxels_XYZ=torch.ones_like(case.labels_XYZ).int()) for case in data.training]
    with_supervoxels = replace(data, training=tuple(everything_one))
    asked = [draw_sample(with_supervoxels, recipe, step, 0).clicks for step in range(8)]
    unseen = torch.cat([clicks.objects.unseen_B for clicks in asked if clicks is not None])
    assert len(unseen) >= 8
    assert unseen.unique().tolist() == [variant == "unlabelled"]


def test_steps_come_in_order_and_ahead_of_time():
    drawn = []

    def draw(step, index):
        drawn.append((step, index, threading.current_thread().name))
        return step, index

    with SampleLoader(draw, [[0, 1], [4, 5]], threads=3) as loader:
        assert loader.take(7) == [[(7, 0), (7, 1)], [(7, 4), (7, 5)]]
        assert loader.take(8) == [[(8, 0), (8, 1)], [(8, 4), (8, 5)]]
    assert {step for step, _, _ in drawn} >= {7, 8, 9}  # more was begun
    assert all(name.startswith("patches") for _, _, name in drawn)


def test_waiting_is_counted():
    with SampleLoader(lambda step, index: time.sleep(0.05), [[0]], threads=1) as loader:
        loader.take(0)
        assert loader.waited >= 0.04


def test_an_error_of_the_background_comes_to_the_front():
    def draw(step, index):
        raise ValueError("no patch")

    with SampleLoader(draw, [[0]], threads=1) as loader, pytest.raises(ValueError, match="no patch"):
        loader.take(0)


@pytest.mark.parametrize(("processes", "accumulate"), [(1, 4), (2, 2), (4, 1)])
def test_processes_and_groups_share_the_same_samples(processes, accumulate):
    taken = [
        index for rank in range(processes) for group in sample_groups(rank, processes, 3, accumulate) for index in group
    ]
    assert sorted(taken) == list(range(12))


def test_the_recipe_says_how_many_clicks_come_first(data, tiny_list):
    def most(clicks):
        recipe = tiny_recipe(tiny_list, **POINT, most_clicks=clicks)
        samples = [draw_sample(data, recipe, step, 0) for step in range(20)]
        return max(int((one.clicks.clicks.labels_BN >= 0).sum(1).max()) for one in samples if one.clicks is not None)

    assert most(1) <= 2 < most(6)  # one of each kind; up to six of each
