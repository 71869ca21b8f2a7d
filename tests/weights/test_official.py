"""The adapter: every naming in, both namings out, and what is said of files that do not fit."""

import logging
from pathlib import Path

import pytest
import torch
from torch import Tensor

from openvista.errors import ModelError, WeightsError
from openvista.weights import find_model
from openvista.weights.card import sha256_of
from openvista.weights.files import write_file
from openvista.weights.naming import UNREAD
from openvista.weights.official import (
    NAMINGS,
    Checkpoint,
    Naming,
    adapt,
    checkpoint_card,
    family_of,
    read_checkpoint,
    to_naming,
)
from openvista.weights.store import load_network

Tensors = dict[str, Tensor]


def identical(one: Tensors, other: Tensors) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture(scope="module")
def official(checkpoint: Checkpoint) -> Tensors:
    """MONAI 1.4 naming, with values where our export makes zeros."""
    tensors = to_naming(checkpoint, "monai-1.4")
    for name in ("point_head.mask_downsample.weight", "point_head.class_embeddings.weight"):
        tensors[name] = torch.randn_like(tensors[name])
    return tensors


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize("naming", NAMINGS)
def test_ours_out_and_in_again_bit_exactly(checkpoint: Checkpoint, tmp_path: Path, naming: str, suffix: str) -> None:
    path = tmp_path / f"model{suffix}"
    write_file(to_naming(checkpoint, naming), path)  # type: ignore[arg-type]
    back = read_checkpoint(path)
    live = {name: tensor for name, tensor in back.tensors.items() if not name.startswith(UNREAD)}
    assert identical(live, checkpoint.tensors)
    assert back.preset.filters == checkpoint.preset.filters
    assert back.naming == {"hf": "monai-1.4"}.get(naming, naming)


def test_official_in_and_out_again_bit_exactly(official: Tensors) -> None:
    checkpoint = adapt(official)
    assert identical(to_naming(checkpoint, "monai-1.4"), official)
    through_ours = adapt(to_naming(checkpoint, "openvista"))
    assert identical(to_naming(through_ours, "monai-1.4"), official)
    prefixed = to_naming(checkpoint, "hf")
    assert identical({name.removeprefix("network."): tensor for name, tensor in prefixed.items()}, official)


def test_research_in_and_out_again_bit_exactly(official: Tensors, caplog: pytest.LogCaptureFixture) -> None:
    research = to_naming(adapt(official), "monai-1.3")
    assert len(research) == len(official) + 16
    with caplog.at_level(logging.INFO):
        back = adapt(research, "research.pt")
    assert len(back.dropped) == 16
    assert all(name in caplog.text for name in back.dropped), "dead tensors are named in the log"
    assert identical(to_naming(back, "monai-1.4"), official)
    assert identical(to_naming(back, "monai-1.3"), research)


def test_made_up_tensors_are_named(checkpoint: Checkpoint, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        research = to_naming(checkpoint, "monai-1.3")
    for name in ("weight_mapper.0.weight", "point_head.output_add_hypernetworks_mlps.1.layers.2.bias"):
        assert not research[name].any()
        assert name in caplog.text


def test_sizes_are_read_from_the_shapes(checkpoint: Checkpoint) -> None:
    preset = checkpoint.preset
    assert (preset.filters, preset.blocks_per_level, preset.class_rows) == (8, (1, 1, 1), 140)
    assert preset.branches == ("automatic", "point")


def test_one_branch_alone_is_a_model_and_half_a_branch_is_not(
    official: Tensors, caplog: pytest.LogCaptureFixture
) -> None:
    automatic = {
        name: tensor
        for name, tensor in official.items()
        if not name.startswith(("point_head.", "image_encoder.up_layers."))
    }
    checkpoint = adapt(automatic)
    assert checkpoint.preset.branches == ("automatic",)
    assert identical(to_naming(checkpoint, "monai-1.4"), automatic)
    assert "only the automatic branch" in caplog.text
    half = {name: tensor for name, tensor in official.items() if not name.startswith("image_encoder.up_layers.")}
    with pytest.raises(WeightsError, match=r"missing \(point_decoder"):
        adapt(half)


def test_half_precision_keeps_its_values(official: Tensors, tmp_path: Path) -> None:
    for dtype in (torch.float16, torch.bfloat16):
        path = tmp_path / "model.safetensors"
        write_file({name: tensor.to(dtype) for name, tensor in official.items()}, path)
        assert read_checkpoint(path).dtype == dtype


def changed(official: Tensors, **changes: Tensor | None) -> Tensors:
    tensors = dict(official)
    for name, tensor in changes.items():
        tensors.pop(name, None)
        if tensor is not None:
            tensors[name] = tensor
    return tensors


UNREAD_OFFICIAL = ("point_head.mask_downsample.", "point_head.class_embeddings.")


def test_any_missing_tensor_and_any_wrong_shape_is_noticed(official: Tensors) -> None:
    for name in list(official)[::7]:
        if name.startswith(UNREAD_OFFICIAL):
            continue
        with pytest.raises(WeightsError, match=r"missing|no VISTA3D"):
            adapt(changed(official, **{name: None}))
        with pytest.raises(WeightsError, match=r"wrong shape|no VISTA3D"):
            adapt(changed(official, **{name: official[name][None]}))


def test_tensors_that_nothing_reads_may_be_missing_but_not_misshapen(official: Tensors) -> None:
    for name in official:
        if name.startswith(UNREAD_OFFICIAL):
            adapt(changed(official, **{name: None}))
            with pytest.raises(WeightsError, match="wrong shape"):
                adapt(changed(official, **{name: official[name][None]}))


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"stranger.weight": torch.ones(1)}, r"MONAI 1.4 naming, but has 1 tensors unknown \(stranger.weight\)"),
        (
            {"point_head.transformer.layers.0.mlp.lin1.weight": torch.ones(1)},
            r"research \(MONAI 1.3\) naming, but has 1 tensors unknown",
        ),
        ({"class_head.mlp.0.weight": None}, r"has 1 missing \(class_head.linear1.weight\)"),
        (
            {"class_head.mlp.0.weight": torch.ones(8, 9)},
            r"of wrong shape \(class_head.mlp.0.weight \(8, 9\) instead of",
        ),
        ({"image_encoder.encoder.conv_init.weight": torch.ones(8, 2, 3, 3, 3)}, "2 channels .wrong in_channels"),
        ({"image_encoder.encoder.conv_init.weight": None}, "is no VISTA3D checkpoint"),
    ],
)
def test_misfits_are_explained_in_one_line(official: Tensors, changes: dict, complaint: str) -> None:
    with pytest.raises(WeightsError, match=complaint) as caught:
        adapt(changed(official, **changes), "file.pt")
    assert str(caught.value).startswith("file.pt")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("names", "looks_like"),
    [
        (["conv1.weight", "layer1.0.bn1.weight", "fc.weight", "fc.bias"], "another network, with conv1.weight"),
        (["trt_engine"], "a TensorRT file"),
        (["automatic_decoder.head.weight"], "OpenVISTA's own naming"),
        (["vista3d.image_encoder.x"], "inside another module"),
        ([], "no tensors"),
    ],
)
def test_strangers_are_told_apart(names: list[str], looks_like: str) -> None:
    with pytest.raises(WeightsError, match=looks_like):
        adapt({name: torch.ones(1) for name in names})


@pytest.mark.parametrize(
    ("file", "sidecar", "family"),
    [
        ("download/weights/model.pt", "", "ct"),
        ("download/weights/CTMR.pt", "", "ctmr"),
        ("models--nvidia--NV-Segment-CTMR/snapshots/4fb8/vista3d_pretrained_model/model.pt", "", "ctmr"),
        ("NV-Segment-CTMR/NV-Segment-CTMR/models/model.pt", "", "ctmr"),
        ("NV-Segment-CTMR/NV-Segment-CT/models/model.pt", "", "ct"),
        ("download/weights/model.pt", '{"_name_or_path": "nvidia/NV-Segment-CTMR"}', "ctmr"),
        ("download/weights/model.pt", '{"_name_or_path": "nvidia/NV-Segment-CT"}', "ct"),
    ],
)
def test_what_lies_around_a_file_tells_its_family(tmp_path: Path, file: str, sidecar: str, family: str) -> None:
    path = tmp_path / file
    path.parent.mkdir(parents=True)
    if sidecar:
        (path.parent / "config.json").write_text(sidecar)
    assert family_of(path) == family


@pytest.mark.parametrize("naming", ["monai-1.4", "hf"])
def test_files_for_ct_and_mr_are_checked_whole_and_run_without_clicks(
    official: Tensors, tmp_path: Path, naming: Naming
) -> None:
    """With and without ``network.`` before the names, nothing may be missing, also of what is not used."""
    file = tmp_path / "ctmr.pt"
    torch.save(to_naming(adapt(official), naming), file)
    card = checkpoint_card(file)
    assert (card.family, card.branches, card.window) == ("ctmr", ("automatic",), (192, 192, 128))
    assert (card.class_rows, card.class_ids[-5:]) == (140, (128, 132, 134, 135, 136))
    network = load_network(find_model(file))
    used = {name: one for name, one in adapt(official).tensors.items() if not name.startswith(("point_", UNREAD))}
    assert identical(dict(network.state_dict()), used)
    for name in ("point_head.mask_tokens.weight", "class_head.class_embeddings.weight"):
        torch.save(changed(official, **{name: None}), file)
        with pytest.raises(WeightsError, match="1 missing"):
            find_model(file)


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
