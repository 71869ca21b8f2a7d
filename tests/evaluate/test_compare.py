"""Two runs side by side: on what both have, with the test that scipy and a small table agree on."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from openvista.errors import InputError
from openvista.evaluate.compare import (
    ALL_PAIRS,
    SCAN_MEANS,
    compare_results,
    disagreements,
    signed_rank_p,
    write_comparison,
)
from openvista.evaluate.report.results import Results
from small_evaluation import INFO, make_record, make_score

NAN = float("nan")


def results(values, clicks=(), names=None, **info):
    """Dice per case and class id (and number of clicks)."""
    records = [
        make_record(case, *(make_score(class_id, dice, n) for (class_id, n), dice in scores.items()))
        for case, scores in values.items()
    ]
    return Results(replace(INFO, clicks=clicks, names=names or INFO.names, **info), tuple(records))


def test_only_common_pairs_with_numbers_on_both_sides_count():
    a = results({"c0": {(1, None): 0.5, (3, None): 0.4}, "c1": {(1, None): 0.6}, "c2": {(1, None): 0.9}})
    b = results({"c0": {(1, None): 0.7, (3, None): NAN}, "c1": {(1, None): 0.7}, "c9": {(1, None): 0.1}})
    rows = {row.name: row for row in compare_results(a, b)}
    assert set(rows) == {"liver", ALL_PAIRS, SCAN_MEANS}
    assert (rows["liver"].pairs, rows["liver"].mean_a) == (2, pytest.approx(0.55))
    assert rows["liver"].difference == pytest.approx(0.15)


def test_structures_are_matched_by_name_since_models_number_their_own():
    a = results({"c0": {(1, None): 0.5}})
    b = results({"c0": {(140, None): 0.7}}, names={140: "liver"})
    assert compare_results(a, b)[0].name == "liver"


def test_scan_means_count_each_scan_once():
    a = results({"c0": {(1, None): 0.2, (3, None): 0.4}, "c1": {(1, None): 0.5}})
    b = results({"c0": {(1, None): 0.4, (3, None): 0.8}, "c1": {(1, None): 0.5}})
    rows = {row.name: row for row in compare_results(a, b)}
    assert (rows[SCAN_MEANS].pairs, rows[ALL_PAIRS].pairs) == (2, 3)
    assert rows[SCAN_MEANS].difference == pytest.approx(0.15)
    assert rows[ALL_PAIRS].difference == pytest.approx(0.2)


def test_the_p_value_is_the_signed_rank_tests():
    # five differences of one sign: 2 of the 32 assignments of signs are as extreme
    assert signed_rank_p(np.array([0.1, 0.2, 0.3, 0.4, 0.5])) == pytest.approx(2 / 32)
    assert math.isnan(signed_rank_p(np.zeros(4)))
    random = np.random.default_rng(0)
    same = {f"c{n}": {(1, None): d} for n, d in enumerate(random.random(40))}
    better = {case: {(1, None): s[1, None] + 0.05 * random.random()} for case, s in same.items()}
    row = compare_results(results(same), results(better))[0]
    assert row.p < 1e-6
    assert 0 < row.low < row.difference < row.high
    assert compare_results(results(same), results(better)) == compare_results(results(same), results(better))


def test_each_common_number_of_clicks_is_compared():
    a = results({"c0": {(1, 1): 0.3, (1, 3): 0.5, (1, 10): 0.8}}, clicks=(1, 3, 10))
    b = results({"c0": {(1, 1): 0.4, (1, 5): 0.5, (1, 10): 0.7}}, clicks=(1, 5, 10))
    steps = [(row.clicks_a, row.clicks_b, row.difference) for row in compare_results(a, b) if row.name == "liver"]
    assert [step[:2] for step in steps] == [(1, 1), (10, 10)]
    automatic = results({"c0": {(1, None): 0.6}})
    row = compare_results(automatic, a)[0]
    assert (row.clicks_a, row.clicks_b) == (None, 10)
    assert row.difference == pytest.approx(0.2)


def test_what_makes_numbers_incomparable_is_told():
    a, b = results({}), results({}, tolerance_mm=1.0, split="training")
    assert [text.split(":")[0] for text in disagreements(a, b)] == ["split", "tolerance_mm"]
    with pytest.raises(InputError, match="in common"):
        compare_results(a, b)
    with pytest.raises(InputError, match="metric"):
        compare_results(a, a, "iou")


def test_the_files(tmp_path):
    a = results({"c0": {(1, None): 0.5}, "c1": {(1, None): 0.5}})
    b = results({"c0": {(1, None): 0.7}, "c1": {(1, None): 0.5}}, model="b <2>", split="y")
    rows = compare_results(a, b)
    page = write_comparison(tmp_path, a, b, "dice", rows)
    text = page.read_text()
    assert "b &lt;2&gt;" in text
    assert "The runs differ in split" in text
    content = json.loads((tmp_path / "compare.json").read_text())
    assert content["rows"][0]["difference"] == pytest.approx(0.1)
    assert len((tmp_path / "compare.csv").read_text().splitlines()) == 1 + len(rows)
