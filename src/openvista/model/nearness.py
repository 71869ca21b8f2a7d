"""How the point head begins: a click already looks at the voxels around it, and these look at the click.

Attention compares places by random projections of their Fourier features. From random weights a click's place says
nothing, and a network first learns to give every click the same answer; with a narrow head it hardly gets past that.
So the projections begin as what nearness needs: sine and cosine of the same waves on both sides, whose product is the
cosine of the distance along each wave. Training is free to change them, and stored weights replace them.
"""

import torch
from torch import Tensor, nn

from openvista.model.attention import HEADS, Attention, TwoWayTransformer

GAIN = 3.0
"""Weight of the waves: one adds GAIN² to a comparison at the same place, and takes as much half a wavelength away."""
REST = 0.3
"""The other weights begin smaller by this factor, so that nearness is heard above them."""


def sort_waves(waves_3W: Tensor) -> Tensor:
    """The waves, longest first: those tell places apart without repeating themselves inside the window."""
    if waves_3W.is_meta:  # without values there is no order
        return waves_3W
    return waves_3W[:, waves_3W.norm(dim=0).argsort()]


@torch.no_grad()
def look_nearby(transformer: TwoWayTransformer) -> None:
    """Let all attention between clicks and image begin with nearness; the position's waves are sorted."""
    for block in transformer.blocks:
        _compare_places(block.tokens_to_image)  # type: ignore[arg-type]
        _compare_places(block.image_to_tokens)  # type: ignore[arg-type]
    _compare_places(transformer.last_look)


def _compare_places(attention: Attention) -> None:
    """Each head takes the next waves: sine and cosine of one in two of its channels."""
    inner, channels = attention.query.weight.shape
    waves = channels // 2
    for projection in (attention.query, attention.key):
        nn.init.zeros_(projection.bias)
        if projection.weight.is_meta:
            continue
        projection.weight.mul_(REST)
        for pair in range(inner // HEADS // 2 * HEADS):
            row, wave = 2 * pair, pair % waves
            projection.weight[row : row + 2] = 0
            projection.weight[row, wave] = projection.weight[row + 1, waves + wave] = GAIN
