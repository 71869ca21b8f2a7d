"""Protocol ``auto``: only annotated structures count, only where they are known."""

from dataclasses import replace

import pytest

from openvista.datalist import read_datalist
from openvista.evaluate.automatic import Score, evaluate_automatic, summarise
from openvista.inference.model import load_model

CLASSES = {1: 133, 2: 121, 3: 134, 4: 135, 5: 11, 6: 136, 7: 137}


@pytest.fixture(scope="module")
def case(example_datalist):
    return read_datalist(example_datalist).training[0]


@pytest.fixture(scope="module")
def starter():
    return load_model("starter", device="cpu")


@pytest.fixture(scope="module")
def scores(starter, case):
    return evaluate_automatic(starter, [case], CLASSES, range_limited=[2, 5])


def test_the_starter_finds_every_structure_of_a_case_it_was_not_trained_on(scores):
    assert {score.class_id for score in scores} == set(CLASSES.values())
    assert sum(score.dice for score in scores) / len(scores) > 0.6
    assert min(score.dice for score in scores) > 0.3


def test_structures_nobody_annotated_are_not_scored(starter, case):
    partial = replace(case, annotated=frozenset({1, 7}))
    assert {score.class_id for score in evaluate_automatic(starter, [partial], CLASSES)} == {133, 137}


def test_the_range_changes_only_limited_structures(starter, case, scores):
    everywhere = {score.class_id: score for score in evaluate_automatic(starter, [case], CLASSES)}
    for score in scores:
        other = everywhere[score.class_id]
        if score.class_id in (121, 11):
            assert score.predicted_ml < other.predicted_ml  # cord and esophagus go on beyond the contours
        else:
            assert score == other


def test_summary_leaves_out_what_cannot_be_scored():
    nan = float("nan")
    rows = summarise([Score("a", 5, 0.5, 1, 1), Score("b", 5, nan, 0, 0), Score("c", 5, 1.0, 1, 1)])
    assert (rows[0].cases, rows[0].mean, rows[0].worst) == (2, 0.75, 0.5)
