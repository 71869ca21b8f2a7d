"""Saving and loading model folders."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from openvista.errors import OutputError, WeightsError
from openvista.network import STARTER, Vista3D, build
from openvista.weights import ModelCard, ModelFolder, find_model
from openvista.weights.card import sha256_of
from openvista.weights.store import load_network, save_model


def test_float32_is_bit_exact(network: Vista3D, card: ModelCard, tmp_path: Path) -> None:
    loaded = load_network(save_model(network, card, tmp_path / "m", dtype=torch.float32))
    assert loaded.preset == card.preset()
    assert not loaded.training
    expected = network.state_dict()
    assert loaded.state_dict().keys() == expected.keys()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in loaded.state_dict().items())


def test_half_precision_files_load_as_float32(network: Vista3D, model: ModelFolder) -> None:
    stored = load_file(model.weights)
    assert stored["encoder.stem.weight"].dtype == torch.float16
    assert stored["point_head.position.waves"].dtype == torch.float32, "a blurred buffer shifts every click"
    for name, tensor in load_network(model).state_dict().items():
        assert tensor.dtype == torch.float32
        assert torch.equal(tensor, stored[name].float())


def test_loaded_networks_compute_and_train(model: ModelFolder) -> None:
    network = load_network(model)
    logits = network.class_logits(torch.rand(1, 1, 8, 8, 8), torch.tensor([11, 133]))
    logits.mean().backward()
    assert network.encoder.stem.weight.grad is not None


def test_saving_again_keeps_other_files(network: Vista3D, card: ModelCard, model: ModelFolder) -> None:
    (model.path / "recipe.yaml").write_text("kept")
    again = save_model(network, replace(card, metrics={"dice": 0.6}), model.path)
    assert find_model(model.path) == again
    assert sorted(path.name for path in model.path.iterdir()) == ["card.json", "model.safetensors", "recipe.yaml"]


def test_files_are_as_readable_as_any_other(model: ModelFolder, tmp_path: Path) -> None:
    (tmp_path / "any").touch()
    assert model.weights.stat().st_mode == (tmp_path / "any").stat().st_mode


def test_a_changed_byte_is_noticed(model: ModelFolder) -> None:
    content = bytearray(model.weights.read_bytes())
    content[-1] ^= 1
    model.weights.write_bytes(content)
    with pytest.raises(WeightsError, match="damaged or was replaced"):
        load_network(model)


def test_a_card_without_checksum_is_not_trusted(model: ModelFolder) -> None:
    with pytest.raises(WeightsError, match="the card says none"):
        load_network(replace(model, card=replace(model.card, weights_sha256="")))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ("drop", "lacks 1 tensors its card describes, first encoder.stem.weight"),
        ("add", "1 tensors its card does not describe, first stranger"),
        ("shape", r"encoder.stem.weight has shape \(8, 1, 1, 1, 1\)"),
        ("text", "cannot read"),
    ],
)
def test_weights_that_are_not_the_cards(model: ModelFolder, change: str, complaint: str) -> None:
    tensors = load_file(model.weights)
    if change == "drop":
        del tensors["encoder.stem.weight"]
    elif change == "add":
        tensors["stranger"] = torch.zeros(1)
    elif change == "shape":
        tensors["encoder.stem.weight"] = torch.zeros(8, 1, 1, 1, 1)
    save_file(tensors, model.weights)
    if change == "text":
        model.weights.write_text("no tensors here")
    trusting = replace(model, card=model.card.with_weights(sha256_of(model.weights)))
    with pytest.raises(WeightsError, match=complaint) as caught:
        load_network(trusting)
    assert "\n" not in str(caught.value)


def test_card_and_network_must_agree(network: Vista3D, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="describes another network"):
        save_model(network, ModelCard.from_preset(STARTER), tmp_path / "m")
    assert not (tmp_path / "m").exists()


def test_one_branch_only(tmp_path: Path) -> None:
    preset = replace(STARTER, filters=8, class_rows=140, branches=("automatic",))
    network = build(preset, seed=3)
    model = save_model(network, ModelCard.from_preset(preset), tmp_path / "m")
    assert json.loads((model.path / "card.json").read_text())["branches"] == ["automatic"]
    loaded = load_network(model)
    assert not hasattr(loaded, "point_head")


def test_unwritable_place(network: Vista3D, card: ModelCard, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot make the model folder"):
        save_model(network, card, tmp_path / "file" / "m")
