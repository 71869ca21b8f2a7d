"""Validation: the labels of a volume larger, smaller and as large as a window; Dice where a structure is known."""

from dataclasses import replace

import pytest
import torch

from openvista.metrics.masks import dice
from openvista.network import STARTER, build
from openvista.simulate.user import first_user_click
from openvista.train.cases import KnownRange, TrainingCase
from openvista.train.validation import class_dice, mean_scores, one_click_dice, overall, predict_labels, window_around

SMALL = replace(STARTER, filters=4, window=(32, 32, 32), branches=("automatic",))
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
    truth = (found == 1).short() * 3
    assert 0 < (truth > 0).sum() < truth.numel()
    truth[:, :, 16:] = 3 - truth[:, :, 16:]  # right below slice 16, wrong above it
    case = TrainingCase("made up", image, truth, (3,), {3: KnownRange(2, 0, 15)}, (1.0, 1.0, 1.0))
    assert class_dice(network, case, (3, 7)) == {3: pytest.approx(1, abs=0.01)}
    assert class_dice(network, replace(case, known={}), (3, 7))[3] < 0.99
    assert class_dice(network, replace(case, pseudo=frozenset({3})), (3, 7)) == {}


def test_by_class_an_organ_is_judged_without_its_tumour(network):
    image, ids = torch.rand(32, 32, 32).half(), (1, 26)
    labels = predict_labels(network, image, torch.tensor(ids))
    truth = torch.tensor([0, 1, 26], dtype=torch.int16)[labels.long()]
    assert set(truth.unique().tolist()) >= {1, 26}
    case = TrainingCase("made up", image, truth, ids, {}, (1.0, 1.0, 1.0))
    assert class_dice(network, case, ids) == {1: 1.0, 26: 1.0}


def test_one_click_looks_at_the_window_around_the_middle_of_the_structure():
    network = build(replace(SMALL, filters=8, branches=("automatic", "point")), 1).eval()
    truth = torch.zeros(50, 32, 32, dtype=torch.int16)
    truth[40:46, 10:20, 10:20] = 3
    case = TrainingCase("made up", torch.rand(50, 32, 32).half(), truth, (3, 7), {}, (1.0, 1.0, 1.0))
    scores = one_click_dice(network, case, (3, 7))
    assert set(scores) == {3}  # nothing of class 7 is there
    place = first_user_click((truth == 3).numpy(), case.spacing)
    with torch.no_grad():
        features = network.point_features(case.image_XYZ.float()[None, None, 18:50])
        logits = network.point_logits(features, torch.tensor([[[place[0] - 18, *place[1:]]]]), torch.tensor([[1]]))
    mask = torch.zeros(50, 32, 32, dtype=torch.bool)
    mask[18:50] = logits[0, 0] > 0
    assert scores[3] == pytest.approx(dice(mask.numpy(), (truth == 3).numpy()), abs=0.01)


@pytest.mark.parametrize(("place", "start"), [((0, 0, 0), 0), ((31, 31, 31), 16), ((16, 15, 17), 8)])
def test_a_window_stays_inside(place, start):
    box = window_around(place, (16, 16, 16), (32, 32, 32))
    assert box.slices()[0] == slice(start, start + 16)


def test_means_are_over_the_cases_that_have_the_class():
    assert mean_scores([{3: 0.5, 7: 1.0}, {3: 0.7}, {}]) == {3: pytest.approx(0.6), 7: 1.0}
    assert overall({"a": {3: 0.5, 7: 0.7}, "b": {3: 1.0}}) == pytest.approx(0.8)
    assert overall({"a": {}}) == 0
