"""What both sides get: the same weights, the same made-up scans, and how large everything is."""

from dataclasses import dataclass, replace

import numpy as np
import torch

from openvista.bench.peer import Peer, peers_network
from openvista.bundle.network import BundleNetwork
from openvista.geometry.grid import Axis3, Float3, Grid
from openvista.inference.device import cpu_has_bfloat16, find_device, plan_compute
from openvista.model import Model
from openvista.network import VISTA3D, Preset, Vista3D, build
from openvista.scan import Scan
from openvista.weights import ModelCard, find_model
from openvista.weights.store import load_network

_SPREAD = 5
"""Random embeddings times this: else one class would win everywhere, and deciding would cost less than it does."""

_LUMP_MM = 30
"""Over which the tissue of made-up scans changes."""


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How large the work is.

    Attributes:
        filters, blocks, window: of a network with random weights; blocks per level, voxels per axis.
        shape, spacing: of the made-up CT in which everything is segmented; mm.
        classes: asked for in it, at most what the model knows.
    """

    filters: int = 16
    blocks: tuple[int, ...] = VISTA3D.blocks_per_level
    window: int = 64
    shape: Axis3 = (128, 128, 80)
    spacing: Float3 = (1.5, 1.5, 1.5)
    classes: int = 117


FULL = Sizes(filters=48, window=128, shape=(512, 512, 200), spacing=(0.8, 0.8, 2.0))
"""The published network on a whole-body CT."""


class Contest:
    """Ours and the peer on equal weights.

    Args:
        sizes: of the work, and of a network with random weights.
        model: name or folder of a model whose weights both get; ``None`` for random ones.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ...

    Attributes:
        class_ids: what is asked for.

    Raises:
        ModelError: there is no such model.
        DeviceError: there is no such device.
    """

    def __init__(self, sizes: Sizes, model: str | None = None, device: str = "auto") -> None:
        self.sizes, self.device = sizes, find_device(device)
        if model is None:
            self.card, self._network = random_network(sizes)
        else:
            folder = find_model(model)
            self.card, self._network = folder.card, load_network(folder)
        self.preset: Preset = self._network.preset
        self._tensors = {name: tensor.clone() for name, tensor in self._network.state_dict().items()}
        self.class_ids = tuple(self.card.vocabulary().expand(None))[: sizes.classes]
        self.description = f"{self.card.name}, {self.preset.filters} filters, windows of {self.preset.window[0]} voxels"

    def network(self) -> Vista3D:
        """A new network of ours with the weights, float32, on the CPU."""
        network = build(self.preset)
        network.load_state_dict(self._tensors)
        return network

    def model(self, precision: str = "auto") -> Model:
        """Ours, ready to compute."""
        return Model(self.network(), self.card, plan_compute(self.device, precision))

    def peers_network(self) -> torch.nn.Module:
        """A new network of MONAI's with the weights, float32, on the device."""
        official = BundleNetwork(self.network(), self.card).state_dict()
        network = peers_network(self.preset)
        network.load_state_dict(official)
        return network.to(self.device)

    def peer(self) -> Peer:
        """MONAI's pipeline."""
        return Peer(self.peers_network().eval(), self.preset, self.device)

    @property
    def autocasts(self) -> dict[str, bool]:
        """Ways of the peer: as shipped, and under autocast where the device has instructions for it."""
        ways = {"peer float32": False}
        if self.device.type == "cuda" or (self.device.type == "cpu" and cpu_has_bfloat16()):
            ways["peer autocast"] = True  # on other CPUs it is emulated and takes minutes
        return ways


def random_network(sizes: Sizes) -> tuple[ModelCard, Vista3D]:
    """Random weights, the same every time, for which every class can win somewhere."""
    sides = (sizes.window,) * 3
    preset = replace(VISTA3D, name="random", filters=sizes.filters, blocks_per_level=sizes.blocks, window=sides)
    network = build(preset, seed=0)
    with torch.no_grad():
        network.class_head.linear2.weight *= _SPREAD
    classes = tuple(range(1, preset.last_supported_class + 1))
    return ModelCard.from_preset(preset, name="random", classes=classes), network


def body_scan(shape: Axis3, spacing: Float3) -> Scan:
    """An elliptic cylinder in air, 80 % of the width and 60 % of the depth of the frame, of smooth tissue.

    Tissue changes over centimetres, between -100 and 300 HU, so that labels of random weights come in lumps as organs
    do: noise would give each voxel a class of its own.
    """
    x, y = (np.linspace(-1, 1, n, dtype=np.float32) for n in shape[:2])
    body_XY = (x[:, None] / 0.8) ** 2 + (y[None, :] / 0.6) ** 2 < 1
    cells = [max(round(n * mm / _LUMP_MM), 2) for n, mm in zip(shape, spacing, strict=True)]
    coarse = torch.rand((1, 1, *cells), generator=torch.Generator().manual_seed(0))
    tissue = torch.nn.functional.interpolate(coarse, size=shape, mode="trilinear")[0, 0] * 400 - 100
    voxels = np.where(body_XY[:, :, None], tissue.numpy(), -1000).astype(np.int16)
    return Scan(voxels, Grid(shape, np.diag([*spacing, 1.0])))


def smooth_scan(shape: Axis3, spacing: Float3) -> Scan:
    """Smooth tissue of 20 to 900 HU up to every border, so that nobody crops anything."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand((1, 1, *(max(n // 4, 2) for n in shape)), generator=generator)
    voxels = torch.nn.functional.interpolate(coarse, size=shape, mode="trilinear")[0, 0] * 880 + 20
    return Scan(voxels.numpy().astype(np.int16), Grid(shape, np.diag([*spacing, 1.0])))
