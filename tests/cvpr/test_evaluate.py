"""The challenge's iterative protocol against values worked out by hand."""

from dataclasses import fields

import numpy as np
import pytest

from openvista.cvpr.case_file import read_case_file
from openvista.cvpr.evaluate import Outcome, area, iterate, score_case, score_labels, write_table
from openvista.cvpr.image import Reading
from openvista.cvpr.predict import Deadline, Predictor
from openvista.geometry.box import Box
from openvista.simulate.challenge_user import ArrayClick, MiddleBox
from small_challenge import block, two_balls, write_case
from small_evaluation import PRESET, tiny_model


def test_the_area_is_that_of_trapezoids():
    assert area([0.2, 0.4, 0.6, 0.6, 0.8]) == pytest.approx(0.3 + 0.5 + 0.6 + 0.7)
    assert area([1.0] * 5) == 4.0


def test_means_run_over_the_classes_of_the_truth():
    truth = np.zeros((8, 8, 8), np.uint8)
    truth[0:2], truth[5:7] = 1, 3
    found = np.zeros_like(truth)
    found[0:2, :4] = 1  # Dice 2 * 64 / (128 + 64)
    dsc, nsd = score_labels(truth, found, (1, 3), (1.0, 1.0, 1.0))
    assert dsc == pytest.approx((2 / 3 + 0) / 2)
    assert 0 < nsd < 0.5  # the second class is missed: 0
    assert score_labels(truth, truth, (1, 3), (1.0, 1.0, 1.0)) == (1.0, 1.0)
    found[0:2, 1:4] = 0
    assert score_labels(truth, found, (1, 3), (1.0, 1.0, 1.0)) == (pytest.approx(2 / 18), 0.0)  # not above 0.2


def test_spacing_goes_along_the_arrays_axes():
    truth = block((2, 2, 2), (5, 5, 5)).astype(np.uint8)
    shifted = np.roll(truth, 1, axis=0)
    assert score_labels(truth, shifted, (1,), (2.0, 9.0, 9.0))[1] == 1.0
    assert score_labels(truth, shifted, (1,), (2.5, 9.0, 9.0))[1] < 1.0


def test_clicks_add_up_and_the_previous_answer_goes_along():
    truth = np.zeros((9, 9, 9), np.uint8)
    truth[1:4, 1:4, 1:4], truth[5:8, 5:8, 5:8] = 1, 2
    asked = []

    def respond(request):
        asked.append(request)
        answer = np.zeros_like(truth)
        for value, clicks in zip(request.ids, request.clicks, strict=True):
            if len(clicks) >= value:  # the second class wants two clicks
                answer[truth == value] = value
        return answer

    boxes = (MiddleBox((1, 3), 2, (1, 3), (1, 3)),) * 2
    steps = list(iterate(respond, truth, (1, 2), boxes, clicks=3))
    assert [step.clicks for step in steps] == [0, 1, 2, 3]
    assert [[len(each) for each in request.clicks] for request in asked] == [[0, 0], [1, 1], [1, 2], [1, 2]]
    assert asked[0].previous_ZYX is None
    assert all(np.array_equal(b.previous_ZYX, a.labels_ZYX) for a, b in zip(steps, asked[1:], strict=False))
    assert asked[3].clicks[1] == (ArrayClick((6, 6, 6), True),) * 2
    assert asked[1].boxes == boxes


def test_errors_beyond_what_is_known_are_not_seen():
    truth = np.zeros((9, 9, 9), np.uint8)
    truth[4:7, 3:6, 3:6] = 1
    asked = []

    def respond(request):
        asked.append(request)
        return np.where(np.arange(9)[:, None, None] >= 7, 1, truth).astype(np.uint8)

    known = Box((4, 0, 0), (7, 9, 9))
    list(iterate(respond, truth, (1,), None, clicks=2, regions=[known]))
    assert [len(request.clicks[0]) for request in asked] == [1, 1]
    assert asked[0].clicks[0][0].voxel == (5, 4, 4)


def test_without_boxes_the_first_run_counts_as_nothing(tmp_path):
    labels = two_balls()
    case = read_case_file(write_case(tmp_path / "a.npz", labels, boxes=False))
    outcome, maps = score_case(case, labels, lambda request: labels)
    assert outcome.dsc == (0.0, 1.0, 1.0, 1.0, 1.0, 1.0)
    assert (outcome.seconds[0], outcome.nsd[0], maps[0].max()) == (0.0, 0.0, 0)
    assert outcome.row()["DSC_AUC"] == outcome.row()["NSD_AUC"] == 4.0


def test_the_table_is_the_official_one(tmp_path):
    outcome = Outcome(
        "a.npz", 2, (0.9, 0.1, 0.3, 0.5, 0.5, 0.7), (0.8, 0, 0.2, 0.4, 0.4, 0.6), (20.0, 40.0, 0, 0, 0, 0)
    )
    write_table(tmp_path / "table.csv", [outcome])
    heading, row = (line.split(",") for line in (tmp_path / "table.csv").read_text().splitlines())
    numbered = [f"{name}_{run}" for name in ("DSC", "NSD") for run in range(1, 7)]
    assert heading == [
        *("CaseName", "TotalRunningTime"),
        *(f"RunningTime_{run}" for run in range(1, 7)),
        *("DSC_AUC", "NSD_AUC", "DSC_Final", "NSD_Final"),
        *(*numbered, "num_class", "runtime_upperbound"),
    ]
    values = dict(zip(heading, row, strict=True))
    assert float(values["DSC_AUC"]) == pytest.approx(0.2 + 0.4 + 0.5 + 0.6)
    assert (values["DSC_Final"], values["DSC_1"], values["runtime_upperbound"]) == ("0.7", "0.9", "180.0")
    assert not outcome.too_slow
    assert Outcome(**{each.name: getattr(outcome, each.name) for each in fields(outcome)} | {"classes": 0}).too_slow


def test_a_case_file_runs_through_a_real_network_always_the_same(tmp_path):
    labels = two_balls()
    case = read_case_file(write_case(tmp_path / "a.npz", labels))
    scan = Reading().scan(case.image_ZYX, case.spacing, PRESET)
    outcomes = []
    for _ in range(2):
        predictor = Predictor(tiny_model(seed=8), "bundle")
        outcomes.append(score_case(case, labels, lambda r, p=predictor: p.answer(scan, r, Deadline(None))))
    assert outcomes[0][0].dsc == outcomes[1][0].dsc
    assert np.array_equal(outcomes[0][1], outcomes[1][1])
    assert outcomes[0][1].shape == (6, *labels.shape)
