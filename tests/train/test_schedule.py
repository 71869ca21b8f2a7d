"""The learning rate rises, falls or stays, by steps or by the clock, and goes on after a break."""

import pytest
from tiny_training import tiny_recipe

from openvista.train.schedule import Schedule


def test_cosine_with_warm_up(tiny_list):
    schedule = Schedule(tiny_recipe(tiny_list, learning_rate=1.0, warmup_steps=10), steps=100)
    rates = [schedule.learning_rate(step, schedule.fraction(step)) for step in range(100)]
    assert rates[4] == pytest.approx(0.5, rel=0.02)
    assert rates.index(max(rates)) == 9
    assert rates[49] == pytest.approx(0.5)
    assert rates[99] == pytest.approx(0)


def test_constant(tiny_list):
    schedule = Schedule(tiny_recipe(tiny_list, learning_rate=0.3, schedule="constant"), steps=5)
    assert [schedule.learning_rate(step, schedule.fraction(step)) for step in range(5)] == [0.3] * 5


def test_whichever_ends_first(tiny_list):
    now = [0.0]
    schedule = Schedule(tiny_recipe(tiny_list, minutes=2), steps=100, clock=lambda: now[0])
    assert schedule.fraction(9) == 0.1
    now[0] = 60.0
    assert schedule.fraction(9) == 0.5
    resumed = Schedule(tiny_recipe(tiny_list, minutes=2), steps=100, elapsed=60.0, clock=lambda: now[0])
    now[0] = 90.0
    assert resumed.elapsed == 90
    assert resumed.fraction(9) == 0.75
