"""One table: our names of the network's tensors, and the names in official files (MONAI 1.4 and later).

The older research naming ("MONAI 1.3") differs in four layers' names and sixteen tensors that no forward pass reads
(checkpoints.md §3). Every tensor has the same shape in all namings. Strings only.
"""

import re
from collections.abc import Iterable
from functools import cache
from itertools import product

UNREAD = "unread."
"""Our prefix of tensors that every official file carries and no forward pass reads; kept for a bit-exact way back."""

_ENCODER = (
    ("encoder.stem.", "image_encoder.encoder.conv_init."),
    ("encoder.levels.{i}.", "image_encoder.encoder.layers.{i}."),
)
_DECODERS = tuple(
    pair
    for ours, official in (("automatic_decoder", "up_layers_auto"), ("point_decoder", "up_layers"))
    for pair in (
        (f"{ours}.head.", f"image_encoder.{official}.{{last}}.head."),
        (f"{ours}.levels.{{i}}.upsample.", f"image_encoder.{official}.{{i}}.upsample.deconv."),
        (f"{ours}.levels.{{i}}.block.", f"image_encoder.{official}.{{i}}.blocks.0."),
    )
)
_CLASS_HEAD = (
    ("class_head.embedding_table.", "class_head.class_embeddings."),
    ("class_head.linear1.", "class_head.mlp.0."),
    ("class_head.linear2.", "class_head.mlp.3."),
    ("class_head.mapping.{i}.conv{j}.", "class_head.image_post_mapping.{i}.layer.conv{j}.conv."),
)
_PROJECTIONS = (("query", "q_proj"), ("key", "k_proj"), ("value", "v_proj"), ("output", "out_proj"))
_ATTENTIONS = tuple(
    (f"point_head.transformer.{ours}.{our_part}.", f"point_head.transformer.{official}.{official_part}.")
    for ours, official in (
        ("blocks.{i}.self_attention", "layers.{i}.self_attn"),
        ("blocks.{i}.tokens_to_image", "layers.{i}.cross_attn_token_to_image"),
        ("blocks.{i}.image_to_tokens", "layers.{i}.cross_attn_image_to_token"),
        ("last_look", "final_attn_token_to_image"),
    )
    for our_part, official_part in _PROJECTIONS
)
_TRANSFORMER = (
    *_ATTENTIONS,
    ("point_head.transformer.blocks.{i}.widen.", "point_head.transformer.layers.{i}.mlp.linear1."),
    ("point_head.transformer.blocks.{i}.narrow.", "point_head.transformer.layers.{i}.mlp.linear2."),
    ("point_head.transformer.blocks.{i}.norm{j}.", "point_head.transformer.layers.{i}.norm{j}."),
    ("point_head.transformer.norm.", "point_head.transformer.norm_final_attn."),
)
_POINT_HEAD = (
    ("point_head.halve.conv1.", "point_head.feat_downsample.0."),
    ("point_head.halve.conv2.", "point_head.feat_downsample.3."),
    ("point_head.position.waves", "point_head.pe_layer.positional_encoding_gaussian_matrix"),
    ("point_head.negative_token", "point_head.point_embeddings.0.weight"),
    ("point_head.positive_token", "point_head.point_embeddings.1.weight"),
    ("point_head.padding_token", "point_head.not_a_point_embed.weight"),
    ("point_head.special_token", "point_head.special_class_embed.weight"),
    ("point_head.mask_token", "point_head.mask_tokens.weight"),
    ("point_head.unseen_token", "point_head.zeroshot_embed.weight"),
    ("point_head.supported_token", "point_head.supported_embed.weight"),
    ("point_head.output.upsample.", "point_head.output_upscaling.0."),
    ("point_head.output.conv.", "point_head.output_upscaling.3."),
    ("point_head.output.vector.0.", "point_head.output_hypernetworks_mlps.layers.0."),
    ("point_head.output.vector.2.", "point_head.output_hypernetworks_mlps.layers.1."),
    ("point_head.output.vector.4.", "point_head.output_hypernetworks_mlps.layers.2."),
)
_UNREAD = (
    (f"{UNREAD}mask_downsample.", "point_head.mask_downsample."),
    (f"{UNREAD}point_class_embeddings.", "point_head.class_embeddings."),
)
PAIRS = _ENCODER + _DECODERS + _CLASS_HEAD + _TRANSFORMER + _POINT_HEAD + _UNREAD
"""Beginnings of names, ours and official. ``{i}``, ``{j}``: a number; ``{last}``: the decoder's last level."""

_RESEARCH_RENAMES = ((".mlp.lin1.", ".mlp.linear1."), (".mlp.lin2.", ".mlp.linear2."))
_RESEARCH_DEAD = re.compile(r"point_head\.output_add_hypernetworks_mlps\..+|weight_mapper\.[03]\.(weight|bias)")


def official_to_ours(name: str) -> str | None:
    """Our name of an official tensor (MONAI 1.4 naming), None if there is none."""
    return _translate(name, _patterns(to_ours=True), last=0)


def ours_to_official(name: str, last: int) -> str | None:
    """The MONAI 1.4 name of one of our tensors; ``last`` is the number of the decoders' last level."""
    return _translate(name, _patterns(to_ours=False), last)


def is_research(names: Iterable[str]) -> bool:
    """Some of the names exist in the research ("MONAI 1.3") naming only."""
    return any(research_to_official(name) != name for name in names)


def research_to_official(name: str) -> str | None:
    """The MONAI 1.4 name of a research tensor, None for a dead one."""
    if _RESEARCH_DEAD.fullmatch(name):
        return None
    for research, official in _RESEARCH_RENAMES:
        name = name.replace(research, official)
    return name


def official_to_research(name: str) -> str:
    """The research ("MONAI 1.3") name of a MONAI 1.4 tensor."""
    for research, official in _RESEARCH_RENAMES:
        name = name.replace(official, research)
    return name


def research_dead_shapes(filters: int) -> dict[str, tuple[int, ...]]:
    """Name and shape of the tensors that only the research naming has (checkpoints.md §3)."""
    shapes: dict[str, tuple[int, ...]] = {}
    for mlp, layer in product(range(2), range(3)):
        stem = f"point_head.output_add_hypernetworks_mlps.{mlp}.layers.{layer}"
        shapes |= {f"{stem}.weight": (filters, filters), f"{stem}.bias": (filters,)}
    return shapes | {
        "weight_mapper.0.weight": (4 * filters, filters),
        "weight_mapper.0.bias": (4 * filters,),
        "weight_mapper.3.weight": (1, 4 * filters),
        "weight_mapper.3.bias": (1,),
    }


def unread_shapes(filters: int, class_rows: int) -> dict[str, tuple[int, ...]]:
    """Our name and shape of the tensors that every official file has and no forward pass reads."""
    return {
        f"{UNREAD}mask_downsample.weight": (2, 2, 3, 3, 3),
        f"{UNREAD}mask_downsample.bias": (2,),
        f"{UNREAD}point_class_embeddings.weight": (class_rows, filters),
    }


def _translate(name: str, patterns: tuple[tuple[re.Pattern[str], str], ...], last: int) -> str | None:
    for pattern, target in patterns:
        if match := pattern.match(name):
            return target.format(**{"last": last, **match.groupdict()}) + name[match.end() :]
    return None


@cache
def _patterns(to_ours: bool) -> tuple[tuple[re.Pattern[str], str], ...]:
    """(pattern of a name's beginning, template of its replacement) for each pair of the table."""
    pairs = [(official, ours) if to_ours else (ours, official) for ours, official in PAIRS]
    return tuple((re.compile(_expression(source)), target) for source, target in pairs)


def _expression(template: str) -> str:
    return re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>\\d+)", re.escape(template))
