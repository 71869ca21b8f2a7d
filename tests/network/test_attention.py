"""From random weights, a click already concerns the voxels around it more than others."""

import pytest
import torch

from openvista.network.attention import HEADS, Attention
from openvista.network.point_head import PointHead, PositionEncoding


@pytest.fixture(params=[16, 48])
def head(request) -> PointHead:
    torch.manual_seed(3)
    return PointHead(request.param)


def shares(attention: Attention, query_QC: torch.Tensor, key_KC: torch.Tensor) -> torch.Tensor:
    """Which part of each query's attention goes to each key, mean over heads; [Q, K]."""
    query, key = (
        projected.unflatten(-1, (HEADS, -1)).transpose(0, 1)
        for projected in (attention.query(query_QC), attention.key(key_KC))
    )
    return (query @ key.transpose(1, 2) / query.shape[-1] ** 0.5).softmax(-1).mean(0)


def test_a_click_looks_at_its_surroundings_first(head):
    places = head.position.of_grid((8, 8, 8))
    for block in head.transformer.blocks:
        share = shares(block.tokens_to_image, places, places)
        assert (share.argmax(dim=1) == torch.arange(512)).float().mean() > 0.95


def test_a_voxel_looks_at_the_nearest_click(head):
    clicks = head.position(torch.tensor([[0.2, 0.3, 0.4], [0.8, 0.7, 0.6]]))
    near = head.position(torch.tensor([[0.22, 0.28, 0.42], [0.79, 0.72, 0.58]]))
    for block in head.transformer.blocks:
        share = shares(block.image_to_tokens, near, clicks)
        assert (share.argmax(dim=1) == torch.tensor([0, 1])).all()


def test_waves_are_sorted_longest_first():
    lengths = PositionEncoding(48).waves.norm(dim=0)
    assert (lengths.diff() >= 0).all()
