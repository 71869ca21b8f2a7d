"""Validation: the labels of a volume larger, smaller and as large as a window; Dice where a structure is known."""

from dataclasses import replace

import pytest
import torch

from openvista.model import STARTER, build
from openvista.train.cases import KnownRange, TrainingCase
from openvista.train.validate import predict_labels, validate

SMALL = replace(STARTER, filters=4, window=(32, 32, 32))
IDS = torch.tensor([3, 7])


@pytest.fixture(scope="module")
def network():
    return build(SMALL, 1).eval()


def one_pass(network, image_XYZ):
    with torch.no_grad():
        best, index = network.class_logits(image_XYZ[None, None], IDS)[0].max(0)
    return torch.where(best > 0, index + 1, 0)


def agreement(first, second):
    return float((first == second).float().mean())


def test_one_window_is_one_pass(network):
    image = torch.rand(32, 32, 32)
    assert agreement(predict_labels(network, image, IDS), one_pass(network, image)) > 0.999


def test_a_small_volume_is_padded_on_both_sides_and_cut_back(network):
    image = torch.rand(20, 32, 27)
    padded = torch.zeros(32, 32, 32)
    padded[6:26, :, 2:29] = image
    assert agreement(predict_labels(network, image, IDS), one_pass(network, padded)[6:26, :, 2:29]) > 0.999


def test_windows_side_by_side_cover_everything(network):
    image = torch.rand(50, 32, 32)
    labels = predict_labels(network, image, IDS)
    assert agreement(labels[18:], one_pass(network, image[18:])) > 0.999
    assert agreement(labels[:18], one_pass(network, image[:32])[:18]) > 0.999


def test_dice_counts_only_what_is_annotated_and_known(network):
    image = torch.rand(32, 32, 32).half()
    found = predict_labels(network, image, IDS)
    truth = (found == 1).to(torch.uint8)
    assert 0 < truth.sum() < truth.numel()
    truth[:, :, 16:] = 1 - truth[:, :, 16:]  # right below slice 16, wrong above it
    case = TrainingCase("made up", image, truth, (1,), {1: KnownRange(2, 0, 15)}, (1.0, 1.0, 1.0))
    assert validate(network, [case], {1: 3, 2: 7}) == {3: pytest.approx(1, abs=0.01)}
    assert validate(network, [replace(case, known={})], {1: 3, 2: 7})[3] < 0.99
