"""Bundles are read as data."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import openvista
from openvista.bundle.export import export_bundle
from openvista.bundle.read import import_bundle
from openvista.errors import InputError, ModelError, WeightsError
from openvista.weights.store import load_network


@pytest.fixture
def foreign(tiny_bundle: Path, tmp_path: Path) -> Path:
    """A bundle without our card."""
    folder = tmp_path / "foreign"
    (folder / "models").mkdir(parents=True)
    (folder / "configs").mkdir()
    (folder / "models/model.pt").write_bytes((tiny_bundle / "models/model.pt").read_bytes())
    configure(folder, {"patch_size": [32, 32, 32], "resample_spacing": [1.0, 1.0, 2.0]})
    return folder


def configure(folder: Path, content: dict[str, Any]) -> None:
    (folder / "configs/inference.json").write_text(json.dumps(content))


def test_there_and_back(tiny48: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    found = import_bundle(tiny_bundle, "back", tmp_path)
    before, after = (load_network(one).state_dict() for one in (openvista.weights.find_model(tiny48), found))
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert found.card.classes == openvista.weights.find_model(tiny48).card.classes
    assert found.card.window == (16, 16, 16)
    assert found.card.name == "back"


def test_known_ids_of_a_foreign_bundle(foreign: Path, tmp_path: Path) -> None:
    scaling = {"_target_": "ScaleIntensityRanged", "a_min": -500, "a_max": 900}
    content = json.loads((foreign / "configs/inference.json").read_text())
    configure(foreign, {**content, "preprocessing_transforms": [scaling], "device": "$__import__('os').abort()"})
    card = import_bundle(foreign, None, tmp_path).card
    assert (card.name, card.window, card.spacing, card.hu_window) == (
        "foreign",
        (32, 32, 32),
        (1.0, 1.0, 2.0),
        (-500.0, 900.0),
    )


def test_a_bundle_for_ct_and_mr(foreign: Path, tmp_path: Path) -> None:
    """Its metadata tell the family; it is not exported again, as our bundles scale HU."""
    configure(foreign, {"patch_size": [64, 64, 32], "preprocessing_transforms": [{"_target_": "CropForegroundd"}]})
    (foreign / "configs/metadata.json").write_text(json.dumps({"changelog": {"0.0.1": "NV-Segment-CTMR initial"}}))
    found = import_bundle(foreign, "mr", tmp_path)
    assert (found.card.family, found.card.window, found.card.branches) == ("ctmr", (64, 64, 32), ("automatic",))
    assert 18 in found.card.classes
    with pytest.raises(ModelError, match="'mr' is none for CT in HU, which our bundles are for"):
        export_bundle(found.path, tmp_path / "again")
    assert not (tmp_path / "again").exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"patch_size": "$[32] * 3"}, "would have to be evaluated"),
        ({"resample_spacing": [1, "$open('/tmp/never', 'w')", 1]}, "would have to be evaluated"),
        ({"preprocessing_transforms": [{"_target_": "ScaleIntensityRanged", "a_min": "@low", "a_max": 1}]}, "@low"),
        ({"patch_size": [32, 32]}, "three numbers"),
        ({"patch_size": [33, 32, 32]}, "multiples"),
        ({"resample_spacing": [True, 1, 1]}, "must be a number"),
    ],
)
def test_what_is_refused_leaves_nothing(foreign: Path, tmp_path: Path, content: dict[str, Any], words: str) -> None:
    configure(foreign, content)
    with pytest.raises(InputError, match=words) as caught:
        import_bundle(foreign, "model", tmp_path / "home")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "home").exists()


def test_no_bundle(tmp_path: Path, foreign: Path) -> None:
    with pytest.raises(InputError, match="is no folder"):
        import_bundle(tmp_path / "nothing")
    with pytest.raises(InputError, match=r"has no models/model\.pt"):
        import_bundle(tmp_path)
    (foreign / "configs/inference.json").write_text("{")
    with pytest.raises(InputError, match="is not JSON"):
        import_bundle(foreign, home=tmp_path / "home")
    configure(foreign, {})
    (foreign / "models/model.pt").write_bytes(b"no weights")
    with pytest.raises(WeightsError):
        import_bundle(foreign, home=tmp_path / "home")


def test_a_card_of_another_network(tiny_bundle: Path, foreign: Path, tmp_path: Path) -> None:
    card = json.loads((tiny_bundle / "models/card.json").read_text())
    (foreign / "models/card.json").write_text(json.dumps({**card, "filters": 16}))
    with pytest.raises(ModelError, match="describes another network"):
        import_bundle(foreign, "model", tmp_path / "home")
    assert not (tmp_path / "home/models/model").exists()
