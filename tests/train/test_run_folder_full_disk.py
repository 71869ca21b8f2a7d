"""A disk that is full ends a run with one line, whatever else fails on the way out."""

import logging
import os
from pathlib import Path

import pytest
from tiny_training import tiny_recipe

from openvista.distributed import Ranks
from openvista.errors import OutputError
from openvista.train.run_folder import Events, RunFolder

FULL = Path("/dev/full")
STEP = {"step": 1, "seconds": 1.5, "loss": 0.5, "learning_rate": 1e-3, "gradient": 2.0, "waited": 0.1}
NO_SPACE = "No space left on device; free some space"

pytestmark = pytest.mark.skipif(not FULL.exists(), reason="no /dev/full")


class FullWriter:
    """TensorBoard's writer, as it is on a full disk."""

    def __init__(self, *_, **__):
        self.add_scalar("loss", 0, 0)

    def add_scalar(self, *_):
        with FULL.open("wb") as file:
            file.write(b"1")

    def close(self):
        self.add_scalar("loss", 0, 0)


def test_the_error_of_the_run_is_the_one_that_is_seen(tmp_path, tiny_list, monkeypatch, capfd, caplog):
    (tmp_path / "log.txt").symlink_to(FULL)
    folder = RunFolder(tmp_path, tiny_recipe(tiny_list), Ranks(), None)
    monkeypatch.setattr(folder._events, "_writer", object.__new__(FullWriter))
    (tmp_path / "train.csv").symlink_to(FULL)
    logging.getLogger("openvista.train").warning("said into a file that takes nothing")
    with pytest.raises(OutputError, match=rf"train\.csv: cannot be written: {NO_SPACE}"), folder:
        folder.add_step(**STEP)
    assert f"{tmp_path / 'log.txt'}: cannot be written: {NO_SPACE}" in caplog.text
    assert f"{tmp_path / 'tensorboard'}: cannot be written: {NO_SPACE}" in caplog.text
    assert "Traceback" not in capfd.readouterr().err


def test_events_that_cannot_be_written(tmp_path, monkeypatch):
    tensorboard = pytest.importorskip("torch.utils.tensorboard")
    events = Events(tmp_path, None)
    monkeypatch.setattr(events, "_writer", object.__new__(FullWriter))
    with pytest.raises(OutputError, match=NO_SPACE):
        events.add(1, {"loss": 0.5})
    monkeypatch.setattr(tensorboard, "SummaryWriter", FullWriter)
    with pytest.raises(OutputError, match=f"{os.fspath(tmp_path)}: .*{NO_SPACE}"):
        Events(tmp_path, None)
