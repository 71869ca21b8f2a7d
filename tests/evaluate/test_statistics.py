"""Summaries: what is left out, what intervals hold, and that they are always the same."""

import math

import numpy as np
import pytest

from openvista.evaluate.statistics import interval, summarise
from small_evaluation import make_record, make_score

NAN = float("nan")


def test_a_structure_that_is_not_there_is_left_out_and_what_was_made_up_told():
    absent = make_score(5, NAN, hd95_mm=NAN, nsd=NAN, truth_ml=0.0, predicted_ml=3.0)
    records = [make_record("a", make_score(5, 0.5)), make_record("b", absent), make_record("c", make_score(5, 1.0))]
    row = summarise(records)[0]
    dice = row.statistics["dice"]
    assert (dice.count, dice.mean, dice.median, dice.worst) == (2, 0.75, 0.75, 0.5)
    assert (row.cases, row.missed, row.false_ml) == (2, 0, 3.0)


def test_a_missed_structure_counts_in_dice_but_not_in_distance():
    missed = make_score(5, 0.0, hd95_mm=NAN, predicted_ml=0.0)
    row = summarise([make_record("a", make_score(5, 0.8)), make_record("b", missed)])[0]
    assert (row.missed, row.statistics["dice"].mean, row.statistics["hd95_mm"].count) == (1, 0.4, 1)


def test_nothing_known_gives_no_number():
    row = summarise([make_record("a", make_score(5, NAN, truth_ml=0.0))])[0]
    assert row.statistics["dice"].count == 0
    assert math.isnan(row.statistics["dice"].mean)
    assert summarise([]) == []


def test_the_mean_over_structures_weighs_them_alike():
    records = [make_record(str(n), make_score(1, 0.2), *([make_score(2, 0.8)] if n == 0 else [])) for n in range(4)]
    total = summarise(records)[-1]
    assert total.class_id is None
    assert total.statistics["dice"].mean == pytest.approx(0.5)
    assert total.statistics["dice"].low == pytest.approx(total.statistics["dice"].high, abs=0.31)


def test_volume_errors_keep_their_sign_and_the_worst_is_the_largest():
    scores = [make_score(1, 0.5, volume_error_percent=value) for value in (-30.0, 10.0, 20.0)]
    volume = summarise([make_record(str(n), score) for n, score in enumerate(scores)])[0].statistics[
        "volume_error_percent"
    ]
    assert (volume.mean, volume.worst) == (0, -30)


def test_rows_are_in_order_of_structure_and_clicks():
    records = [make_record("a", *(make_score(i, 0.5, clicks=n) for i in (7, 2) for n in (10, 1, 3)))]
    order = [(row.class_id, row.clicks) for row in summarise(records)]
    assert order == [(2, 1), (2, 3), (2, 10), (7, 1), (7, 3), (7, 10), (None, 1), (None, 3), (None, 10)]


def test_intervals_are_seeded_and_hold_the_mean():
    random = np.random.default_rng(3)
    records = [make_record(str(n), make_score(1, d), make_score(2, d**2)) for n, d in enumerate(random.random(30))]
    first, again, other = summarise(records, 1), summarise(records, 1), summarise(records, 2)
    assert str(first) == str(again)  # NaN is not equal to itself
    assert [row.statistics["dice"].low for row in first] != [row.statistics["dice"].low for row in other]
    for row in first:
        statistic = row.statistics["dice"]
        assert statistic.low < statistic.mean < statistic.high


def test_the_interval_is_about_the_one_of_theory():
    values = np.random.default_rng(0).normal(0.7, 0.1, 200)
    low, high = interval(values, np.random.default_rng(0))
    half = 1.96 * values.std() / math.sqrt(200)
    assert (high - low) / 2 == pytest.approx(half, rel=0.1)
    assert all(map(math.isnan, interval(values[:1], np.random.default_rng(0))))
