"""benchmarks/gpu_check.py on a CPU: the same code, small."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("monai")

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "gpu_check.py"


@pytest.mark.slow
def test_the_same_code_on_a_cpu(tmp_path):
    out = tmp_path / "check.json"
    command = [sys.executable, str(SCRIPT), "--device", "cpu", "--rounds", "1", "--parts", "window", "-o", str(out)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(out.read_text())
    assert found["against the CPU"]["labels"] >= 0.999
    assert found["against the CPU"]["click"] >= 0.999
    assert found["window"]["tflop_per_s"] > 0
    assert {"as planned, 1 at once", "as planned, 2 at once"} == set(found["batches"])
    assert found["several scans"]["ratio"] > 0
    assert found["training under torchrun"]["group"] > 0
    assert found["bench window"][0]["ratios"][0]["median"] > 0
