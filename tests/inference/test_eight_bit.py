"""The 8-bit network, made once by the command as users make it; OpenVINO and NNCF are real."""

import os
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

from openvista.errors import DeviceError, ModelError, WeightsError
from openvista.inference.device import plan_compute
from openvista.inference.eight_bit import (
    EightBitWindows,
    automatic_graph,
    eight_bit_file,
    openvino_without_telemetry,
)
from openvista.inference.window_network import WindowNetwork
from openvista.io.write import write_scan
from openvista.model import load_model
from openvista.network import build
from openvista.weights.registry import open_folder
from openvista.weights.store import load_network, save_model
from small_inference import FLOAT32, make_scan
from small_sessions import AFFINE, CARD, TWO_BRANCHES

if find_spec("openvino") is None or find_spec("nncf") is None:
    pytest.skip("needs the extra 'openvino'", allow_module_level=True)

openvino = openvino_without_telemetry()


@dataclass(frozen=True)
class Made:
    """The folders that a command worked in, and what it said."""

    home: Path
    model: Path
    said: str


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Made:
    folder = tmp_path_factory.mktemp("calibrated")
    network = build(TWO_BRANCHES, seed=3)
    with torch.no_grad():
        network.class_head.linear2.weight *= 5  # so that all classes occur
    save_model(network, CARD, folder / "tiny", dtype=torch.float32)
    scan = make_scan((24, 20, 18), AFFINE)
    write_scan(scan, folder / "scan.nii.gz")
    command = [sys.executable, "-m", "openvista", "models", "calibrate", "scan.nii.gz", "--model", "./tiny"]
    homes = {"OPENVISTA_HOME": str(folder / "home"), "HOME": str(folder / "user")}
    (folder / "user").mkdir()
    run = subprocess.run(command, cwd=folder, env=os.environ | homes, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return Made(folder / "home", folder / "tiny", run.stdout)


@pytest.fixture
def window() -> torch.Tensor:
    return torch.rand((16, 16, 16), generator=torch.Generator().manual_seed(5))


def eight_bit(made: Made) -> EightBitWindows:
    model = open_folder(made.model)
    return EightBitWindows(load_network(model), plan_compute("cpu", "int8"), eight_bit_file(model.card, made.home))


def test_the_graph_computes_what_the_network_does(window):
    network = build(TWO_BRANCHES, seed=3).eval()
    with torch.no_grad():
        expected = network.automatic_features(window[None, None])[0].permute(1, 2, 3, 0)
    graph = openvino.Core().compile_model(automatic_graph(network), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    found = torch.from_numpy(graph(window[None, None].numpy())[0])
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_calibrating_says_what_changes_and_tells_nobody(made):
    assert "made from 4 windows" in made.said
    assert "gets another label than in float32" in made.said
    assert list(made.home.glob("int8/*-16x16x16.xml"))
    assert list((made.home.parent / "user").iterdir()) == []  # where the makers' telemetry keeps its id


def test_convolutions_run_in_8_bits_but_those_that_read_a_sum(made):
    graph = openvino.Core().read_model(eight_bit_file(open_folder(made.model).card, made.home))
    eight, other = [], []
    for operation in graph.get_ops():
        if operation.get_type_name().startswith("Convolution"):
            rounded = operation.input_value(0).get_node().get_type_name() == "FakeQuantize"
            (eight if rounded else other).append(operation.get_friendly_name())
    assert {name.split(".")[-1] for name in other} == {"stem", "downsample", "upsample"}
    assert "encoder.levels.0.blocks.0.conv1" in eight
    norms = [operation for operation in graph.get_ops() if operation.get_type_name() == "MVN"]
    assert norms
    assert not [norm for norm in norms if norm.input_value(0).get_node().get_type_name() == "FakeQuantize"]


def test_features_come_close_and_windows_of_another_size_are_left_to_torch(made, window):
    exact, fast = WindowNetwork(load_network(open_folder(made.model)), FLOAT32), eight_bit(made)
    reference, features = exact.features(window), fast.features(window)
    assert features.shape == reference.shape
    error = (features - reference).norm() / reference.norm()
    assert 1e-3 < error < 0.15  # rounded, but to the same
    assert fast.features(torch.cat((window, window))).shape == (32, 16, 16, TWO_BRANCHES.filters)


def test_a_model_segments_in_8_bits(made, monkeypatch):
    monkeypatch.setenv("OPENVISTA_HOME", str(made.home))
    scan = make_scan((24, 20, 18), AFFINE, seed=1)
    exact = load_model(made.model, "cpu", "float32").segment(scan)
    fast = load_model(made.model, "cpu", "int8").segment(scan)
    assert "int8" in fast.provenance["precision"]
    assert np.mean(fast.labels == exact.labels) > 0.8  # random weights: labels are a matter of rounding everywhere


def test_without_calibration_or_with_a_damaged_file_the_error_says_what_to_do(made, monkeypatch, tmp_path):
    monkeypatch.setenv("OPENVISTA_HOME", str(tmp_path))
    with pytest.raises(ModelError, match="openvista models calibrate") as caught:
        load_model(made.model, "cpu", "int8")
    assert "\n" not in str(caught.value)
    file = eight_bit_file(open_folder(made.model).card)
    file.parent.mkdir()
    file.write_text("<net")
    with pytest.raises(WeightsError, match="make it again") as caught:
        load_model(made.model, "cpu", "int8")
    assert "\n" not in str(caught.value)


def test_other_devices_do_not_know_8_bits(monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    with pytest.raises(DeviceError, match="int8 is not supported on mps; use --device cpu"):
        plan_compute("mps", "int8")
