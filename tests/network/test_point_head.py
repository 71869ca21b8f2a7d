"""The point head by itself: what must change its output, and what must not."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from openvista.errors import PromptError
from openvista.network import Preset, Vista3D, build
from openvista.network.attention import Attention
from openvista.network.point_head import ClickLabel, PointFeatures, PointHead, PositionEncoding

TINY = Preset(
    name="tiny", filters=8, blocks_per_level=(1, 1, 1), window=(16, 16, 16), spacing=(2.0, 2.0, 2.0), class_rows=140
)


@pytest.fixture(scope="module")
def network() -> Vista3D:
    return build(TINY, seed=1).eval()


@pytest.fixture(scope="module")
def features(network: Vista3D) -> PointFeatures:
    image = torch.rand(1, 1, 16, 16, 16, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        return network.point_features(image)


def ask(network: Vista3D, features: PointFeatures, clicks: list, labels: list, unseen: list | None = None) -> Tensor:
    with torch.no_grad():
        return network.point_logits(
            features,
            torch.tensor(clicks, dtype=torch.float32),
            torch.tensor(labels),
            None if unseen is None else torch.tensor(unseen),
        )


def same(a: Tensor, b: Tensor) -> bool:
    return torch.allclose(a, b, atol=1e-5 * float(b.abs().max()), rtol=0)


def test_labels_of_clicks() -> None:
    labels = [ClickLabel.of(positive, special) for special in (False, True) for positive in (False, True)]
    assert labels == [0, 1, 2, 3]  # as the weights know them


def test_shapes_and_size_of_what_is_kept(network: Vista3D, features: PointFeatures) -> None:
    assert features.window == (16, 16, 16)
    assert features.halved_1CXYZ.shape == (1, 8, 8, 8, 8)
    assert ask(network, features, [[[1, 2, 3]], [[4, 5, 6]]], [[1], [1]]).shape == (2, 1, 16, 16, 16)


def test_objects_do_not_influence_each_other(network: Vista3D, features: PointFeatures) -> None:
    clicks, labels = [[[1, 2, 3], [9, 9, 9]], [[4, 5, 6], [0, 0, 0]]], [[1, 0], [3, -1]]
    together = ask(network, features, clicks, labels)
    for number in range(2):
        alone = ask(network, features, clicks[number : number + 1], labels[number : number + 1])
        assert same(together[number : number + 1], alone)


def test_order_of_clicks_does_not_matter(network: Vista3D, features: PointFeatures) -> None:
    one = ask(network, features, [[[1, 2, 3], [9, 9, 9]]], [[1, 0]])
    other = ask(network, features, [[[9, 9, 9], [1, 2, 3]]], [[0, 1]])
    assert same(one, other)


def test_every_label_and_place_says_something_else(network: Vista3D, features: PointFeatures) -> None:
    answers = [ask(network, features, [[[1, 2, 3]]], [[int(label)]]) for label in ClickLabel]
    answers += [
        ask(network, features, [[[3, 2, 1]]], [[1]]),
        ask(network, features, [[[1, 2, 3]]], [[1]], unseen=[True]),
    ]
    for i, one in enumerate(answers):
        assert all(not same(one, other) for other in answers[:i])


def test_the_place_of_padding_does_not_matter(network: Vista3D, features: PointFeatures) -> None:
    one = ask(network, features, [[[1, 2, 3], [0, 0, 0]]], [[1, -1]])
    other = ask(network, features, [[[1, 2, 3], [9, 4, 7]]], [[1, -1]])
    assert torch.equal(one, other)


def test_seen_is_the_default(network: Vista3D, features: PointFeatures) -> None:
    clicks, labels = [[[1, 2, 3]]], [[1]]
    assert torch.equal(ask(network, features, clicks, labels), ask(network, features, clicks, labels, unseen=[False]))


def test_small_groups_give_the_same(network: Vista3D, features: PointFeatures, monkeypatch: pytest.MonkeyPatch) -> None:
    clicks, labels = [[[n, n, n]] for n in range(5)], [[1]] * 5
    whole = ask(network, features, clicks, labels)
    monkeypatch.setattr("openvista.network.point_head.GROUP", 2)
    assert same(ask(network, features, clicks, labels), whole)


def test_wrong_shapes_are_refused(network: Vista3D, features: PointFeatures) -> None:
    for clicks, labels, unseen in (
        ([[[1, 2, 3]]], [[1, 0]], None),
        ([[[1, 2]]], [[1]], None),
        ([[[1, 2, 3]]], [[1]], [True, False]),
    ):
        with pytest.raises(PromptError, match="do not fit"):
            ask(network, features, clicks, labels, unseen)


def test_folded_output_is_the_two_steps_of_the_paper(network: Vista3D) -> None:
    output = network.point_head.output
    tokens, images = torch.randn(2, 8), torch.randn(2, 8, 4, 4, 4)
    with torch.no_grad():
        full = output.conv(functional.gelu(output.norm(output.upsample(images))))
        expected = torch.einsum("nc,ncxyz->nxyz", output.vector(tokens), full)[:, None]
        assert same(output(tokens, images), expected)


def test_windows_prepared_together_are_those_prepared_alone(network: Vista3D) -> None:
    features = torch.randn(3, 8, 8, 8, 8)
    with torch.no_grad():
        together = network.point_head.prepare_all(features)
        for window, one in zip(together, features.split(1), strict=True):
            alone = network.point_head.prepare(one)
            assert same(window.halved_1CXYZ, alone.halved_1CXYZ)
            assert window.window == alone.window


def test_position_of_the_grid_is_that_of_its_voxel_centres() -> None:
    position = PositionEncoding(8)
    grid = position.of_grid((2, 3, 4)).unflatten(0, (2, 3, 4))
    centre = (torch.tensor([1.0, 2.0, 0.0]) + 0.5) / torch.tensor([2.0, 3.0, 4.0])
    assert torch.allclose(grid[1, 2, 0], position(centre), atol=1e-5)


def test_position_keeps_float32_in_a_half_precision_network() -> None:
    head = PointHead(8)
    exact = head.position(torch.tensor([0.3, 0.6, 0.9]))
    half = PointHead(8)
    half.load_state_dict(head.state_dict())
    half = half.to(torch.bfloat16)
    assert torch.allclose(half.position(torch.tensor([0.3, 0.6, 0.9])), exact, atol=1e-5)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.allclose(head.position(torch.tensor([0.3, 0.6, 0.9])), exact, atol=1e-5)
    logits = half(
        half.prepare(torch.randn(1, 8, 8, 8, 8, dtype=torch.bfloat16)), torch.zeros(1, 1, 3), torch.ones(1, 1)
    )
    assert logits.dtype == torch.bfloat16


def test_attention_is_softmax_of_scaled_products() -> None:
    attention = Attention(8, 8)
    query, keys = torch.randn(2, 3, 8), torch.randn(1, 5, 8)
    with torch.no_grad():
        q, k, v = attention.query(query), attention.key(keys), attention.value(keys)
        heads = [
            torch.softmax(q[..., i : i + 2] @ k[..., i : i + 2].transpose(1, 2) / 2**0.5, dim=-1) @ v[..., i : i + 2]
            for i in range(0, 8, 2)
        ]
        expected = attention.output(torch.cat(heads, dim=-1))
        assert torch.allclose(attention(query, keys, keys), expected, atol=1e-6)


def test_clicks_train_the_point_branch_only() -> None:
    network = build(TINY, seed=3)
    logits = network.point_logits(
        network.point_features(torch.rand(1, 1, 8, 8, 8)), torch.ones(1, 2, 3), torch.tensor([[1, 0]])
    )
    logits.square().mean().backward()
    touched = {name.split(".")[0] for name, parameter in network.named_parameters() if parameter.grad is not None}
    assert touched == {"encoder", "point_decoder", "point_head"}


def test_automatic_weights_do_not_depend_on_the_point_branch() -> None:
    lean = Preset(**{**TINY.__dict__, "branches": ("automatic",)})
    both, one = build(TINY, seed=4).state_dict(), build(lean, seed=4).state_dict()
    assert not any(name.startswith("point") for name in one)
    assert all(torch.equal(both[name], tensor) for name, tensor in one.items())
