"""The table of names: one to one, and the published set of names."""

from dataclasses import replace

import pytest

from openvista.network import VISTA3D, Preset, build_empty
from openvista.weights import naming
from openvista.weights.naming import official_to_ours, official_to_research, ours_to_official, research_to_official


def our_names(preset: Preset) -> list[str]:
    return list(build_empty(preset).state_dict()) + list(naming.unread_shapes(preset.filters, preset.class_rows))


@pytest.mark.parametrize("blocks", [(1, 2, 2, 4, 4), (1, 1, 1), (2, 1)])
def test_every_name_goes_there_and_back(blocks: tuple[int, ...]) -> None:
    names = our_names(replace(VISTA3D, filters=8, blocks_per_level=blocks, window=(16, 16, 16)))
    official = [ours_to_official(name, last=len(blocks) - 2) for name in names]
    assert None not in official
    assert len(set(official)) == len(names)
    assert [official_to_ours(str(name)) for name in official] == names


def test_counts_of_both_official_namings() -> None:
    official = [str(ours_to_official(name, last=3)) for name in our_names(VISTA3D)]
    assert len(official) == 259
    research = [official_to_research(name) for name in official]
    dead = naming.research_dead_shapes(VISTA3D.filters)
    assert len(set(research) | set(dead)) == 275
    assert sum(name not in official for name in research) == 8
    assert not naming.is_research(official)
    assert naming.is_research(research)
    assert [research_to_official(name) for name in research] == official
    assert {research_to_official(name) for name in dead} == {None}


@pytest.mark.parametrize(
    ("ours", "official"),
    [
        ("encoder.stem.weight", "image_encoder.encoder.conv_init.weight"),
        ("encoder.levels.4.blocks.3.conv2.weight", "image_encoder.encoder.layers.4.blocks.3.conv2.weight"),
        ("automatic_decoder.levels.0.upsample.weight", "image_encoder.up_layers_auto.0.upsample.deconv.weight"),
        ("automatic_decoder.head.bias", "image_encoder.up_layers_auto.3.head.bias"),
        ("point_decoder.levels.3.block.norm1.bias", "image_encoder.up_layers.3.blocks.0.norm1.bias"),
        ("class_head.embedding_table.weight", "class_head.class_embeddings.weight"),
        ("class_head.mapping.1.conv2.weight", "class_head.image_post_mapping.1.layer.conv2.conv.weight"),
        ("point_head.position.waves", "point_head.pe_layer.positional_encoding_gaussian_matrix"),
        ("point_head.unseen_token", "point_head.zeroshot_embed.weight"),
        (
            "point_head.transformer.blocks.1.tokens_to_image.key.bias",
            "point_head.transformer.layers.1.cross_attn_token_to_image.k_proj.bias",
        ),
        ("point_head.transformer.blocks.0.widen.weight", "point_head.transformer.layers.0.mlp.linear1.weight"),
    ],
)
def test_examples(ours: str, official: str) -> None:
    assert ours_to_official(ours, last=3) == official
    assert official_to_ours(official) == ours


@pytest.mark.parametrize("name", ["", "encoder", "image_encoder", "image_encoder.up_layers_other.0.head.weight", "x.y"])
def test_strangers_have_no_name_here(name: str) -> None:
    assert official_to_ours(name) is None
