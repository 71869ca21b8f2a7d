"""What the ``models`` commands call: import, convert, verify, describe."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from openvista.errors import ModelError, OutputError, WeightsError
from openvista.network import Vista3D
from openvista.weights import ModelFolder, find_model
from openvista.weights.card import sha256_of
from openvista.weights.convert import convert_checkpoint, describe, import_checkpoint, verify_model
from openvista.weights.files import read_file, write_file
from openvista.weights.official import NAMINGS, Checkpoint, to_naming
from openvista.weights.registry import WEIGHTS_FILE
from openvista.weights.store import load_network


@pytest.fixture
def official_file(checkpoint: Checkpoint, tmp_path: Path) -> Path:
    path = tmp_path / "model.pt"
    torch.save({"model": {f"module.{k}": v for k, v in to_naming(checkpoint, "monai-1.3").items()}}, path)
    return path


def test_import_makes_a_model_that_computes_the_same(network: Vista3D, official_file: Path, home: Path) -> None:
    before = sha256_of(official_file)
    model = import_checkpoint(official_file, "mine", home)
    assert model == find_model("mine", home)
    assert model.path == home / "models" / "mine"
    assert len(model.card.classes) == 127
    assert model.card.provenance["naming"] == "monai-1.3"
    assert model.card.provenance["file_sha256"] == before == sha256_of(official_file)
    assert len(model.card.provenance["dropped_tensors"]) == 16
    image = torch.rand(1, 1, 8, 8, 8)
    loaded = load_network(model)
    with torch.no_grad():
        assert torch.equal(
            loaded.class_logits(image, torch.tensor([3])), network.class_logits(image, torch.tensor([3]))
        )
    assert not verify_model(model).problems


def test_import_refuses_to_overwrite_unless_asked(official_file: Path, home: Path) -> None:
    first = import_checkpoint(official_file, "mine", home)
    (first.path / "note.txt").touch()
    with pytest.raises(ModelError, match="already"):
        import_checkpoint(official_file, "mine", home)
    assert (first.path / "note.txt").exists()
    import_checkpoint(official_file, "mine", home, overwrite=True)
    assert sorted(path.name for path in first.path.iterdir()) == ["card.json", WEIGHTS_FILE]
    assert [path.name for path in first.path.parent.iterdir()] == ["mine"]


def test_import_as_another_family(official_file: Path, home: Path) -> None:
    """The user's word counts; the way back to other namings keeps what the file had, clicks and all."""
    card = import_checkpoint(official_file, "mine", home, family="ctmr").card
    assert (card.family, card.window, card.branches) == ("ctmr", (192, 192, 128), ("automatic",))
    assert card.extra_classes == {134: "intervertebral discs", 135: "left lung", 136: "right lung"}
    assert not verify_model(find_model("mine", home)).problems
    with pytest.raises(ModelError, match="no family 'mr' of models: there is ct and ctmr"):
        import_checkpoint(official_file, "other", home, family="mr")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["starter", "../up", ""])
def test_import_refuses_names(official_file: Path, home: Path, name: str) -> None:
    with pytest.raises(ModelError):
        import_checkpoint(official_file, name, home)
    assert not home.exists()


def test_a_failed_import_leaves_nothing(home: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.pt").write_bytes(b"bad")
    with pytest.raises(WeightsError):
        import_checkpoint(tmp_path / "bad.pt", "mine", home)
    assert not home.exists()


def test_import_into_a_place_that_cannot_be_written(official_file: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot make the model folder"):
        import_checkpoint(official_file, "mine", tmp_path / "file")


@pytest.mark.parametrize("naming", NAMINGS)
def test_convert_there_and_back(official_file: Path, tmp_path: Path, naming: str) -> None:
    there = convert_checkpoint(official_file, tmp_path / "there.safetensors", naming)  # type: ignore[arg-type]
    back = convert_checkpoint(there, tmp_path / "back.pt", "monai-1.3")
    original = read_file(official_file)
    returned = torch.load(back, weights_only=True)
    assert returned.keys() == original.keys()
    assert all(torch.equal(returned[name], original[name]) for name in original)


def test_convert_a_model_folder_raises_it_to_float32(model: ModelFolder, tmp_path: Path) -> None:
    converted = load_file(convert_checkpoint(model.path, tmp_path / "out.safetensors", "monai-1.4"))
    assert {tensor.dtype for tensor in converted.values()} == {torch.float32}
    stem = load_file(model.weights)["encoder.stem.weight"]
    assert torch.equal(converted["image_encoder.encoder.conv_init.weight"], stem.float())


def test_convert_refuses(official_file: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="exists"):
        convert_checkpoint(official_file, official_file, "monai-1.4")
    with pytest.raises(OutputError, match="must end in"):
        convert_checkpoint(official_file, tmp_path / "x.onnx", "monai-1.4")
    with pytest.raises(ModelError, match="unknown naming 'keras'"):
        convert_checkpoint(official_file, tmp_path / "x.pt", "keras")  # type: ignore[arg-type]
    assert not (tmp_path / "x.pt").exists()


def test_verify_finds_damage_and_odd_numbers(model: ModelFolder) -> None:
    sound = verify_model(model)
    assert not sound.problems
    assert sound.parameters > 10_000
    tensors = load_file(model.weights)
    tensors["encoder.stem.weight"][0] = torch.nan
    save_file(tensors, model.weights)
    report = verify_model(model)
    assert report.problems
    assert "damaged or was replaced" in report.problems[0]
    assert "NaN or infinity in 1 tensors, first encoder.stem.weight" in report.problems[1]
    model.weights.unlink()
    assert len(verify_model(model).problems) == 2


def test_describe(official_file: Path, checkpoint: Checkpoint, tmp_path: Path) -> None:
    found = describe(official_file)
    assert found["naming"] == "monai-1.3"
    assert found["dtype"] == "float32"
    assert found["size"] == "8 filters, 1-1-1 blocks"
    assert found["sha256"] == sha256_of(official_file)
    half = replace(checkpoint, tensors={name: tensor.half() for name, tensor in checkpoint.tensors.items()})
    write_file(to_naming(half, "hf"), tmp_path / "half.safetensors")
    assert describe(tmp_path / "half.safetensors")["dtype"] == "float16"


def test_who_knows_better_says_at_what_spacing_it_was_trained(official_file, home):
    card = import_checkpoint(official_file, "fine", home, sampling={"spacing": (1, 1, 2), "window": (64, 64, 32)}).card
    assert (card.spacing, card.window) == ((1, 1, 2), (64, 64, 32))
    with pytest.raises(ModelError, match="window"):
        import_checkpoint(official_file, "odd", home, sampling={"window": (65, 64, 32)})
    assert not (home / "models" / "odd").exists()
