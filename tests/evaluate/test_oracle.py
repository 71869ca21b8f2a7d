"""Protocols that place clicks from the truth in every window."""

import numpy as np
import pytest
import torch

from openvista.datalist import read_datalist
from openvista.evaluate.labelled_scan import read_case
from openvista.evaluate.oracle import ROUNDS, _quality, _rounds, centre
from openvista.evaluate.protocols import find_protocol
from openvista.evaluate.run import evaluate_case, plan_run
from openvista.evaluate.windowed import NO_PROMPT, WindowedScan
from openvista.metrics.masks import dice
from small_evaluation import CLASSES, tiny_model, write_cases


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    return read_datalist(write_cases(tmp_path_factory.mktemp("cases"))).testing


@pytest.fixture(scope="module")
def model():
    return tiny_model()


def truthful(window, structures):
    """Answers that are right in every window, from its truth on the model grid."""
    logits = []
    for structure in structures:
        truth = torch.from_numpy(window.truth(structure))
        logits.append(torch.where(truth, 5.0, -5.0) if truth.any() else torch.full(truth.shape, NO_PROMPT))
    return torch.stack(logits)


@pytest.mark.parametrize("profile", ["best", "bundle", "research"])
def test_right_answers_in_every_window_make_the_right_mask(cases, model, profile):
    labelled = read_case(cases[0], CLASSES)
    masks = WindowedScan(model, labelled, profile).segment(labelled.structures, truthful)
    for structure in labelled.structures:  # but for what the way to the model grid and back costs
        assert dice(masks[structure.class_id], labelled.truth(structure)) > 0.85


def test_windows_know_where_they_lie(cases, model):
    labelled = read_case(cases[0], CLASSES)
    seen = {}

    def ask(window, structures):
        for place in np.argwhere(window.truth(structures[0]))[:20]:
            seen[tuple((place + window.first).tolist())] = seen.get(tuple((place + window.first).tolist()), 0) + 1
        return torch.full((len(structures), *window.image_XYZ.shape), NO_PROMPT)

    masks = WindowedScan(model, labelled, "best").segment(labelled.structures, ask)
    assert not any(mask.any() for mask in masks.values())
    places = np.array(list(seen))
    assert places.min() >= 0
    assert max(seen.values()) > 1  # overlapping windows name the same voxel alike


def numbers(record):
    return [(score.class_id, score.dice, score.predicted_ml) for score in record.scores]


@pytest.mark.parametrize("name", ["point-oracle", "auto+point-oracle"])
def test_runs_are_the_same_for_a_seed(cases, model, name):
    classes = CLASSES if name == "point-oracle" else {1: 1}
    run = plan_run(find_protocol(name), classes, profile="bundle", seed=3)
    first, again = (evaluate_case(model, cases[0], run) for _ in range(2))
    assert numbers(first) == numbers(again)
    assert [score.class_id for score in first.scores] == list(classes.values())
    assert all(score.clicks is None for score in first.scores)
    assert first.seconds > 0
    if name == "auto+point-oracle":
        other = evaluate_case(model, cases[0], plan_run(find_protocol(name), classes, profile="bundle", seed=4))
        assert numbers(other) != numbers(first)


def test_the_best_round_is_never_worse_than_the_automatic_result(cases, model):
    scores = {}
    for name in ("auto", "auto+point-oracle"):
        run = plan_run(find_protocol(name), CLASSES, profile="bundle")
        scores[name] = np.mean([score.dice for score in evaluate_case(model, cases[0], run).scores])
    assert scores["auto+point-oracle"] > scores["auto"]


def test_an_oracle_says_so_and_knows_no_structure_that_is_not_there(cases, model):
    assert find_protocol("point-oracle").oracle
    assert not find_protocol("auto").oracle
    record = evaluate_case(model, cases[2], plan_run(find_protocol("point-oracle"), CLASSES | {2: 23}))
    assert {score.class_id for score in record.scores} == {1}


def test_the_centre_lies_inside():
    mask = np.zeros((12, 12, 12), bool)
    mask[2:10, 2:5, 2:10] = mask[2:10, 2:10, 2:5] = True  # an L: its centre of mass lies outside
    mask[11, 11, 11] = True
    x, y, z = centre(mask)
    assert mask[x, y, z]
    assert (x, y, z) != (11, 11, 11)
    thin = np.zeros((5, 5, 5), bool)
    thin[1:4, 2, 2] = True
    assert centre(thin) == (2, 2, 2)


def test_rounds_click_where_the_error_is():
    random = np.random.default_rng(0)
    truth, predicted = np.zeros((2, 14, 14, 14), bool)
    truth[1:10, 1:10, 1:10] = True
    rounds = list(_rounds(truth, predicted, random))
    assert len(rounds) == ROUNDS
    assert all(click.positive and truth[click.voxel] for clicks in rounds for click in clicks)
    predicted[1:10, 1:10, 1:10] = predicted[1:10, 1:10, 10:13] = True
    _, second, third = _rounds(truth, predicted, random)
    for clicks in (second, third):
        assert [click.positive for click in clicks] == [True, False]
        assert predicted[clicks[1].voxel]
        assert not truth[clicks[1].voxel]
    absent = list(_rounds(np.zeros_like(truth), predicted, random))
    assert [len(clicks) for clicks in absent] == [1] * ROUNDS
    assert not any(click.positive for clicks in absent for click in clicks)
    assert list(_rounds(np.zeros_like(truth), np.zeros_like(truth), random)) == []


def test_where_the_structure_is_absent_less_is_better():
    empty, few, many = np.full((3, 4, 4, 4), -1.0, np.float32)
    few[:1], many[:3] = 1, 1
    nothing = np.zeros((4, 4, 4), bool)
    assert _quality(empty, nothing) > _quality(few, nothing) > _quality(many, nothing)
