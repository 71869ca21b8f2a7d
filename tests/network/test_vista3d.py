"""Empty networks: same names and shapes, no memory, no heavy imports."""

import subprocess
import sys

import torch

from openvista.network import STARTER, VISTA3D, build, build_empty


def test_names_and_shapes_are_those_of_a_real_one() -> None:
    empty, real = build_empty(STARTER).state_dict(), build(STARTER).state_dict()
    assert {name: tensor.shape for name, tensor in empty.items()} == {
        name: tensor.shape for name, tensor in real.items()
    }


def test_nothing_is_allocated_and_the_next_network_is_initialised() -> None:
    assert all(tensor.is_meta for tensor in build_empty(VISTA3D).state_dict().values())
    weight = torch.nn.Linear(4, 4).weight
    assert not weight.is_meta
    assert weight.abs().max() > 0


def test_no_heavy_imports() -> None:
    code = "import sys; from openvista.network import *; build_empty(VISTA3D); sys.exit('sympy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
