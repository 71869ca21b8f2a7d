"""Dice agrees with MONAI, and says NaN where there is nothing to compare."""

import numpy as np
import pytest
import torch

from openvista.evaluate.metrics import dice


@pytest.mark.parametrize("seed", range(4))
def test_equals_monai(seed):
    from monai.metrics import DiceMetric

    random = np.random.default_rng(seed)
    first, second = random.random((2, 7, 8, 9)) < 0.3
    judge = DiceMetric()(torch.tensor(first)[None, None].float(), torch.tensor(second)[None, None].float())
    assert dice(first, second) == pytest.approx(float(judge))


def test_degenerate_masks():
    empty, full = np.zeros((3, 3, 3), bool), np.ones((3, 3, 3), bool)
    assert np.isnan(dice(empty, empty))
    assert dice(empty, full) == 0
    assert dice(full, full) == 1
