"""The objective: frozen parts get no gradient, rounds are averaged, classes and clicks blend as in the bundle."""

import math
from dataclasses import replace

import pytest
import torch
from tiny_training import JOINT, POINT, answer_the_same_everywhere, tiny_recipe

from openvista.simulate.clicks import Clicks
from openvista.train.objective import Objective, blended, dice_bce_loss, exclusive_loss
from openvista.train.recipe import LossTerms
from openvista.train.samples import draw_sample
from openvista.train.starting_network import freeze_all_but, starting_network


def set_up(data, tiny_list, **more):
    recipe = tiny_recipe(tiny_list, **more)
    network = starting_network(recipe)
    samples = [draw_sample(data, recipe, step, 0) for step in range(8)]
    return recipe, network, samples


def parts_with_gradient(network):
    return {name.split("_")[0].split(".")[0] for name, one in network.named_parameters() if one.grad is not None}


def test_gradients_reach_what_is_trained(data, tiny_list):
    recipe, network, samples = set_up(data, tiny_list, **JOINT)
    both = [sample for sample in samples if sample.classes is not None and sample.clicks is not None]
    Objective(network, recipe)(both[:1]).loss.backward()
    assert parts_with_gradient(network) == {"encoder", "automatic", "class", "point"}


def test_a_frozen_encoder_gets_none_and_its_features_can_be_kept(data, tiny_list):
    recipe, network, samples = set_up(data, tiny_list, **POINT)
    frozen = recipe.model_copy(update={"trained": ("point",)})
    freeze_all_but(network, frozen.trained)
    objective = Objective(network, frozen)
    answer = objective(samples[:2])
    assert not any(level.requires_grad for level in answer.pyramid)
    assert torch.equal(objective(samples[:2], answer.pyramid).loss, answer.loss)
    answer.loss.backward()
    assert parts_with_gradient(network) == {"point"}


def test_the_loss_is_the_mean_over_samples(data, tiny_list):
    recipe, network, samples = set_up(data, tiny_list)
    objective = Objective(network, recipe)
    each = [objective([sample]).loss.item() for sample in samples[:3]]
    assert float(objective(samples[:3]).loss) == pytest.approx(sum(each) / 3, rel=1e-4)


def test_averaged_rounds_are_the_mean_of_single_ones(data, tiny_list):
    recipe, network, samples = set_up(data, tiny_list, **POINT, step_every_round=False)
    answer_the_same_everywhere(network)
    sample = next(sample for sample in samples if sample.clicks is not None)
    together = Objective(network, recipe)([sample]).loss
    single = Objective(network, recipe.model_copy(update={"rounds": 0}))
    losses = []
    following = sample
    for _ in range(recipe.rounds + 1):
        answer = single([following])
        losses.append(float(answer.loss))
        following = replace(following, clicks=answer.later[0])
        if following.clicks is None:
            break
    assert len(losses) == 2
    assert float(together) == pytest.approx(sum(losses) / len(losses), rel=1e-4)


def test_later_clicks_are_added_to_the_earlier_ones(data, tiny_list):
    recipe, network, samples = set_up(data, tiny_list, **POINT)
    answer_the_same_everywhere(network)
    sample = next(sample for sample in samples if sample.clicks is not None)
    (later,) = Objective(network, recipe)([sample]).later
    before = sample.clicks.clicks.places_BN3
    assert torch.equal(later.clicks.places_BN3[:, : before.shape[1]], before)
    assert later.clicks.places_BN3.shape[1] == before.shape[1] + 2


def test_the_simulated_user_clicks_once_per_round_and_only_two_answers_give_loss(data, tiny_list):
    recipe, network, samples = set_up(
        data, tiny_list, **POINT, step_every_round=False, user_share=1.0, user_rounds=4, most_objects=1
    )
    answer_the_same_everywhere(network)  # all of the patch or nothing: never right, so the user goes on clicking
    sample = next(sample for sample in samples if sample.clicks is not None)
    assert sample.clicks.by_user
    assert sample.clicks.clicks.labels_BN.shape[1] == 1
    objective = Objective(network, recipe)
    answer = objective([sample])
    clicks_at_the_end = answer.later[0].clicks.labels_BN.shape[1] - 1
    assert 2 <= clicks_at_the_end <= 1 + recipe.user_rounds
    single = Objective(network, recipe.model_copy(update={"step_every_round": True}))
    losses, following = [], sample
    for _ in range(clicks_at_the_end):
        one = single([following])
        losses.append(float(one.loss))
        following = replace(following, clicks=one.later[0])
    assert float(answer.loss) == pytest.approx((losses[0] + losses[-1]) / 2, rel=1e-4)


def test_without_a_question_every_trained_parameter_has_gradient_zero(data, tiny_list):
    recipe, network, samples = set_up(data, tiny_list, **JOINT)
    answer = Objective(network, recipe)([replace(samples[0], classes=None, clicks=None)] * 2)
    answer.loss.backward()
    assert answer.loss == 0
    assert answer.later == (None, None)
    assert all(one.grad is not None and not one.grad.any() for one in network.parameters())


def test_clicks_decide_near_them_and_the_class_elsewhere():
    of_class, of_clicks = torch.full((2, 40, 20, 20), 5.0), torch.full((2, 40, 20, 20), -5.0)
    clicks = Clicks(
        torch.tensor([[[4, 10, 10], [0, 0, 0]], [[4, 10, 10], [0, 0, 0]]]), torch.tensor([[1, -1], [1, -1]])
    )
    logits = blended(of_class, of_clicks, clicks, torch.tensor([3, 0]))
    assert logits[0, 4, 10, 10] == -5  # at the click
    assert logits[0, 39, 10, 10] == pytest.approx(5, abs=1e-3)  # far away
    assert logits[0, 8, 10, 10] == pytest.approx(5 - 10 * 2.718281828**-0.5, abs=1e-4)  # one radius, 20 / 5 voxels
    assert torch.equal(logits[1], of_clicks[1])  # no class to blend with
    padding_at_origin = logits[0, 0, 0, 0]
    assert padding_at_origin > 4.6


@pytest.fixture
def target():
    volume = torch.zeros(2, 6, 6, 6)
    volume[0, 1:4, 2:5, 1:3] = 1
    volume[1, 3:, 3:, 3:] = 1
    return volume


def test_perfect_and_worst(target):
    perfect = dice_bce_loss(40 * (target - 0.5), target)
    worst = dice_bce_loss(-40 * (target - 0.5), target)
    assert perfect < 1e-4
    assert worst > 20


def test_equals_monai_dice_ce(target):
    from monai.losses import DiceCELoss

    logits = torch.randn(target.shape, generator=torch.Generator().manual_seed(0))
    judge = DiceCELoss(sigmoid=True, squared_pred=True, smooth_nr=0, smooth_dr=1e-5)
    expected = judge(logits[:, None], target[:, None])  # prompts along the batch axis, as VISTA3D trains
    assert torch.allclose(dice_bce_loss(logits, target), expected, rtol=1e-5)


def test_unknown_voxels_change_nothing(target):
    logits = torch.randn(target.shape, generator=torch.Generator().manual_seed(1))
    known = torch.ones_like(target)
    known[:, :, :, 4:] = 0
    other_logits, other_target = logits.clone(), target.clone()
    other_logits[:, :, :, 4:] = 7
    other_target[:, :, :, 4:] = 1
    assert torch.equal(dice_bce_loss(logits, target, known), dice_bce_loss(other_logits, other_target, known))
    assert not torch.equal(dice_bce_loss(logits, target), dice_bce_loss(logits, target, known))


def test_unknown_voxels_get_no_gradient(target):
    logits = torch.zeros(target.shape, requires_grad=True)
    known = torch.ones_like(target)
    known[:, 3:] = 0
    dice_bce_loss(logits, target, known).backward()
    assert logits.grad[:, 3:].abs().max() == 0
    assert logits.grad[:, :3].abs().max() > 0


def test_wholly_unknown_prompt_is_finite(target):
    logits = torch.randn(target.shape, requires_grad=True)
    loss = dice_bce_loss(logits, target, torch.zeros_like(target))
    loss.backward()
    assert torch.isfinite(loss)
    assert logits.grad.abs().max() == 0


def test_weights_scale_prompts(target):
    logits = torch.randn(target.shape, generator=torch.Generator().manual_seed(2))
    each = torch.stack([dice_bce_loss(logits[k : k + 1], target[k : k + 1]) for k in range(2)])
    weighted = dice_bce_loss(logits, target, None, torch.tensor([3.0, 1.0]))
    assert torch.allclose(weighted, (3 * each[0] + each[1]) / 2)


def test_terms_of_the_loss():
    logits, target = torch.tensor([[[[3.0, -1.0]]]]), torch.tensor([[[[1.0, 0.0]]]])
    right = torch.sigmoid(torch.tensor([3.0, 1.0]))  # probability of the truth
    entropy = -right.log()
    only: dict[str, float] = {"dice": 0.0}
    assert dice_bce_loss(logits, target, terms=LossTerms(**only)) == pytest.approx(float(entropy.mean()))
    focal = dice_bce_loss(logits, target, terms=LossTerms(**only, focal_gamma=2.0))
    assert focal == pytest.approx(float((entropy * (1 - right) ** 2).mean()))
    plain = dice_bce_loss(logits, target, terms=LossTerms(cross_entropy=0.0, squared=False))
    seen = torch.sigmoid(logits).flatten()
    assert plain == pytest.approx(float(1 - 2 * seen[0] / (seen.sum() + 1 + 1e-5)))


def test_balance_makes_voxels_of_small_structures_count_more():
    logits, target = torch.zeros(2, 4, 5, 5), torch.zeros(2, 4, 5, 5)
    logits[:, 0, 0, 0], target[0, 0, 0, 0] = -2.0, 1.0  # one voxel of a hundred; the other structure is absent

    def losses(power):
        terms = LossTerms(dice=0.0, balance=power)
        return [float(dice_bce_loss(logits[[one]], target[[one]], terms=terms)) for one in range(2)]

    plain, balanced = losses(0.0), losses(0.5)
    missed, undecided, factor = math.log1p(math.exp(2)), math.log(2), math.sqrt(99)
    assert plain[0] == pytest.approx((missed + 99 * undecided) / 100)
    assert balanced[0] == pytest.approx((factor * missed + 99 * undecided) / (factor + 99))
    assert balanced[1] == plain[1]


def test_classes_that_exclude_each_other_compete():
    logits = torch.randn(3, 2, 2, 2, generator=torch.Generator().manual_seed(0))
    target, known = torch.zeros(3, 2, 2, 2, dtype=torch.bool), torch.ones(3, 2, 2, 2, dtype=torch.bool)
    target[0, 0], target[1, 1, 0] = True, True  # four voxels of the first, two of the second, two of none

    def expected(*voxels, known=(0, 1, 2)):
        """Of (place, number of the right prompt or None)."""
        losses = []
        for place, right in voxels:
            powers = {number: math.exp(logits[(number, *place)]) for number in known}
            losses.append(-math.log(powers.get(right, 1.0) / (1 + sum(powers.values()))))
        return losses

    def dice(*voxels, known=(0, 1, 2)):
        """Mean over the first and the second."""
        lost = []
        for asked in (0, 1):
            shares = [math.exp(-expected((place, asked), known=known)[0]) for place, _ in voxels]
            inside = [right == asked for _, right in voxels]
            overlap = sum(share for share, there in zip(shares, inside, strict=True) if there)
            lost.append(1 - (2 * overlap + 1) / (sum(inside) + sum(shares) + 1))
        return sum(lost) / 2

    def loss(**terms):
        return pytest.approx(float(exclusive_loss(logits, target, known, LossTerms(**terms))), rel=1e-5)

    every = [((x, y, z), 0 if x == 0 else 1 if y == 0 else None) for x in (0, 1) for y in (0, 1) for z in (0, 1)]
    plain = expected(*every)
    assert sum(plain) / 8 + dice(*every) == loss()
    weights = [2**0.5] * 4 + [4**0.5] * 4
    weighted = sum(weight * loss for weight, loss in zip(weights, plain, strict=True)) / sum(weights)
    assert weighted + dice(*every) == loss(balance=0.5)

    known[2] = False
    assert sum(expected(*every, known=(0, 1))) / 8 + dice(*every, known=(0, 1)) == loss()
    target[1, 0, 0, 0] = True  # belongs to two: it has no part
    assert sum(expected(*every[1:], known=(0, 1))) / 7 + dice(*every[1:], known=(0, 1)) == loss()


def test_where_nothing_is_there_the_softmax_says_none():
    logits = torch.full((2, 3, 3, 3), 2.0, requires_grad=True)
    nothing = torch.zeros(2, 3, 3, 3, dtype=torch.bool)
    loss = exclusive_loss(logits, nothing, ~nothing, LossTerms())
    assert float(loss.detach()) == pytest.approx(math.log(1 + 2 * math.exp(2)), rel=1e-5)
    loss.backward()
    assert (logits.grad > 0).all()


def test_the_recipe_says_what_the_loss_is_made_of(data, tiny_list):
    recipe, network, samples = set_up(data, tiny_list, **JOINT)
    double = recipe.model_copy(update={"loss": LossTerms(dice=2.0, cross_entropy=2.0)})
    once, twice = (float(Objective(network, one)(samples[:2]).loss) for one in (recipe, double))
    assert twice == pytest.approx(2 * once)
    with_term = recipe.model_copy(update={"loss": LossTerms(exclusive=0.5)})
    assert float(Objective(network, with_term)(samples[:2]).loss) > once
    alone = recipe.model_copy(update={"loss": LossTerms(dice=0, cross_entropy=0, exclusive=1.0)})
    assert float(Objective(network, alone)(samples[:2]).loss) > 0
