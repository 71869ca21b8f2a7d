"""The front door: its names are there, and opening it loads nothing heavy."""

import subprocess
import sys

import pytest

import openvista


@pytest.mark.parametrize("name", openvista.__all__)
def test_every_public_name_exists(name):
    assert getattr(openvista, name) is not None
    assert name in dir(openvista)


def test_other_names_do_not():
    with pytest.raises(AttributeError, match="no attribute 'segment_everything'"):
        _ = openvista.segment_everything


def test_importing_the_package_and_its_choices_needs_no_torch():
    script = (
        "import sys, openvista, openvista.inference.profiles, openvista.inference.progress;"
        "print(sorted({'torch', 'nibabel', 'matplotlib', 'scipy', 'ipyniivue'} & set(sys.modules)))"
    )
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True)
    assert answer.stdout.strip() == "[]"
