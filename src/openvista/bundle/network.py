"""The network of a bundle: a plain module whose tensors have the names of the official ``model.pt``."""

from collections import OrderedDict
from collections.abc import Iterable, MutableMapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from openvista.anatomy.catalogue import LAST_OFFICIAL_ID
from openvista.bundle.command import reporting
from openvista.errors import ModelError
from openvista.network import Vista3D, build
from openvista.weights import ModelCard, naming, read_card
from openvista.weights.card import sha256_of
from openvista.weights.official import read_checkpoint

CARD, WEIGHTS = "models/card.json", "models/model.pt"
"""In a bundle: what the model is, and its tensors in the naming of MONAI 1.4."""

_INNER = "network."


class BundleNetwork(nn.Module):
    """VISTA3D as MONAI's tools want a network: one tensor in, one tensor out, official names in its state dict.

    Args:
        network: with random weights until :func:`load_weights` or ``load_state_dict`` fill it.
        card: what it knows.

    Attributes:
        card: replaced by that of a checkpoint, where one lies beside it.
        models: what :mod:`openvista.bundle.inferer` made of this network, by how it computes.
    """

    class_ids: Tensor

    def __init__(self, network: Vista3D, card: ModelCard) -> None:
        super().__init__()
        self.network = network
        self.card = card
        self.models: dict[Any, Any] = {}
        self.unread: dict[str, Tensor] = {}
        self.register_buffer("class_ids", torch.tensor(everything(card), dtype=torch.long), persistent=False)
        self.register_state_dict_post_hook(_to_official)
        self.register_load_state_dict_pre_hook(_to_ours)

    def forward(self, image_N1XYZ: Tensor) -> Tensor:
        """Logits [N, K, X, Y, Z] of the K classes of "everything" on windows that are scaled to 0..1."""
        return self.network.class_logits(image_N1XYZ, self.class_ids)


def everything(card: ModelCard) -> list[int]:
    """The ids of "everything": what the official list has of the model's classes, and its own; none without class
    prompts."""
    return card.vocabulary().expand(None) if "automatic" in card.branches else []


def with_own_classes(card: ModelCard, ids: Iterable[int]) -> ModelCard:
    """The card with a name for each of these ids that is beyond the official ones and not the model's own yet."""
    own = {one: f"class {one}" for one in ids if one > LAST_OFFICIAL_ID}
    return replace(card, extra_classes={**own, **card.extra_classes})


@reporting()
def build_network(
    bundle_root: str = ".", encoder_embed_dim: int | None = None, in_channels: int = 1, card: str = CARD
) -> BundleNetwork:
    """The ``network_def`` of a bundle's configurations: its size is that of the card.

    Args:
        bundle_root: the bundle.
        encoder_embed_dim: channels C; only the card's own are possible.
        in_channels: of the image; a CT has one.
        card: of the model, below ``bundle_root``.

    Raises:
        ModelError: there is no card, or the configuration asks for another network.
    """
    found = read_card(Path(bundle_root) / card)
    if encoder_embed_dim not in (None, found.filters):
        raise ModelError(
            f"network_def#encoder_embed_dim is {encoder_embed_dim}, but the weights of this bundle have "
            f"{found.filters} channels: leave it as it is"
        )
    if in_channels != 1:
        raise ModelError(f"input_channels is {in_channels}: a CT has one channel, leave it at 1")
    return BundleNetwork(build(found.preset(), seed=0), found)


def plain_network(network: nn.Module) -> nn.Module:
    """The network without what several processes wrap it in."""
    inner = getattr(network, "module", None)
    return inner if isinstance(inner, nn.Module) else network


def load_weights(network: BundleNetwork, path: Path) -> None:
    """Fill a network from a checkpoint of any naming; a card ``<stem>.json`` beside the file becomes the network's.

    Raises:
        WeightsError: no usable checkpoint, or one of another size.
        ModelError: the card is damaged.
    """
    checkpoint = read_checkpoint(path)
    beside = path.with_suffix(".json")
    card = read_card(beside) if beside.is_file() else network.card
    try:
        network.network.load_state_dict(
            {name: tensor.float() for name, tensor in checkpoint.tensors.items() if not name.startswith(naming.UNREAD)}
        )
    except RuntimeError:
        raise ModelError(
            f"{path} is of another size than {network.card.name!r} ({checkpoint.preset.filters} channels, blocks "
            f"{checkpoint.preset.blocks_per_level}, {', '.join(checkpoint.preset.branches)}): use a file that was made "
            "from this bundle"
        ) from None
    network.card = card.with_weights(sha256_of(path))
    network.models.clear()


def _to_official(
    module: BundleNetwork, state_dict: "OrderedDict[str, Tensor]", prefix: str, _: MutableMapping[str, Any]
) -> None:
    """Give tensors their official names, and add those that official files carry and nothing reads."""
    preset = module.network.preset
    ours = {name: state_dict.pop(name) for name in list(state_dict) if name.startswith(prefix + _INNER)}
    tensors = {name.removeprefix(prefix + _INNER): tensor for name, tensor in ours.items()}
    if "point" in preset.branches:
        device = next(iter(tensors.values())).device
        for name, shape in naming.unread_shapes(preset.filters, preset.class_rows).items():
            tensors[name] = module.unread.get(name, torch.zeros(shape)).to(device)
    for name, tensor in tensors.items():
        official = naming.ours_to_official(name, len(preset.blocks_per_level) - 2)
        state_dict[f"{prefix}{official}"] = tensor


def _to_ours(module: BundleNetwork, state_dict: MutableMapping[str, Any], prefix: str, *_: Any) -> None:
    """Give official names back ours; others stay, and are unexpected."""
    for name in [name for name in state_dict if name.startswith(prefix)]:
        official = naming.research_to_official(name.removeprefix(prefix))
        ours = None if official is None else naming.official_to_ours(official)
        if ours is None:
            continue
        tensor = state_dict.pop(name)
        if ours.startswith(naming.UNREAD):
            module.unread[ours] = tensor.detach().clone()
        else:
            state_dict[f"{prefix}{_INNER}{ours}"] = tensor
