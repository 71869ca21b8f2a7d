"""Small bundles, and a folder with what a user has: scans, labels, a data list."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from openvista.bundle.export import export_bundle
from openvista.network import Preset, build
from openvista.weights import ModelCard
from openvista.weights.store import save_model
from small_bundle import write_cases

pytest.importorskip("monai.bundle")
pytest.importorskip("ignite")

TINY48 = Preset(
    name="tiny48",
    filters=48,
    blocks_per_level=(1, 1),
    window=(16, 16, 16),
    spacing=(2.0, 2.0, 2.0),
    class_rows=260,
)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three scans with labels and a list of two folds."""
    folder = tmp_path_factory.mktemp("cases")
    write_cases(folder)
    return folder


@pytest.fixture(scope="session")
def tiny48(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with 48 channels whose classes all occur."""
    network = build(TINY48, seed=3)
    with torch.no_grad():
        network.class_head.linear2.weight *= 5
    card = ModelCard.from_preset(TINY48, name="tiny48", classes=(1, 3, 5, 14, 28, 29, 121), licence="CC0")
    folder = tmp_path_factory.mktemp("models") / "tiny48"
    save_model(network, card, folder, torch.float32)
    return folder


@pytest.fixture(scope="session")
def tiny_bundle(tiny48: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_bundle(tiny48, tmp_path_factory.mktemp("bundles") / "tiny48")


@pytest.fixture(scope="session")
def starter_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_bundle("starter", tmp_path_factory.mktemp("bundles") / "starter")


@pytest.fixture
def as_torchrun(monkeypatch: pytest.MonkeyPatch) -> None:
    """What torchrun tells a process that is alone in its group; port 0 is any that is free."""
    names = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0"}
    for name, value in names.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def in_tiny(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Commands run in the bundle's folder."""
    monkeypatch.chdir(tiny_bundle)
    return tiny_bundle


@pytest.fixture
def in_starter(starter_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(starter_bundle)
    return starter_bundle
