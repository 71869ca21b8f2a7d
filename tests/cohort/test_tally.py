"""Numbers that people and programs watch a run by."""

import json
import time

import pytest
from prometheus_client.parser import text_string_to_metric_families

from openvista.cohort.tally import Tally, write_progress, write_prometheus


@pytest.fixture
def tally() -> Tally:
    made = Tally(10, kept=2, left_aside=1, running=1)
    for _ in range(2):
        time.sleep(0.01)
        made.case_done()
    made.case_failed("memory")
    return made


def test_every_case_is_counted_once(tally):
    assert (tally.finished, tally.failures, tally.waiting) == (6, 2, 3)
    assert tally.finished + tally.waiting + tally.running == tally.total


def test_the_rate_tells_the_time_left(tally):
    assert Tally(3).seconds_left is None
    assert 0 < tally.per_hour <= 3 * 3600 / 0.02
    assert tally.seconds_left == pytest.approx(4 * 3600 / tally.per_hour, rel=0.2)


def test_files_say_the_same(tally, tmp_path):
    write_progress(tally, tmp_path / "progress.json")
    content = json.loads((tmp_path / "progress.json").read_text())
    assert (content["total"], content["done"], content["failed"]) == (10, 2, {"memory": 1})
    write_prometheus(tally, tmp_path / "batch.prom")
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families((tmp_path / "batch.prom").read_text())
        for sample in family.samples
    }
    assert samples["openvista_batch_cases", "done"] == 2
    assert samples["openvista_batch_cases", "waiting"] == 3
    assert samples["openvista_batch_failed", "memory"] == 1
