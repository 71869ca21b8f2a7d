"""Equal weights in ours and in MONAI's vista3d132 give equal outputs (float32, relative 1e-4). MONAI is the judge."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from openvista.network import Vista3D, build_empty
from openvista.weights.naming import UNREAD
from openvista.weights.official import adapt, to_naming

nets = pytest.importorskip("monai.networks.nets")

TOLERANCE = 1e-4
LAST_SUPPORTED = 132


def relative_difference(ours: Tensor, theirs: Tensor) -> float:
    assert ours.shape == theirs.shape
    return float((ours - theirs).abs().max() / theirs.abs().max())


def randomised(network: nn.Module, seed: int) -> nn.Module:
    """Fresh networks have norm weights of 1 and biases of 0, which would hide swapped tensors."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    return network.eval()


def adopt(official: nn.Module) -> Vista3D:
    """Our network with the weights of MONAI's, by way of the adapter."""
    checkpoint = adapt(official.state_dict())
    ours = build_empty(checkpoint.preset)
    tensors = {name: tensor for name, tensor in checkpoint.tensors.items() if not name.startswith(UNREAD)}
    ours.load_state_dict(tensors, strict=True, assign=True)
    return ours.eval()


@pytest.fixture(autouse=True)
def _no_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


@pytest.fixture(scope="module")
def pair() -> tuple[Vista3D, nn.Module]:
    torch.manual_seed(1)
    official = randomised(nets.vista3d132(encoder_embed_dim=16), seed=2)
    return adopt(official), official


@pytest.fixture(scope="module")
def image() -> Tensor:
    return torch.rand(1, 1, 48, 32, 32, generator=torch.Generator().manual_seed(3))


def clicks(objects: int, count: int, seed: int = 4) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand(objects, count, 3, generator=generator) * torch.tensor([48, 32, 32])).floor()


def test_both_decoders_equal(pair: tuple[Vista3D, nn.Module], image: Tensor) -> None:
    ours, official = pair
    point, automatic = official.image_encoder(image)
    pyramid = ours.encoder(image)
    assert relative_difference(ours.automatic_decoder(pyramid), automatic) < TOLERANCE
    assert relative_difference(ours.point_decoder(pyramid), point) < TOLERANCE
    assert relative_difference(point, automatic) > 0.1, "two decoders with equal weights would prove nothing"


@pytest.mark.parametrize("ids", [[3], [1, 57, 132, 200, 511]])
def test_class_prompts_equal(pair: tuple[Vista3D, nn.Module], image: Tensor, ids: list[int]) -> None:
    ours, official = pair
    prompts = torch.tensor(ids)
    expected = official(image, class_vector=prompts[:, None])
    assert relative_difference(ours.class_logits(image, prompts)[0, :, None], expected) < TOLERANCE


@pytest.mark.parametrize(
    "labels",
    [
        [[1]],
        [[1], [0], [3], [2]],
        [[1, 0, 1, -1, -1], [3, 2, 3, 2, 3], [1, 1, 1, 1, 0]],
    ],
    ids=["one", "one-of-each-label", "five-with-padding"],
)
@pytest.mark.parametrize("prompt_class", [None, [3, 24, 200, 133]], ids=["no-class", "with-class"])
def test_clicks_equal_through_the_whole_network(
    pair: tuple[Vista3D, nn.Module], image: Tensor, labels: list[list[int]], prompt_class: list[int] | None
) -> None:
    ours, official = pair
    labels_BN = torch.tensor(labels)
    objects, count = labels_BN.shape
    clicks_BN3 = clicks(objects, count)
    class_B = None if prompt_class is None else torch.tensor(prompt_class[:objects])
    expected = official(
        image,
        point_coords=clicks_BN3.clone(),
        point_labels=labels_BN.clone(),
        prompt_class=None if class_B is None else class_B[:, None],
    )
    unseen_B = None if class_B is None else class_B > LAST_SUPPORTED
    logits = ours.point_logits(ours.point_features(image), clicks_BN3, labels_BN, unseen_B)
    assert relative_difference(logits, expected) < TOLERANCE


def test_point_head_equal_with_only_padding_and_fractions(pair: tuple[Vista3D, nn.Module], image: Tensor) -> None:
    ours, official = pair
    clicks_BN3 = clicks(3, 2) + 0.37
    labels_BN = torch.tensor([[-1, -1], [1, -1], [-1, 0]])
    features, _ = official.image_encoder(image, with_label=False)
    expected = official.point_head(features, clicks_BN3.clone(), labels_BN)
    logits = ours.point_head(ours.point_head.prepare(features), clicks_BN3, labels_BN)
    assert relative_difference(logits, expected) < TOLERANCE


def test_more_objects_than_a_group(pair: tuple[Vista3D, nn.Module]) -> None:
    ours, official = pair
    features = torch.randn(1, 16, 16, 16, 16, generator=torch.Generator().manual_seed(5))
    clicks_BN3 = clicks(35, 1).clamp(max=15)
    labels_BN = torch.ones(35, 1, dtype=torch.long)
    expected = official.point_head(features, clicks_BN3.clone(), labels_BN)
    logits = ours.point_head(ours.point_head.prepare(features), clicks_BN3, labels_BN)
    assert relative_difference(logits, expected) < TOLERANCE


def test_the_published_size_equal() -> None:
    torch.manual_seed(6)
    official = randomised(nets.vista3d132(), seed=7)
    ours = adopt(official)
    assert sum(tensor.numel() for tensor in official.parameters()) == 217_964_982
    image = torch.rand(1, 1, 32, 32, 32)
    ids = torch.tensor([1, 24, 132])
    assert relative_difference(
        ours.class_logits(image, ids)[0, :, None], official(image, class_vector=ids[:, None])
    ) < (TOLERANCE)
    clicks_BN3 = clicks(2, 5).clamp(max=31)
    labels_BN = torch.tensor([[1, 0, -1, -1, -1], [3, 3, 2, 2, 3]])
    expected = official(image, point_coords=clicks_BN3.clone(), point_labels=labels_BN)
    logits = ours.point_logits(ours.point_features(image), clicks_BN3, labels_BN)
    assert relative_difference(logits, expected) < TOLERANCE


@pytest.mark.parametrize("target", ["monai-1.4", "hf"])
def test_monai_loads_our_export_strictly(pair: tuple[Vista3D, nn.Module], image: Tensor, target: str) -> None:
    ours, _ = pair
    exported = to_naming(adapt(ours.state_dict()), target)  # type: ignore[arg-type]
    other = nets.vista3d132(encoder_embed_dim=16)
    holder = nn.ModuleDict({"network": other}) if target == "hf" else other
    holder.load_state_dict(exported, strict=True)
    prompts = torch.tensor([4, 5])
    expected = other.eval()(image, class_vector=prompts[:, None])
    assert relative_difference(ours.class_logits(image, prompts)[0, :, None], expected) < TOLERANCE
