"""The network as inference uses it: windows in, one vector per voxel out, in the planned precision."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn

from openvista.inference.device import Compute, plan_batch
from openvista.network import Vista3D

logger = logging.getLogger(__name__)

_LOW_PRECISION = ("encoder.levels", "automatic_decoder", "class_head.mapping", "point_decoder", "point_head")
"""What may run in half precision. The stem stays in float32 (see ``Encoder``), and so do the class embeddings."""


class WindowNetwork:
    """A network made ready for one way to compute. It takes the network over: its weights are converted in place.

    On CUDA low precision is left to autocast; on a CPU weights are converted once and tensors laid out with channels
    innermost, which is what reaches its matrix units (performance facts §B).

    Args:
        network: with its weights, float32.
        compute: from :func:`openvista.inference.device.plan_compute`.

    Attributes:
        batch: windows that :meth:`stream` computes at once. Where they do not fit, it is halved for good.
    """

    def __init__(self, network: Vista3D, compute: Compute) -> None:
        self.network = network.eval().requires_grad_(False).to(compute.device)
        self.compute = compute
        self.batch = plan_batch(compute, network.preset)
        self._recorded: dict[torch.Size, Callable[[Tensor], Tensor]] = {}
        if compute.device.type == "cpu" and compute.dtype != torch.float32:
            for name, module in network.named_modules():
                if name in _LOW_PRECISION:
                    module.to(compute.dtype)
        if compute.channels_last:
            for module in network.modules():
                if isinstance(module, nn.Conv3d | nn.ConvTranspose3d):
                    module.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]

    def image(self, *windows_XYZ: Tensor) -> Tensor:
        """Windows as the network takes them: [N, 1, X, Y, Z] on its device, in its layout."""
        layout = torch.channels_last_3d if self.compute.channels_last else torch.contiguous_format
        image_NXYZ = windows_XYZ[0][None] if len(windows_XYZ) == 1 else torch.stack(windows_XYZ)
        return image_NXYZ[:, None].to(self.compute.device).contiguous(memory_format=layout)

    def autocast(self) -> torch.autocast:
        """The context to run it in."""
        device = self.compute.device.type
        return torch.autocast(device, self.compute.dtype, enabled=device == "cuda" and self.compute.channels_last)

    @torch.no_grad()
    def features(self, window_XYZ: Tensor) -> Tensor:
        """Mapped features [X, Y, Z, C] of one window scaled to 0..1."""
        return self._features(self.image(window_XYZ))[0].permute(1, 2, 3, 0)

    def stream(self, windows_XYZ: Iterable[Tensor]) -> Iterator[Tensor]:
        """Mapped features [X, Y, Z, C] of windows of one size, in their order, ``batch`` of them computed at once.

        Windows are taken as they are needed, and what has been handed over is not kept.

        Raises:
            torch.OutOfMemoryError: a GPU is too small for one window.
        """
        waiting = iter(windows_XYZ)
        while some := list(islice(waiting, self.batch)):
            yield from self._together(some)

    @torch.no_grad()
    def _together(self, windows_XYZ: Sequence[Tensor]) -> Iterator[Tensor]:
        """As :meth:`stream`, at once; or half after half, where that takes too much memory."""
        try:
            yield from self._features(self.image(*windows_XYZ)).permute(0, 2, 3, 4, 1)
            return
        except torch.OutOfMemoryError:
            if len(windows_XYZ) == 1:
                raise
        half = len(windows_XYZ) // 2
        self.batch = min(self.batch, half)
        logger.info("%d windows do not fit the GPU's memory: %d at once from now on", len(windows_XYZ), self.batch)
        torch.cuda.empty_cache()  # outside the handler, whose traceback would keep the tensors alive
        yield from self._together(windows_XYZ[:half])
        yield from self._together(windows_XYZ[half:])

    def _features(self, image_N1XYZ: Tensor) -> Tensor:
        """Mapped features [N, C, X, Y, Z]."""
        if not self.compute.cuda_graphs:
            with self.autocast():
                return self.network.automatic_features(image_N1XYZ)
        shape = image_N1XYZ.shape
        if shape not in self._recorded:
            with torch.autocast("cuda", self.compute.dtype, self.compute.channels_last, cache_enabled=False):
                record: Any = torch.cuda.make_graphed_callables
                self._recorded[shape] = record(self.network.automatic_features, (image_N1XYZ.clone(),))
        return self._recorded[shape](image_N1XYZ).clone()  # the graph writes to the same place every time

    @torch.no_grad()
    def embeddings(self, class_ids: list[int]) -> Tensor:
        """Class ids to embeddings [K, C], float32."""
        ids_K = torch.tensor(class_ids, dtype=torch.long, device=self.compute.device)
        return self.network.class_embeddings(ids_K).float()

    def logits(self, embeddings_KC: Tensor, window_XYZ: Tensor) -> Tensor:
        """Logits [X, Y, Z, K] float32 of one window."""
        return self._logits(embeddings_KC, self.features(window_XYZ))

    def stream_logits(self, embeddings_KC: Tensor, windows_XYZ: Iterable[Tensor]) -> Iterator[Tensor]:
        """Logits [X, Y, Z, K] float32 of windows, as :meth:`stream`."""
        return (self._logits(embeddings_KC, features_XYZC) for features_XYZC in self.stream(windows_XYZ))

    @torch.no_grad()
    def _logits(self, embeddings_KC: Tensor, features_XYZC: Tensor) -> Tensor:
        """On a CPU plane by plane, so that no float32 copy of the features exists."""
        planes = 1 if self.compute.device.type == "cpu" else len(features_XYZC)
        return torch.cat([some_XYZC.float() @ embeddings_KC.T for some_XYZC in features_XYZC.split(planes)])
