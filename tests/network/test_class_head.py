"""The class head: each class by itself, each image by itself, and a product that is linear in both."""

import pytest
import torch
from torch import nn

from openvista.network.class_head import ClassHead, MappingBlock, dot_logits

FILTERS, ROWS = 6, 20


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.no_grad():
        yield


@pytest.fixture
def head():
    torch.manual_seed(0)
    return ClassHead(FILTERS, ROWS).eval()


def features(count, seed=1):
    return torch.randn(count, FILTERS, 5, 6, 4, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("count", [1, 3])
def test_a_mapping_block_is_monais(count):
    blocks = pytest.importorskip("monai.networks.blocks")
    theirs = blocks.UnetResBlock(3, FILTERS, FILTERS, kernel_size=3, stride=1, norm_name="instance").eval()
    ours = MappingBlock(FILTERS).eval()
    weights = {name.replace(".conv.", "."): tensor for name, tensor in theirs.state_dict().items()}
    ours.load_state_dict(weights, strict=True)
    x = features(count)
    assert torch.allclose(ours(x.clone()), theirs(x.clone()), rtol=1e-4, atol=1e-4)


def test_mapping_keeps_the_shape_the_volume_and_the_images_apart(head):
    x = features(2)
    before = x.clone()
    mapped = head.map_features(x)
    assert mapped.shape == x.shape
    assert torch.equal(x, before)
    assert torch.allclose(mapped[1:], head.map_features(x[1:]), atol=1e-5)


def test_an_embedding_depends_on_its_own_class_only(head):
    ids = torch.tensor([7, 2, 7, 19])
    together = head.embed(ids)
    assert together.shape == (4, FILTERS)
    assert torch.allclose(together, torch.cat([head.embed(ids[index : index + 1]) for index in range(4)]), atol=1e-6)
    head.embedding_table.weight[2] += 1
    changed = (head.embed(ids) - together).abs().amax(1) > 1e-3
    assert changed.tolist() == [False, True, False, False]


def test_an_embedding_is_monais_two_layers(head):
    """MONAI norms with InstanceNorm1d over one channel; that is over the length of the embedding."""
    layers = nn.Sequential(head.linear1, nn.InstanceNorm1d(1), nn.GELU(), head.linear2)
    ids = torch.tensor([3, 11])
    assert torch.allclose(head.embed(ids), layers(head.embedding_table(ids)[:, None])[:, 0], atol=1e-5)


def test_logits_are_linear_in_embeddings_and_features():
    random = torch.Generator().manual_seed(2)
    one, other = torch.randn(2, 3, FILTERS, generator=random)
    x, y = features(2, seed=3), features(2, seed=4)
    logits = dot_logits(2 * one - other, x)
    assert logits.shape == (2, 3, 5, 6, 4)
    assert torch.allclose(logits, 2 * dot_logits(one, x) - dot_logits(other, x), atol=1e-4)
    assert torch.allclose(dot_logits(one, x + 3 * y), dot_logits(one, x) + 3 * dot_logits(one, y), atol=1e-4)
    voxel = (1, slice(None), 4, 0, 3)
    assert torch.allclose(dot_logits(one, x)[voxel], one @ x[voxel], atol=1e-5)
