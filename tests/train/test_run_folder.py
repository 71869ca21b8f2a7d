"""The run folder holds what is needed to understand the run and to make it again; a full disk ends it with one line."""

import csv
import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_training import tiny_recipe

from openvista.distributed import Ranks
from openvista.errors import DataListError, OutputError
from openvista.train.loop import Trainer
from openvista.train.run_folder import Events, RunFolder, drop_rows_after, git_revision

STEP = {"seconds": 1.5, "loss": 0.5, "learning_rate": 1e-3, "gradient": 2.0, "waited": 0.1}
SCORES = {"validation_dice": {133: 0.5, 134: 0.25}}
FULL = Path("/dev/full")
NO_SPACE = "No space left on device; free some space"
needs_full = pytest.mark.skipif(not FULL.exists(), reason="no /dev/full")


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def filled(tmp_path, tiny_list):
    with RunFolder(tmp_path / "run", tiny_recipe(tiny_list), Ranks(), None) as folder:
        for step in range(1, 5):
            folder.add_step(step=step, **STEP)
        folder.add_validation(4, 6.0, 0.375, SCORES)
        folder.write_best(4, SCORES)
        logging.getLogger("openvista.train").warning("a word to remember")
    return tmp_path / "run"


def test_everything_is_there(filled):
    assert json.loads((filled / "recipe.json").read_text())["classes"] == {"1": 133, "2": 134}
    environment = json.loads((filled / "environment.json").read_text())
    assert {"python", "torch", "numpy", "device", "git_revision", "processes"} <= set(environment)
    assert [row["step"] for row in rows(filled / "train.csv")] == ["1", "2", "3", "4"]
    assert rows(filled / "validation.csv")[0]["validation_dice 134"] == "0.25"
    assert json.loads((filled / "best.json").read_text())["step"] == 4
    assert "a word to remember" in (filled / "log.txt").read_text()
    assert (filled / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_the_log_ends_with_the_run(filled):
    logging.getLogger("openvista.train").warning("said later")
    assert "said later" not in (filled / "log.txt").read_text()


def test_events_for_tensorboard(filled):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = accumulator.EventAccumulator(str(filled / "tensorboard"))
    events.Reload()
    assert [event.step for event in events.Scalars("train/loss")] == [1, 2, 3, 4]
    assert events.Scalars("validation/validation_dice 133")[0].value == 0.5


def test_a_resumed_run_drops_what_comes_again(filled, tiny_list):
    with RunFolder(filled, tiny_recipe(tiny_list), Ranks(), 2) as folder:
        folder.add_step(step=3, **STEP)
    assert [row["step"] for row in rows(filled / "train.csv")] == ["1", "2", "3"]
    assert rows(filled / "validation.csv") == []
    assert (filled / "environment-2.json").exists()


def test_half_a_row_is_dropped(tmp_path):
    table = tmp_path / "train.csv"
    table.write_text("step,loss\n1,0.5\n2,0.4\n3,0.")  # the process died while it wrote
    drop_rows_after(table, 2)
    assert table.read_text().split() == ["step,loss", "1,0.5", "2,0.4"]
    table.write_text("step,seconds,loss\n1,2,0.5\n2")
    drop_rows_after(table, 9)
    assert table.read_text().split() == ["step,seconds,loss", "1,2,0.5"]


def test_outside_of_git_there_is_no_revision(tmp_path):
    assert git_revision(tmp_path) is None


WITHOUT = """
import sys
for name in ("matplotlib", "tensorboard", "torch.utils.tensorboard"):
    sys.modules[name] = None
import logging
logging.basicConfig(level="INFO", format="%(message)s")
from pathlib import Path
from openvista.train.curves import draw_curves
from openvista.train.run_folder import Events
events = Events(Path(sys.argv[1]) / "tensorboard", None)
events.add(1, {"loss": 1.0})
events.close()
draw_curves(Path(sys.argv[1]))
"""


def test_without_the_extras_nothing_is_drawn_but_said(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, str(tmp_path)], capture_output=True, text=True, check=True, timeout=120
    )
    assert "no events for TensorBoard" in done.stderr
    assert "no curves.png: matplotlib is needed" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_list_leaves_no_folder(tmp_path, tiny_list):
    trainer = Trainer(tiny_recipe(tmp_path / "none.json"), tmp_path / "run")
    with pytest.raises(DataListError, match=r"none\.json"):
        trainer.run()
    assert not (tmp_path / "run").exists()


class FullWriter:
    """TensorBoard's writer, as it is on a full disk."""

    def __init__(self, *_, **__):
        self.add_scalar("loss", 0, 0)

    def add_scalar(self, *_):
        with FULL.open("wb") as file:
            file.write(b"1")

    def close(self):
        self.add_scalar("loss", 0, 0)


@needs_full
def test_the_error_of_the_run_is_the_one_that_is_seen(tmp_path, tiny_list, monkeypatch, capfd, caplog):
    (tmp_path / "log.txt").symlink_to(FULL)
    folder = RunFolder(tmp_path, tiny_recipe(tiny_list), Ranks(), None)
    monkeypatch.setattr(folder._events, "_writer", object.__new__(FullWriter))
    (tmp_path / "train.csv").symlink_to(FULL)
    logging.getLogger("openvista.train").warning("said into a file that takes nothing")
    with pytest.raises(OutputError, match=rf"train\.csv: cannot be written: {NO_SPACE}"), folder:
        folder.add_step(step=1, **STEP)
    assert f"{tmp_path / 'log.txt'}: cannot be written: {NO_SPACE}" in caplog.text
    assert f"{tmp_path / 'tensorboard'}: cannot be written: {NO_SPACE}" in caplog.text
    assert "Traceback" not in capfd.readouterr().err


@needs_full
def test_events_that_cannot_be_written(tmp_path, monkeypatch):
    tensorboard = pytest.importorskip("torch.utils.tensorboard")
    events = Events(tmp_path, None)
    monkeypatch.setattr(events, "_writer", object.__new__(FullWriter))
    with pytest.raises(OutputError, match=NO_SPACE):
        events.add(1, {"loss": 0.5})
    monkeypatch.setattr(tensorboard, "SummaryWriter", FullWriter)
    with pytest.raises(OutputError, match=f"{os.fspath(tmp_path)}: .*{NO_SPACE}"):
        Events(tmp_path, None)
