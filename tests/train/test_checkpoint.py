"""Checkpoints are whole or not there: a full disk leaves the old one, a damaged one is said."""

import subprocess
import sys

import pytest
import torch

from openvista.errors import RecipeError
from openvista.train.checkpoint import load_checkpoint, save_checkpoint

FULL_DISK = """
import resource, sys
from pathlib import Path
import torch
from openvista.errors import OutputError
from openvista.train.checkpoint import save_checkpoint
path = Path(sys.argv[1])
save_checkpoint({"step": 1, "weights": torch.ones(1000)}, path)
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))  # the system refuses to write more, as a full disk does
try:
    save_checkpoint({"step": 2, "weights": torch.ones(1_000_000)}, path)
except OutputError as error:
    print(error)
"""


def test_a_full_disk_leaves_the_old_checkpoint(tmp_path):
    path = tmp_path / "last.pt"
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(path)], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "last.pt: cannot be written" in done.stdout
    assert "Traceback" not in done.stderr
    assert load_checkpoint(path, torch.device("cpu"))["step"] == 1
    assert [file.name for file in tmp_path.iterdir()] == ["last.pt"]


def test_a_checkpoint_comes_back(tmp_path):
    save_checkpoint({"step": 3, "best": 0.5, "average": None, "recipe": "{}"}, tmp_path / "last.pt")
    assert load_checkpoint(tmp_path / "last.pt", torch.device("cpu"))["best"] == 0.5


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"PK\x03\x04 cut off"])
def test_a_damaged_checkpoint_is_said(tmp_path, content):
    (tmp_path / "last.pt").write_bytes(content)
    with pytest.raises(RecipeError, match=r"last\.pt is damaged"):
        load_checkpoint(tmp_path / "last.pt", torch.device("cpu"))
