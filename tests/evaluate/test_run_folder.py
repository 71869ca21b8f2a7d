"""A run on disk: stopped and taken up again, shared by processes, never mixed up with another."""

import json
from dataclasses import replace

import pytest

from openvista.datalist import read_datalist
from openvista.distributed import Ranks
from openvista.errors import InputError, OutputError
from openvista.evaluate.protocols import find_protocol
from openvista.evaluate.run import case_names, describe_run, plan_run, work_in_folder
from openvista.evaluate.run_folder import EvaluationFolder, read_info
from small_evaluation import CLASSES, make_record, make_score, tiny_model, write_cases


@pytest.fixture(scope="module")
def listed(tmp_path_factory):
    return read_datalist(write_cases(tmp_path_factory.mktemp("cases")))


@pytest.fixture(scope="module")
def model():
    return tiny_model()


RUN = replace(plan_run(find_protocol("auto"), CLASSES), names={1: "liver", 3: "spleen"})


@pytest.fixture
def info(listed, model):
    return describe_run(model.card, "cpu", listed, "testing", listed.testing, RUN, "openvista evaluate ...")


def numbers(folder):
    """What must not depend on how a run was divided; seconds and memory may."""
    return [(r.case, [replace(s, seconds=0) for s in r.scores]) for r in folder.records()]


def work(folder, model, listed):
    work_in_folder(folder, model, case_names(listed.testing), RUN)
    return folder


def test_every_case_is_answered_once_and_only_where_annotated(tmp_path, info, model, listed):
    folder = work(EvaluationFolder(tmp_path / "run", info, Ranks()), model, listed)
    assert [record.case for record in folder.records()] == ["ct0", "ct1", "ct2"]
    assert [len(record.scores) for record in folder.records()] == [2, 2, 1]
    assert read_info(folder.path) == info


def test_two_processes_give_what_one_gives(tmp_path, info, model, listed):
    alone = work(EvaluationFolder(tmp_path / "alone", info, Ranks()), model, listed)
    first = EvaluationFolder(tmp_path / "both", info, Ranks(0, 2))
    second = work(EvaluationFolder(tmp_path / "both", info, Ranks(1, 2)), model, listed)
    assert [record.case for record in second.records()] == ["ct1"]
    work(first, model, listed)
    first.wait_for_others()
    assert [(case, str(scores)) for case, scores in numbers(first)] == [
        (case, str(scores)) for case, scores in numbers(alone)
    ]


def test_a_stopped_run_goes_on_without_repeating_itself(tmp_path, info, model, listed, caplog):
    folder = work(EvaluationFolder(tmp_path / "run", info, Ranks()), model, listed)
    before = numbers(folder)
    lines = (folder.path / "cases-0.jsonl").read_text().splitlines()
    torn = lines[0] + "\n" + lines[1][:40]  # the process died while it wrote
    (folder.path / "cases-0.jsonl").write_text(torn)
    caplog.set_level("INFO", logger="openvista.evaluate.run")
    again = work(
        EvaluationFolder(tmp_path / "run", replace(info, command="other"), Ranks(), resume=True), model, listed
    )
    assert [record.message.split(":")[0] for record in caplog.records] == ["ct1", "ct2"]
    assert str(numbers(again)) == str(before)
    assert len((folder.path / "cases-0.jsonl").read_text().splitlines()) == 3


def test_a_folder_with_a_run_is_refused_unless_it_is_this_one(tmp_path, info):
    EvaluationFolder(tmp_path / "run", info, Ranks())
    with pytest.raises(OutputError, match="--resume"):
        EvaluationFolder(tmp_path / "run", info, Ranks())
    with pytest.raises(OutputError, match="seed"):
        EvaluationFolder(tmp_path / "run", replace(info, seed=7), Ranks(), resume=True)
    with pytest.raises(OutputError, match="seed"):
        EvaluationFolder(tmp_path / "run", replace(info, seed=7), Ranks(1, 2))
    EvaluationFolder(tmp_path / "run", replace(info, version="9"), Ranks(), resume=True)


def test_records_keep_what_cannot_be_said(tmp_path, info):
    nan = float("nan")
    folder = EvaluationFolder(tmp_path / "run", info, Ranks())
    folder.append(make_record("ct0", make_score(1, nan, hd95_mm=nan), make_score(3, 0.5, clicks=3)))
    text = (folder.path / "cases-0.jsonl").read_text()
    assert "NaN" not in text
    found = folder.records()[0]
    assert str(found.scores[0].dice) == str(found.scores[0].hd95_mm) == "nan"
    assert (found.scores[1], found.gpu_peak_mb) == (make_score(3, 0.5, clicks=3), None)


def test_damage_and_wrong_names_are_told(tmp_path, info):
    with pytest.raises(OutputError, match="folder"):
        EvaluationFolder(tmp_path / "scores.csv", info, Ranks())
    with pytest.raises(InputError, match="no results"):
        read_info(tmp_path)
    folder = EvaluationFolder(tmp_path / "run", info, Ranks())
    (folder.path / "cases-0.jsonl").write_text('{"case": 1}\n')
    with pytest.raises(InputError, match="damaged"):
        folder.finished()
    (folder.path / "run.json").write_text(json.dumps({"command": 1}))
    with pytest.raises(InputError, match="damaged"):
        read_info(folder.path)
