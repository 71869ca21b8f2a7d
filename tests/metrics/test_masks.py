"""Measures agree with MONAI and DeepMind, and say NaN where there is nothing to compare."""

import math

import numpy as np
import pytest
import torch

from openvista.errors import InputError
from openvista.geometry.grid import Grid
from openvista.metrics.masks import check_tolerance, dice, measure_masks

GRID = Grid((7, 8, 9), np.diag([-2.0, 1.0, 2.5, 1.0]))
EMPTY, FULL = np.zeros(GRID.shape, bool), np.ones(GRID.shape, bool)


@pytest.mark.parametrize("seed", range(4))
def test_equals_monai(seed):
    from monai.metrics import DiceMetric, SurfaceDiceMetric

    random = np.random.default_rng(seed)
    predicted, truth = random.random((2, *GRID.shape)) < 0.3
    tensors = [torch.tensor(mask)[None, None].float() for mask in (predicted, truth)]
    assert dice(predicted, truth) == pytest.approx(float(DiceMetric()(*tensors)))
    measures = measure_masks(truth, predicted, GRID, tolerance_mm=1)
    judge = SurfaceDiceMetric([1.0], include_background=True, use_subvoxels=True)
    assert measures.nsd == pytest.approx(float(judge(*tensors, spacing=GRID.spacing)), rel=1e-5)
    assert measures.dice == dice(predicted, truth)


def test_a_perfect_prediction():
    measures = measure_masks(FULL, FULL, GRID)
    assert (measures.dice, measures.nsd, measures.hd95_mm) == (1, 1, 0)
    assert measures.truth_ml == pytest.approx(7 * 8 * 9 * 5 / 1000)
    assert (measures.volume_error_ml, measures.volume_error_percent) == (0, 0)


def test_a_missed_structure_scores_nought_but_has_no_distance():
    measures = measure_masks(FULL, EMPTY, GRID)
    assert (measures.dice, measures.nsd, measures.volume_error_percent) == (0, 0, -100)
    assert math.isnan(measures.hd95_mm)
    assert measures.volume_error_ml == -measures.truth_ml


def test_an_absent_structure_cannot_be_scored_but_what_was_made_up_is_told():
    measures = measure_masks(EMPTY, FULL, GRID)
    for value in (measures.dice, measures.nsd, measures.hd95_mm, measures.volume_error_percent):
        assert math.isnan(value)
    assert measures.volume_error_ml == measures.predicted_ml > 0


def test_nothing_against_nothing():
    measures = measure_masks(EMPTY, EMPTY, GRID)
    for value in (measures.dice, measures.nsd, measures.hd95_mm, measures.volume_error_percent):
        assert math.isnan(value)
    assert measures.volume_error_ml == 0


def test_tolerance_and_volume_error():
    truth, predicted = EMPTY.copy(), EMPTY.copy()
    truth[1:4, 1:4, 1:4] = predicted[1:5, 1:4, 1:4] = True  # one voxel of 2 mm too long
    assert measure_masks(truth, predicted, GRID, tolerance_mm=1.9).nsd < 1
    assert measure_masks(truth, predicted, GRID, tolerance_mm=2).nsd == 1
    assert measure_masks(truth, predicted, GRID).volume_error_percent == pytest.approx(100 / 3)


@pytest.mark.parametrize("wrong", [-1.0, float("nan"), float("inf")])
def test_impossible_tolerances(wrong):
    with pytest.raises(InputError, match="impossible"):
        check_tolerance(wrong)
