"""The network as inference uses it: one window in, one vector per voxel out, in the planned precision."""

import torch
from torch import Tensor, nn

from openvista.inference.device import Compute
from openvista.network import Vista3D

_LOW_PRECISION = ("encoder.levels", "automatic_decoder", "class_head.mapping", "point_decoder", "point_head")
"""What may run in half precision. The stem stays in float32 (see ``Encoder``), and so do the class embeddings."""


class WindowNetwork:
    """A network made ready for one way to compute. It takes the network over: its weights are converted in place.

    On CUDA low precision is left to autocast; on a CPU weights are converted once and tensors laid out with channels
    innermost, which is what reaches its matrix units (performance facts §B).

    Args:
        network: with its weights, float32.
        compute: from :func:`openvista.inference.device.plan_compute`.
    """

    def __init__(self, network: Vista3D, compute: Compute) -> None:
        self.network = network.eval().requires_grad_(False).to(compute.device)
        self.compute = compute
        if compute.device.type == "cpu" and compute.dtype != torch.float32:
            for name, module in network.named_modules():
                if name in _LOW_PRECISION:
                    module.to(compute.dtype)
        if compute.channels_last:
            for module in network.modules():
                if isinstance(module, nn.Conv3d | nn.ConvTranspose3d):
                    module.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]

    def image(self, window_XYZ: Tensor) -> Tensor:
        """A window as the network takes it: [1, 1, X, Y, Z] on its device, in its layout."""
        layout = torch.channels_last_3d if self.compute.channels_last else torch.contiguous_format
        return window_XYZ[None, None].to(self.compute.device).contiguous(memory_format=layout)

    def autocast(self) -> torch.autocast:
        """The context to run it in."""
        device = self.compute.device.type
        return torch.autocast(device, self.compute.dtype, enabled=device == "cuda" and self.compute.channels_last)

    @torch.no_grad()
    def features(self, window_XYZ: Tensor) -> Tensor:
        """Mapped features [X, Y, Z, C] of one window scaled to 0..1."""
        with self.autocast():
            features_1CXYZ = self.network.automatic_features(self.image(window_XYZ))
        return features_1CXYZ[0].permute(1, 2, 3, 0)

    @torch.no_grad()
    def embeddings(self, class_ids: list[int]) -> Tensor:
        """Class ids to embeddings [K, C], float32."""
        ids_K = torch.tensor(class_ids, dtype=torch.long, device=self.compute.device)
        return self.network.class_embeddings(ids_K).float()

    def logits(self, embeddings_KC: Tensor, window_XYZ: Tensor) -> Tensor:
        """Logits [X, Y, Z, K] float32 of one window, plane by plane so that no float32 copy of the features exists."""
        planes = [plane_YZC.float() @ embeddings_KC.T for plane_YZC in self.features(window_XYZ)]
        return torch.stack(planes)
