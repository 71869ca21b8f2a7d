"""Save and load a model folder: network and card, checked by SHA-256."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from openvista.errors import OutputError, WeightsError, first_line
from openvista.network import Vista3D, build_empty
from openvista.weights.card import CARD_FILE, ModelCard, sha256_of, write_card
from openvista.weights.files import write_file
from openvista.weights.naming import UNREAD
from openvista.weights.official import read_checkpoint
from openvista.weights.registry import WEIGHTS_FILE, ModelFolder


def save_model(network: Vista3D, card: ModelCard, folder: Path, dtype: torch.dtype = torch.float16) -> ModelFolder:
    """Write a model folder, or put a newer state of a model in an existing one (training does so again and again).

    The card goes last: a folder without card is not a model, and one whose card is older than its weights fails
    the checksum.

    Args:
        network: the network; its preset must be the card's.
        card: the checksum and version in it are replaced by the true ones.
        folder: made if it does not exist; other files in it stay.
        dtype: of the parameters in the file. Buffers keep float32.

    Raises:
        WeightsError: card and network differ in size.
        OutputError: the folder cannot be written.
    """
    expected = {name: parameter.shape for name, parameter in build_empty(card.preset()).state_dict().items()}
    if expected != {name: tensor.shape for name, tensor in network.state_dict().items()}:
        raise WeightsError(f"the card of {card.name!r} describes another network than {network.preset.name!r}")
    parameters = {name for name, _ in network.named_parameters()}
    tensors = {
        name: tensor.to("cpu", dtype if name in parameters else torch.float32)
        for name, tensor in network.state_dict().items()
    }
    return save_tensors(tensors, card, folder)


def save_tensors(tensors: Mapping[str, Tensor], card: ModelCard, folder: Path) -> ModelFolder:
    """Write tensors in our naming, as they are, and their card."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the model folder {folder}: {error.strerror or error}") from None
    write_file(tensors, folder / WEIGHTS_FILE)
    model = ModelFolder(folder, card.with_weights(sha256_of(folder / WEIGHTS_FILE)))
    write_card(model.card, folder / CARD_FILE)
    return model


def fingerprint(network: nn.Module) -> str:
    """SHA-256 of a network's weights as float32, for weights that came from no file; see :func:`sha256_of`."""
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def check_sum(model: ModelFolder) -> None:
    """Compare the weights file with the card.

    Raises:
        WeightsError: the file cannot be read or is not the one the card was written for.
    """
    try:
        found = sha256_of(model.weights)
    except OSError as error:
        raise WeightsError(f"cannot read {model.weights}: {error.strerror or error}") from None
    if found != model.card.weights_sha256:
        raise WeightsError(
            f"{model.weights} is damaged or was replaced: SHA-256 {found[:12]}..., the card says "
            f"{model.card.weights_sha256[:12] or 'none'}...; import or download the model again"
        )


def load_network(model: ModelFolder, device: torch.device | str = "cpu", verify: bool = True) -> Vista3D:
    """The network of a model with its weights, float32, in evaluation mode.

    Memory: one copy of the weights; the network is built without any before.

    Args:
        model: from :func:`openvista.weights.find_model`.
        device: where the weights go.
        verify: check the SHA-256 first.

    Raises:
        WeightsError: the file is damaged, or its tensors are not exactly those the card describes.
    """
    if verify:
        check_sum(model)
    network = build_empty(model.card.preset())
    if model.is_checkpoint:
        tensors = read_checkpoint(model.path).of_family(model.card.family).tensors
        floats = {n: one.to(device, torch.float32) for n, one in tensors.items() if not n.startswith(UNREAD)}
        network.load_state_dict(floats, strict=True, assign=True)
        return network.eval()
    expected = {name: tensor.shape for name, tensor in network.state_dict().items()}
    try:
        with safe_open(model.weights, framework="pt", device=str(device)) as file:
            names = {name for name in file.keys() if not name.startswith(UNREAD)}  # noqa: SIM118 (not a dict)
            _check_names(names, set(expected), model.weights)
            tensors = {name: file.get_tensor(name).to(torch.float32) for name in sorted(names)}
    except (OSError, SafetensorError) as error:
        raise WeightsError(
            f"cannot read {model.weights}: {first_line(error)}; import or download the model again"
        ) from None
    for name, tensor in tensors.items():
        if tensor.shape != expected[name]:
            raise WeightsError(
                f"{model.weights}: {name} has shape {tuple(tensor.shape)}, the card asks for {tuple(expected[name])}"
            )
    network.load_state_dict(tensors, strict=True, assign=True)
    return network.eval()


def _check_names(found: set[str], expected: set[str], path: Path) -> None:
    if unknown := sorted(found - expected):
        raise WeightsError(f"{path} has {len(unknown)} tensors its card does not describe, first {unknown[0]}")
    if missing := sorted(expected - found):
        raise WeightsError(f"{path} lacks {len(missing)} tensors its card describes, first {missing[0]}")
