"""A checkpoint file without a folder around it is a model: converted in memory, with its hash on the card."""

from pathlib import Path

import pytest
import torch

from openvista.errors import ModelError, WeightsError
from openvista.weights import find_model
from openvista.weights.loose_file import checkpoint_card
from openvista.weights.official import NAMINGS, Checkpoint, Naming, to_naming
from openvista.weights.on_disk import sha256_of
from openvista.weights.store import load_network


@pytest.mark.parametrize("naming", NAMINGS)
def test_a_checkpoint_file_is_a_model_as_it_is(checkpoint: Checkpoint, tmp_path: Path, naming: Naming) -> None:
    """Its names are those of the official files; the card has its hash, and the network its weights."""
    file = tmp_path / "my model.pt"
    torch.save(to_naming(checkpoint, naming), file)
    found = find_model(file)
    assert found.card == checkpoint_card(file)
    assert (found.card.name, found.weights) == ("my-model", file)
    assert found.card.weights_sha256 == found.card.provenance["file_sha256"] == sha256_of(file)
    assert 121 in found.card.class_ids
    loaded = load_network(found).state_dict()
    expected = {name: one for name, one in checkpoint.tensors.items() if name in loaded}
    assert loaded.keys() == expected.keys()
    assert all(torch.equal(loaded[name], one) for name, one in expected.items())
    assert list(tmp_path.iterdir()) == [file], "nothing is written"


def test_a_file_that_is_no_checkpoint(tmp_path: Path) -> None:
    for name, error, words in (("model.pt", WeightsError, "model.pt"), ("model.txt", ModelError, "no checkpoint")):
        (tmp_path / name).write_bytes(b"x")
        with pytest.raises(error, match=words) as caught:
            find_model(tmp_path / name)
        assert "\n" not in str(caught.value)
