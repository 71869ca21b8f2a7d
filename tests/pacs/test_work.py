"""The work on a queue, in one process: a small model, and a destination that is a node of ours."""

import logging
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.uid import SegmentationStorage
from serving import make_model

from openvista.errors import AnatomyError, ModelError
from openvista.pacs.node import Node, NodeSettings
from openvista.pacs.queue import SeriesQueue, SeriesState
from openvista.pacs.rules import Destination, Rule, Rules, SeriesFacts
from openvista.pacs.work import Worker, WorkSettings
from small_dicom import IDENTIFIERS
from small_series import ct_series

FACTS = SeriesFacts(modality="CT", description="made up")


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> str:
    return str(make_model(tmp_path_factory.mktemp("models"), "both", ("automatic",)))


@pytest.fixture
def queue(tmp_path) -> SeriesQueue:
    folder = tmp_path / "queue"
    folder.mkdir()
    return SeriesQueue(folder, 1 << 30, 0.0)


@pytest.fixture
def archive(tmp_path) -> Iterator[tuple[Destination, SeriesQueue]]:
    """A node that takes results, and what it has got."""
    folder = tmp_path / "archive"
    folder.mkdir()
    got = SeriesQueue(folder, 1 << 30, 0.0)
    node = Node(NodeSettings("ARCHIVE", port=0, titles=("OPENVISTA",)), got)
    yield Destination(title="ARCHIVE", host="127.0.0.1", port=node.start()), got
    node.stop()


def rules_for(destination: Destination, model: str, **choices: object) -> Rules:
    rule = Rule(name="all", model=model, classes=("liver",), send_to=("archive",), **choices)
    return Rules(destinations={"archive": destination}, rules=(rule,))


def fill(queue: SeriesQueue, folder: Path, shape: tuple[int, int, int] = (16, 15, 9), name: str = "series") -> None:
    hu_XYZ = np.random.default_rng(4).integers(-900, 900, shape)
    for one in ct_series(hu_XYZ, name):
        path = folder / "image.dcm"
        one.save_as(path, enforce_file_format=True)
        queue.add(str(one.SeriesInstanceUID), str(one.SOPInstanceUID), FACTS, path.read_bytes())


def work_until(worker: Worker, true: Callable[[], object]) -> None:
    thread = threading.Thread(target=worker.run)
    thread.start()
    end = time.monotonic() + 60
    try:
        while not true() and time.monotonic() < end:
            time.sleep(0.05)
    finally:
        worker.stop()
        thread.join(60)
    assert true()


def test_results_arrive_and_are_the_same_each_time(queue, archive, model, tmp_path, caplog):
    destination, got = archive
    fill(queue, tmp_path)
    with caplog.at_level(logging.INFO):
        work_until(Worker(queue, rules_for(destination, model), WorkSettings()), lambda: queue.count(SeriesState.DONE))
    (seg,) = [dcmread(path) for path in (tmp_path / "archive").glob("*/instances/*.dcm")]
    assert seg.SOPClassUID == SegmentationStorage
    assert seg.PatientID == IDENTIFIERS["PatientID"], "an archive files it under the patient"
    assert not any(value in caplog.text for value in IDENTIFIERS.values())
    shutil.rmtree(tmp_path / "queue")
    (tmp_path / "queue").mkdir()
    again = SeriesQueue(tmp_path / "queue", 1 << 30, 0.0)
    fill(again, tmp_path)
    work_until(Worker(again, rules_for(destination, model), WorkSettings()), lambda: again.count(SeriesState.DONE))
    assert len(list((tmp_path / "archive").glob("*/instances/*.dcm"))) == 1, "the same object, not another one"
    assert len(got) == 1


def test_a_destination_that_is_away_is_asked_again(queue, model, tmp_path, caplog):
    fill(queue, tmp_path)
    nowhere = Destination(title="ARCHIVE", host="127.0.0.1", port=9)
    settings = WorkSettings(retry_seconds=0.1)
    work_until(Worker(queue, rules_for(nowhere, model), settings), lambda: caplog.text.count("cannot be reached") > 1)
    assert queue.count(SeriesState.SENDING) == 1


def test_what_no_rule_fits_is_left_alone(queue, archive, model, tmp_path):
    fill(queue, tmp_path)
    rules = rules_for(archive[0], model, when={"modality": "MR"})
    work_until(Worker(queue, rules, WorkSettings()), lambda: queue.count(SeriesState.IGNORED))
    assert len(archive[1]) == 0


def test_what_is_no_ct_is_given_up_and_the_log_does_not_quote_it(queue, archive, model, tmp_path, caplog):
    queue.add("1.2.3", "1.2.3.4", FACTS, b"\0" * 128 + b"DICM" + b"Name^Made^Up")
    work_until(Worker(queue, rules_for(archive[0], model), WorkSettings()), lambda: queue.count(SeriesState.FAILED))
    assert "cannot be read as a CT" in caplog.text
    assert "Name^" not in caplog.text


def test_what_ends_the_process_every_time_is_given_up(queue, archive, model, tmp_path):
    fill(queue, tmp_path)
    series = queue.next()
    for _ in range(3):
        queue.begin(series, "all")  # and then somebody's decoder broke
    work_until(Worker(queue, rules_for(archive[0], model), WorkSettings()), lambda: queue.count(SeriesState.FAILED))
    assert "ended whenever" in series.entry.problem


def test_mistakes_in_rules_are_found_before_anything_comes(queue, archive, model):
    rules = Rules(
        destinations={"archive": archive[0]},
        rules=(Rule(name="a", model=model, classes=("lever",), send_to="archive"),),
    )
    with pytest.raises(AnatomyError, match="liver"):
        Worker(queue, rules, WorkSettings()).check_rules()
    with pytest.raises(ModelError):
        Worker(queue, rules_for(archive[0], "no-such-model"), WorkSettings()).check_rules()
