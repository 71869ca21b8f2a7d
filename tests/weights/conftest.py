"""A network small enough to write and read many times, under every naming."""

from pathlib import Path

import pytest

from openvista.network import Preset, Vista3D, build
from openvista.weights.card import ModelCard
from openvista.weights.official import Checkpoint, adapt
from openvista.weights.registry import ModelFolder
from openvista.weights.store import save_model

TINY = Preset(
    name="tiny", filters=8, blocks_per_level=(1, 1, 1), window=(16, 16, 16), spacing=(2.0, 2.0, 2.0), class_rows=140
)


@pytest.fixture(scope="session")
def network() -> Vista3D:
    return build(TINY, seed=1).eval()


@pytest.fixture(scope="session")
def checkpoint(network: Vista3D) -> Checkpoint:
    return adapt(network.state_dict())


@pytest.fixture
def card() -> ModelCard:
    return ModelCard.from_preset(
        TINY,
        name="tiny-model",
        classes=[121, 11],
        extra_classes={133: "brainstem"},
        extra_aliases={133: ("brain stem",), 11: ("gullet",)},
        licence="CC0",
        provenance={"command": "openvista train"},
        metrics={"dice": 0.5},
    )


@pytest.fixture
def model(network: Vista3D, card: ModelCard, tmp_path: Path) -> ModelFolder:
    return save_model(network, card, tmp_path / "home" / "models" / "tiny-model")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"
