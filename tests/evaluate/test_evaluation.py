"""What a user asks for, from Python: the checks are those of the command, which tests/cli goes through one by one."""

from dataclasses import replace

import numpy as np
import pytest

from openvista.errors import AnatomyError
from openvista.evaluate.evaluation import Evaluation, prepare_evaluation
from openvista.io import read_labels, read_scan
from openvista.model import load_model
from openvista.weights.store import save_model
from small_evaluation import CARD, save_tiny, tiny_network, write_cases


def test_everything_is_known_before_work_begins(tmp_path):
    datalist, model = write_cases(tmp_path), save_tiny(tmp_path / "model")
    asked = Evaluation(
        datalist=datalist, model=str(model), device="cpu", only_in_slices="liver", tolerances=["spleen=1"]
    )
    prepared = prepare_evaluation(asked, "a command")
    assert list(prepared.cases) == ["ct0", "ct1", "ct2"]
    assert prepared.share == 3
    assert (prepared.info.command, prepared.info.only_in_slices, prepared.info.tolerances) == (
        "a command",
        (1,),
        {3: 1},
    )
    done = []
    results = prepared.work(done.append)
    assert done == [record.case for record in results.records] == ["ct0", "ct1", "ct2"]


def test_a_label_that_is_a_group_is_scored_against_its_parts(tmp_path):
    datalist = write_cases(tmp_path, 2)
    folder = save_model(tiny_network(), replace(CARD, classes=(3, 5, 14)), tmp_path / "model").path
    asked = Evaluation(
        datalist=datalist, model=str(folder), device="cpu", precision="float32", mapping=["1=kidney", "2=spleen"]
    )
    record = prepare_evaluation(asked, "a command").work(print).records[0]
    scores = {score.class_id: score.dice for score in record.scores}
    assert scores.keys() == {2, 3}
    found = (
        load_model(folder, "cpu", "float32").segment(read_scan(tmp_path / "ct0.nii.gz"), ["kidney", "spleen"]).labels
    )
    kidneys, truth = np.isin(found, (5, 14)), read_labels(tmp_path / "labels0.nii.gz")[0] == 1
    assert (kidneys & truth).any()
    assert scores[2] == pytest.approx(2 * (kidneys & truth).sum() / (kidneys.sum() + truth.sum()))
    with pytest.raises(AnatomyError, match="'kidney' is a group of"):
        prepare_evaluation(replace(asked, protocol="clicks"), "a command")
