"""The learning rate rises, falls or stays, by steps or by the clock, and goes on after a break."""

import pytest
from tiny_training import tiny_recipe

from openvista.train.schedule import Schedule


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
