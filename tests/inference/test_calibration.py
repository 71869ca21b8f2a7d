"""What the 8-bit network is made from; tests/inference/test_eight_bit.py runs the command."""

from dataclasses import replace

import pytest
import torch

from openvista.errors import ModelError
from openvista.inference.calibration import calibrate_model, some_windows
from openvista.inference.profiles import BEST
from openvista.inference.windows import cut_windows
from openvista.prepare import prepare
from openvista.weights import ModelCard
from openvista.weights.registry import ModelFolder
from small_inference import TINY, make_scan
from small_sessions import AFFINE


def test_windows_are_those_of_best_from_one_end_to_the_other():
    scan = make_scan((30, 30, 18), AFFINE)
    windowed = cut_windows(prepare(scan, TINY.spacing, TINY.hu_window, orient_first=True), TINY, BEST)
    every = [windowed.image_XYZ[windowed.plan.slices(start)] for start in windowed.plan.starts]
    assert len(every) > 3
    first, middle, last = some_windows(scan, TINY, 3)
    assert torch.equal(first, every[0])
    assert torch.equal(last, every[-1])
    assert any(torch.equal(middle, window) for window in every[1:-1])
    assert len(some_windows(scan, TINY, 1000)) == len(every)


def test_a_model_for_clicks_only_has_nothing_to_calibrate(tmp_path):
    card = ModelCard.from_preset(replace(TINY, branches=("point",)), classes=(1,), name="clicky")
    with pytest.raises(ModelError, match="'clicky' answers clicks only"):
        calibrate_model(ModelFolder(tmp_path, card), [], 1)
