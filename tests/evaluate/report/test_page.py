"""The pieces of a report's page: escaped text, dashes for what is not known, and no more pictures than can be seen."""

import math
from dataclasses import replace

import pytest

from openvista.evaluate.report.page import (
    after_clicks,
    definitions,
    number,
    page,
    report_page,
    section,
    structure_table,
    table,
    with_interval,
)
from openvista.evaluate.report.pictures import Picture
from openvista.evaluate.statistics import Statistic, summarise
from small_evaluation import INFO, make_record, make_score

HOSTILE = "<script>alert('1')</script> & co"
HOSTILE_INFO = replace(
    INFO,
    command=f"openvista evaluate '{HOSTILE}'",
    model=HOSTILE,
    datalist=HOSTILE,
    cases=("ct0", "ct1"),
    names={1: "liver", 3: HOSTILE},
)
RECORDS = [make_record(f"ct{n}", make_score(1, 0.9 - n / 10), make_score(3, 0.4 + n / 10)) for n in range(2)]


def test_text_of_users_never_becomes_html():
    whole = report_page(HOSTILE_INFO, RECORDS, summarise(RECORDS), HOSTILE)
    assert "<script" not in whole
    assert whole.count("&lt;script&gt;") >= 6  # title, heading, line below, structure, command, origin
    for part in (page(HOSTILE, ""), section(HOSTILE, ""), definitions([(HOSTILE, HOSTILE)])):
        assert "<script" not in part


def test_numbers_and_intervals_are_said_as_far_as_they_are_known():
    assert (number(0.12345), number(12.345, 1), number(math.nan), number(math.inf)) == ("0.123", "12.3", "–", "–")
    known = Statistic(3, 0.5, 0.5, 0.25, 0.75, 0.1)
    assert with_interval(known, 2) == "0.50 <small>0.25…0.75</small>"
    assert with_interval(Statistic(1, 0.5, 0.5, math.nan, math.nan, 0.5)) == "0.500"
    assert [after_clicks(clicks) for clicks in (None, 1, 2)] == ["", " after 1 click", " after 2 clicks"]


@pytest.mark.parametrize("total", [False, True])
def test_a_table_has_its_cells_in_order_and_at_most_one_total(total):
    rows = ((f"r{row}", f"<b>{row}</b>") for row in range(3))  # HTML, and only once to be read
    text = table(["name", "value"], rows, total=total)
    assert text.count("<tr") == 4
    assert [text.index(f"<b>{row}</b>") for row in range(3)] == sorted(text.index(f"<b>{row}</b>") for row in range(3))
    assert text.count("class=total") == total
    assert ("<tr class=total><td class=left>r2" in text) == total
    assert text.count("class=left") == 4


def test_the_last_row_of_the_structures_is_the_mean():
    rows = structure_table(HOSTILE_INFO, summarise(RECORDS)).split("<tr")[2:]
    assert ["liver" in rows[0], "&lt;script" in rows[1], "mean over structures" in rows[2]] == [True] * 3
    assert ["class=total" in row for row in rows] == [False, False, True]
    assert "0.650" in rows[2]  # (0.85 + 0.45) / 2


def test_only_the_worst_pictures_are_embedded(tmp_path):
    pictures = []
    for index in range(30):
        path = tmp_path / f"{index}.png"
        path.write_bytes(b"picture %d" % index)
        pictures.append(Picture(f"case {index}", make_score(1, index / 30), path))
    text = report_page(HOSTILE_INFO, RECORDS, summarise(RECORDS), "", pictures)
    assert text.count("<img") == 24
    assert "case 23<" in text
    assert "case 24<" not in text
    assert "Worst cases" not in report_page(HOSTILE_INFO, RECORDS, summarise(RECORDS), "")


def test_a_run_without_any_score_has_a_page():
    assert "mean Dice over structures" not in report_page(HOSTILE_INFO, [], [], "nothing found")
