"""Steps: accumulation is a larger step, averages follow, and numbers that are none change nothing."""

from copy import deepcopy

import pytest
import torch
from tiny_training import JOINT, POINT, answer_the_same_everywhere, tiny_recipe

from openvista.distributed import Ranks
from openvista.errors import DeviceError, OpenVistaError
from openvista.inference.device import training_precision
from openvista.train.checkpoint import load_checkpoint, save_checkpoint
from openvista.train.learner import Learner, Schedule
from openvista.train.samples import draw_sample
from openvista.train.starting_network import check_device, starting_network, with_precision


def make(data, tiny_list, **more):
    recipe = tiny_recipe(tiny_list, **more)
    learner = Learner(starting_network(recipe), recipe, Ranks())
    samples = [draw_sample(data, recipe, 0, index) for index in range(4)]
    return learner, samples


def flat(network):
    return torch.cat([one.detach().flatten() for one in network.parameters()])


@pytest.mark.parametrize("more", [{}, POINT | {"step_every_round": False}, JOINT])
def test_groups_one_after_the_other_are_one_large_group(data, tiny_list, more):
    together, samples = make(data, tiny_list, **more)
    apart, _ = make(data, tiny_list, **more)
    one = together.step([samples], 1e-3, 0)
    two = apart.step([samples[:2], samples[2:]], 1e-3, 0)
    assert one.loss == pytest.approx(two.loss, rel=1e-4)
    assert one.gradient == pytest.approx(two.gradient, rel=1e-3)


def test_every_round_is_a_step_of_its_own(data, tiny_list):
    learner, samples = make(data, tiny_list, **POINT | {"rounds": 3})
    answer_the_same_everywhere(learner.network)
    learner.step([samples], 1e-6, 0)
    (steps,) = {int(state["step"]) for state in learner.optimiser.state.values()}
    assert steps == 4
    averaged, samples = make(data, tiny_list, **POINT | {"rounds": 3, "step_every_round": False})
    averaged.step([samples], 1e-3, 0)
    (steps,) = {int(state["step"]) for state in averaged.optimiser.state.values()}
    assert steps == 1


def test_loss_falls_on_one_step_of_samples(data, tiny_list):
    learner, samples = make(data, tiny_list)
    losses = [learner.step([samples], 5e-3, number).loss for number in range(8)]
    assert losses[-1] < 0.9 * losses[0]


def test_the_average_follows_with_its_decay(data, tiny_list):
    learner, samples = make(data, tiny_list, average_decay=0.5)
    learner.step([samples], 1e-2, 0)
    first = flat(learner.network)
    assert torch.equal(flat(learner.result), first)  # the average starts with the first step
    learner.step([samples], 1e-2, 1)
    assert torch.allclose(flat(learner.result), (first + flat(learner.network)) / 2, atol=1e-6)
    without, _ = make(data, tiny_list, average_decay=0)
    assert without.result is without.network


def test_a_loss_that_is_no_number_names_the_cases_and_changes_nothing(data, tiny_list):
    learner, samples = make(data, tiny_list)
    samples[1].image_XYZ[3, 3, 3] = float("nan")
    before = flat(learner.network)
    with pytest.raises(OpenVistaError, match=f"became nan at step 17 on .*{samples[1].case}"):
        learner.step([samples], 1e-3, 17)
    assert torch.equal(flat(learner.network), before)


def test_a_gradient_that_is_no_number_changes_nothing(data, tiny_list):
    learner, samples = make(data, tiny_list)
    learner.parameters[0].register_hook(lambda gradient: gradient * float("inf"))
    before = flat(learner.network)
    with pytest.raises(OpenVistaError, match=r"gradient became (nan|inf) at step 3 on ct"):
        learner.step([samples], 1e-3, 3)
    assert torch.equal(flat(learner.network), before)


def test_bfloat16_is_close_to_float32(data, tiny_list):
    exact, samples = make(data, tiny_list, **JOINT)
    coarse, _ = make(data, tiny_list, **JOINT, precision="bfloat16")
    assert coarse.step([samples], 1e-3, 0).loss == pytest.approx(exact.step([samples], 1e-3, 0).loss, rel=0.05)


def test_float16_needs_a_gpu(tiny_list):
    with pytest.raises(DeviceError, match="float16 trains on CUDA only"):
        check_device(tiny_recipe(tiny_list, precision="float16"), torch.device("cpu"))


def float16(data, tiny_list):
    """A learner with a scaler; on a CPU float16 is slow, so it is asked as little as possible."""
    learner, samples = make(data, tiny_list, precision="float16")
    assert learner.scaler.is_enabled()
    return learner, samples[:1]


def test_float16_is_close_to_float32(data, tiny_list):
    exact, _ = make(data, tiny_list)
    scaled, samples = float16(data, tiny_list)
    one, other = (learner.step([samples], 1e-3, 0) for learner in (exact, scaled))
    assert other.loss == pytest.approx(one.loss, rel=0.01)
    assert other.gradient == pytest.approx(one.gradient, rel=0.02)  # unscaled again before it is clipped


def test_a_float16_step_that_overflows_is_left_out_and_the_next_one_is_not(data, tiny_list):
    learner, samples = float16(data, tiny_list)
    overflows = [True, False]
    learner.parameters[0].register_hook(lambda gradient: gradient * float("inf") if overflows.pop(0) else gradient)
    before, scale = flat(learner.network), learner.scaler.get_scale()
    learner.step([samples], 1e-3, 0)
    assert torch.equal(flat(learner.network), before)
    assert learner.scaler.get_scale() == scale / 2
    learner.step([samples], 1e-3, 1)
    assert not torch.equal(flat(learner.network), before)
    assert learner.scaler.get_scale() == scale / 2


def test_float16_gradients_that_stay_no_numbers_end_the_run(data, tiny_list):
    learner, samples = float16(data, tiny_list)
    learner.parameters[0].register_hook(lambda gradient: gradient * float("inf"))
    learner.scaler.load_state_dict(learner.scaler.state_dict() | {"scale": 2.0})
    learner.step([samples], 1e-3, 0)
    with pytest.raises(OpenVistaError, match=r"gradient became (nan|inf) again and again, last at step 1 on ct"):
        learner.step([samples], 1e-3, 1)


def test_the_scale_is_kept_and_goes_on_exactly(data, tiny_list, tmp_path):
    whole, samples = float16(data, tiny_list)
    whole.scaler.load_state_dict(whole.scaler.state_dict() | {"scale": 1024.0, "_growth_tracker": 7})
    save_checkpoint(whole.state(), tmp_path / "last.pt")
    other, _ = make(data, tiny_list, precision="float16", seed=3)
    other.load_state(load_checkpoint(tmp_path / "last.pt", torch.device("cpu")))
    assert other.step([samples], 1e-3, 1).loss == whole.step([samples], 1e-3, 1).loss
    assert torch.equal(flat(other.network), flat(whole.network))
    assert other.scaler.state_dict() == whole.scaler.state_dict()
    assert (other.scaler.get_scale(), other.scaler.state_dict()["_growth_tracker"]) == (1024.0, 8)


def test_a_run_without_scaler_goes_on_with_one(data, tiny_list):
    plain, _ = make(data, tiny_list)
    scaled, _ = make(data, tiny_list, precision="float16", seed=3)
    scaled.load_state(deepcopy(plain.state()))
    assert torch.equal(flat(scaled.network), flat(plain.network))
    assert scaled.scaler.get_scale() == 65536
    plain.load_state(deepcopy(scaled.state()))


def test_auto_becomes_what_the_device_has(tiny_list, monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
    auto = tiny_recipe(tiny_list, precision="auto")
    assert with_precision(auto, Ranks(device=torch.device("cuda"))).precision == "float16"
    assert with_precision(auto, Ranks()).precision == training_precision(torch.device("cpu"))
    exact = tiny_recipe(tiny_list)
    assert with_precision(exact, Ranks()) is exact


def test_the_state_goes_on_exactly(data, tiny_list):
    whole, samples = make(data, tiny_list)
    whole.step([samples], 1e-3, 0)
    other, _ = make(data, tiny_list, seed=3)
    other.load_state(deepcopy(whole.state()))
    assert other.step([samples], 1e-3, 1).loss == whole.step([samples], 1e-3, 1).loss
    assert torch.equal(flat(other.network), flat(whole.network))
    assert torch.equal(flat(other.result), flat(whole.result))


def test_cosine_with_warm_up(tiny_list):
    schedule = Schedule(tiny_recipe(tiny_list, learning_rate=1.0, warmup_steps=10), steps=100)
    rates = [schedule.learning_rate(step, 0) for step in range(100)]
    assert rates[4] == pytest.approx(0.5, rel=0.02)
    assert rates.index(max(rates)) == 9
    assert rates[50] == pytest.approx(0.5)
    assert 0 < rates[99] < 0.001


def test_the_only_step_learns(tiny_list):
    schedule = Schedule(tiny_recipe(tiny_list, learning_rate=1.0, minutes=9), steps=1)
    assert schedule.fraction(0, 0) == 1
    assert schedule.learning_rate(0, 0) == 1


def test_steps_and_fraction_meet_at_the_end(tiny_list):
    for steps in range(1, 200):
        schedule = Schedule(tiny_recipe(tiny_list), steps)
        assert [schedule.fraction(step, 0) >= 1 for step in range(steps)] == [False] * (steps - 1) + [True]


def test_constant(tiny_list):
    schedule = Schedule(tiny_recipe(tiny_list, learning_rate=0.3, schedule="constant"), steps=5)
    assert [schedule.learning_rate(step, 0) for step in range(5)] == [0.3] * 5


def test_whichever_ends_first(tiny_list):
    now = [0.0]
    schedule = Schedule(tiny_recipe(tiny_list, minutes=2, learning_rate=1.0), steps=100, clock=lambda: now[0])
    assert schedule.fraction(9, schedule.time_over) == 0.1
    now[0] = 60.0
    assert schedule.fraction(9, schedule.time_over) == 0.5
    assert schedule.learning_rate(9, schedule.time_over) == pytest.approx(0.5)
    assert schedule.learning_rate(9, 1.5) == 0
    resumed = Schedule(tiny_recipe(tiny_list, minutes=2), steps=100, elapsed=60.0, clock=lambda: now[0])
    now[0] = 90.0
    assert resumed.elapsed == 90
    assert resumed.time_over == 0.75
    assert Schedule(tiny_recipe(tiny_list), steps=100, elapsed=60.0).time_over == 0
