"""The three files of a run: complete, readable again, and the page needs nothing beside it."""

import base64
import csv
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from openvista.datalist import read_datalist
from openvista.distributed import Ranks
from openvista.errors import InputError
from openvista.evaluate.protocols import find_protocol
from openvista.evaluate.report.pictures import PER_STRUCTURE, find_pictures
from openvista.evaluate.report.results import Results, read_results, write_results
from openvista.evaluate.run import case_names, describe_run, plan_run, work_in_folder
from openvista.evaluate.run_folder import PICTURES, EvaluationFolder
from small_evaluation import CLASSES, make_record, make_score, tiny_model, write_cases


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run of the tiny model with all its files."""
    listed = read_datalist(write_cases(tmp_path_factory.mktemp("cases"), count=4))
    model, run = tiny_model(), plan_run(find_protocol("auto"), CLASSES, range_limited=[1])
    run = replace(run, names={1: "liver", 3: "spleen <left>"})
    info = describe_run(model.card, "cpu", listed, "testing", listed.testing, run, "openvista evaluate 'a b'")
    folder = EvaluationFolder(tmp_path_factory.mktemp("run") / "run", info, Ranks())
    work_in_folder(folder, model, case_names(listed.testing), run)
    results = Results(info, tuple(folder.records()))
    write_results(folder.path, results)
    return folder.path, results


class Tags(HTMLParser):
    """Collects what a page refers to, and checks that tags are closed."""

    VOID = ("meta", "img", "br", "line", "circle", "rect", "polyline", "polygon")

    def __init__(self):
        super().__init__()
        self.open, self.references, self.images = [], [], []

    def handle_starttag(self, tag, attrs):
        for key, value in attrs:
            if key in ("src", "href"):
                (self.images if value.startswith("data:") else self.references).append(value)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag


def test_the_table_has_a_row_per_score(finished):
    folder, results = finished
    rows = list(csv.DictReader((folder / "scores.csv").open()))
    assert len(rows) == sum(len(record.scores) for record in results.records) == 7
    assert float(rows[0]["dice"]) == pytest.approx(results.records[0].scores[0].dice, abs=1e-4)
    assert {row["name"] for row in rows} == {"liver", "spleen <left>"}


def test_json_comes_back_as_it_was(finished):
    folder, results = finished
    for path in (folder, folder / "scores.json"):
        back = read_results(path)
        assert back.info == results.info
        assert str(back.records) == str(results.records)
    assert json.loads((folder / "scores.json").read_text())["summary"][-1]["name"] == "mean over structures"


def test_the_page_stands_alone_and_says_how_it_was_made(finished):
    folder, results = finished
    text = (folder / "report.html").read_text()
    page = Tags()
    page.feed(text)
    assert page.open == []
    assert page.references == []
    assert "<script" not in text
    assert "url(" not in text
    info = results.info
    for said in ("openvista evaluate &#x27;a b&#x27;", info.weights_sha256, info.datalist_sha256, "testing", "auto"):
        assert said in text
    assert "spleen &lt;left&gt;" in text
    assert "spleen <left>" not in text


def test_the_worst_cases_are_in_the_page_as_pictures(finished):
    folder, results = finished
    pictures = find_pictures(folder / PICTURES, results.records, None)
    for class_id in (1, 3):
        all_dice = sorted(s.dice for r in results.records for s in r.scores if s.class_id == class_id)
        kept = [picture.score.dice for picture in pictures if picture.score.class_id == class_id]
        assert kept == all_dice[:PER_STRUCTURE]
    assert len(list((folder / PICTURES).iterdir())) == len(pictures)
    page = Tags()
    page.feed((folder / "report.html").read_text())
    embedded = [base64.b64decode(image.split(",")[1]) for image in page.images]
    assert sorted(embedded) == sorted(picture.path.read_bytes() for picture in pictures)


def test_click_runs_have_curves_and_oracles_are_called_so(finished, tmp_path):
    _, results = finished
    info = replace(results.info, clicks=(1, 3, 10), oracle=True, habits=("best-so-far",))
    records = [
        make_record(
            f"ct{n}", *(make_score(i, min(0.3 + 0.05 * c + 0.1 * n, 1.0), c) for i in (1, 3) for c in (1, 3, 10))
        )
        for n in range(3)
    ]
    write_results(tmp_path, Results(info, tuple(records)))
    text = (tmp_path / "report.html").read_text()
    page = Tags()
    page.feed(text)
    assert page.open == []
    assert text.count('class="curves"') == 2
    assert "after 10 clicks" in text
    assert "Oracle" in text
    assert "best-so-far" in text
    heights = [float(point.split(",")[1]) for point in re.search(r'mean-line" points="([^"]+)"', text)[1].split()]
    assert len(heights) == 3
    assert heights == sorted(heights, reverse=True)  # more clicks, more Dice: further up


def test_a_run_without_scores_still_makes_a_page(finished, tmp_path):
    _, results = finished
    write_results(tmp_path, Results(results.info, (make_record("ct0"),)))
    assert "report" not in (tmp_path / "scores.csv").read_text()
    page = Tags()
    page.feed((tmp_path / "report.html").read_text())
    assert page.open == []


def test_what_is_no_run_is_told(tmp_path):
    with pytest.raises(InputError, match="no finished run"):
        read_results(tmp_path)
    (tmp_path / "scores.json").write_text("[]")
    with pytest.raises(InputError, match="not what"):
        read_results(tmp_path)
