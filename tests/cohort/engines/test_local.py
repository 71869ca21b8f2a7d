"""Workers that cannot begin, and workers whose driver is gone."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from openvista.cohort.engines.local import LocalEngine
from openvista.errors import OpenVistaError
from small_cohort import notes_of

TESTS = Path(__file__).parents[2]


def test_a_plan_that_cannot_begin_ends_the_run(copying):
    Path(copying.notes, "refuse").touch()
    engine = LocalEngine([copying])
    try:
        with pytest.raises(OpenVistaError, match="no such model"):
            engine.ended(60)
    finally:
        engine.close()


def test_workers_end_with_their_driver(copying):
    code = (
        "import time\nfrom openvista.cohort.engines.local import LocalEngine\nfrom small_cohort import Copying\n"
        "from openvista.cohort.case import Attempt, CohortCase\n"
        f"if __name__ == '__main__':\n    engine = LocalEngine([Copying({copying.output!r}, {copying.notes!r})])\n"
        "    while not engine.free():\n        engine.ended(1)\n"
        "    engine.submit(Attempt(CohortCase('slow', 'x')))\n    time.sleep(60)\n"
    )
    script = Path(copying.notes, "driver.py")
    script.write_text(code)
    path = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])
    driver = subprocess.Popen([sys.executable, str(script)], env={**os.environ, "PYTHONPATH": path})
    notes = Path(copying.notes, "notes")
    while not notes.exists() or "copy" not in notes.read_text():
        time.sleep(0.05)
        assert driver.poll() is None
    worker = psutil.Process(int(notes_of(copying)[0][0]))
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    worker.wait(5)  # it is at a scan for a minute


def test_workers_that_die_before_they_are_ready(copying):
    """Once is an accident; again and again is a machine that is too small, and not the fault of a scan."""
    Path(copying.notes, "die").touch()
    engine = LocalEngine([copying])
    try:
        with pytest.raises(OpenVistaError, match=r"SIGKILL.*enough memory"):
            engine.ended(60)
    finally:
        engine.close()
