"""What commands prepare in their process."""

import gzip
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest


def said_by(code: str, *arguments: object) -> str:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_nibabel_is_loaded_without_pydicom_and_reads_and_writes_the_same(tmp_path: Path):
    made = nib.Nifti1Image(np.arange(24, dtype=np.int16).reshape(2, 3, 4), np.diag([1.0, 2.0, 3.0, 1.0]))
    made.header.extensions.append(nib.nifti1.Nifti1Extension(6, b"a comment"))
    nib.save(made, tmp_path / "ct.nii.gz")
    code = (
        "import sys\nfrom pathlib import Path\nfrom openvista.cli.console import load_nibabel\nload_nibabel{call}\n"
        "from openvista.io import read_scan, write_scan\nwrite_scan(read_scan(sys.argv[1]), Path(sys.argv[2]))\n"
        "print('pydicom' in sys.modules)\nimport pydicom"
    )
    alone, whole = tmp_path / "alone.nii.gz", tmp_path / "whole.nii.gz"
    assert said_by(code.format(call="()"), tmp_path / "ct.nii.gz", alone) == "False"
    assert said_by(code.format(call=""), tmp_path / "ct.nii.gz", whole) == "True"
    assert gzip.decompress(alone.read_bytes()) == gzip.decompress(whole.read_bytes())


@pytest.mark.parametrize("command", ["segment {}", "click {} --at 1,1,1"])
def test_commands_that_read_one_scan_do_so(command: str, tmp_path: Path):
    code = (
        "import sys\nfrom typer.testing import CliRunner\nfrom openvista.cli.main import app\n"
        "CliRunner().invoke(app, sys.argv[1:])\nprint([name in sys.modules for name in ('nibabel', 'pydicom')])"
    )
    words = command.format(tmp_path / "missing.json").split()
    assert said_by(code, *words, "-o", tmp_path) == "[True, False]"
