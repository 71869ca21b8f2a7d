"""Two hundred damaged files in every run of the tests; ``make fuzz`` reads two thousand, and other ones with a seed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_damaged_files_are_read_rightly_or_refused_in_one_line() -> None:
    path = os.pathsep.join([str(HERE.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, str(HERE / "run.py"), "--cases", "200", "--seed", "2"]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": path}, check=False)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    right, refused = map(int, done.stdout.splitlines()[-2].split()[1:3])
    assert right > 20, "the damage leaves something to be read"
    assert refused > 60, "and does damage"
