"""Protocol ``cvpr25`` on a data list, and the numbers the challenge ranked by."""

import numpy as np
import pytest

from openvista.datalist import read_datalist
from openvista.evaluate.challenge import challenge_csv, challenge_line, challenge_rows
from openvista.evaluate.protocols import find_protocol
from openvista.evaluate.run import evaluate_case, plan_run
from small_evaluation import CLASSES, make_record, make_score, tiny_model, write_cases


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    return read_datalist(write_cases(tmp_path_factory.mktemp("cases"))).testing


def numbers(record):
    return [(score.class_id, score.clicks, score.dice, score.predicted_ml) for score in record.scores]


def test_a_data_list_is_run_with_boxes_from_its_truth(cases):
    run = plan_run(find_protocol("cvpr25"), CLASSES, profile="bundle")
    model = tiny_model(seed=8)
    first, again = (evaluate_case(model, cases[0], run) for _ in range(2))
    assert [(score.clicks, score.class_id) for score in first.scores] == [(n, i) for n in range(1, 6) for i in (1, 3)]
    assert numbers(first) == numbers(again)
    row = challenge_rows([first])["ct0"]
    means = [np.mean([score.dice for score in first.scores if score.clicks == n]) for n in range(1, 6)]
    assert row["DSC_AUC"] == pytest.approx(np.trapezoid(means))
    assert row["DSC_Final"] == pytest.approx(means[-1])


def test_structures_known_in_part_are_judged_there_only(cases):
    run = plan_run(find_protocol("cvpr25"), CLASSES, range_limited=[1], profile="bundle", clicks=(1,))
    record = evaluate_case(tiny_model(seed=8), cases[0], run)
    assert [score.class_id for score in record.scores] == [1, 3]
    assert challenge_rows([record]) == {}


def test_the_four_numbers_of_the_challenge():
    good = [make_score(1, 0.5, n) for n in range(1, 6)]
    poor = [make_score(1, 0.2, n) for n in range(1, 5)] + [make_score(1, 0.6, 5)]
    rows = challenge_rows([make_record("a", *good), make_record("b", *poor), make_record("c")])
    assert [row["DSC_AUC"] for row in rows.values()] == pytest.approx([2.0, 1.0])
    assert [row["NSD_AUC"] for row in rows.values()] == pytest.approx([2.0, 0.3])
    assert challenge_csv(rows).splitlines()[-1] == "mean,1.5000,1.1500,0.5500,0.5500"
    assert "DSC AUC 1.500" in challenge_line(rows)
