"""The image side of the network in 8-bit integers, by OpenVINO: about half the time on CPUs with AVX-512 VNNI.

Convolutions that read the output of a norm run in int8. The rest keeps half precision: norms, sums, and the
convolutions that read a sum (the stem, the steps down and up), which cost most labels and next to no time
(``benchmarks/README.md`` has the figures). NNCF finds the ranges of the integers by running the network on windows of
scans; what comes of that is kept in OpenVISTA's folder, one network per weights and window.
"""

import io
import logging
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from openvista.errors import ModelError, OutputError, WeightsError, first_line, needs_extra
from openvista.inference.device import Compute, cpu_has_bfloat16, cpu_has_vnni
from openvista.inference.window_network import WindowNetwork
from openvista.network import Vista3D
from openvista.weights.card import ModelCard
from openvista.weights.registry import home_folder

if TYPE_CHECKING:
    import openvino

logger = logging.getLogger(__name__)

_KEPT_TYPES = ["Add", "Multiply", "MVN", "Relu", "PRelu"]
"""Operations whose inputs are never rounded to 8 bits: above all the norms, which read the sums of the blocks."""
_KEPT_NAMES = ("stem", "downsample", "upsample")
"""Last part of the names of convolutions that read such sums, or the image."""


def eight_bit_file(card: ModelCard, home: Path | None = None) -> Path:
    """Where the 8-bit network of a model lies: its name holds the weights' checksum and the window."""
    window = "x".join(map(str, card.window))
    return home_folder(home) / "int8" / f"{card.weights_sha256[:16]}-{window}.xml"


class EightBitWindows(WindowNetwork):
    """The network with its automatic features in 8 bits. Clicks, and windows of another size, are left to torch.

    Args:
        network, compute: as for :class:`WindowNetwork`.
        file: from :func:`eight_bit_file`.

    Raises:
        MissingExtraError: OpenVINO is not installed.
        ModelError: nobody has calibrated this model yet.
        WeightsError: the file is damaged.
    """

    def __init__(self, network: Vista3D, compute: Compute, file: Path) -> None:
        super().__init__(network, compute)
        openvino = openvino_without_telemetry()
        if not file.is_file():
            raise ModelError(
                "this model has no 8-bit network yet: make it from some scans, 'openvista models calibrate CT ... "
                "--model NAME', or leave out --precision int8"
            )
        try:
            self._compiled = _compiled(openvino.Core().read_model(file))
        except RuntimeError as error:
            raise WeightsError(
                f"cannot read {file}: {first_line(error)}; make it again: openvista models calibrate"
            ) from None
        logger.info("8-bit network from %s", file)

    def features(self, window_XYZ: Tensor) -> Tensor:
        """Mapped features [X, Y, Z, C] of one window scaled to 0..1, float32."""
        if tuple(window_XYZ.shape) != self.network.preset.window:
            return super().features(window_XYZ)
        return torch.from_numpy(self._compiled(window_XYZ[None, None].numpy())[0])

    def stream(self, windows_XYZ: Iterable[Tensor]) -> Iterator[Tensor]:
        """Mapped features [X, Y, Z, C] of windows, one by one."""
        return map(self.features, windows_XYZ)


def calibrate(network: Vista3D, windows: Sequence[Tensor], file: Path) -> None:
    """Make the 8-bit network of a model.

    Args:
        network: with its weights, float32.
        windows: [X, Y, Z] scaled to 0..1, of the preset's size: what the network shall see to learn the ranges.
        file: from :func:`eight_bit_file`; the numbers lie beside it, in a file of the same name.

    Raises:
        MissingExtraError: OpenVINO or NNCF is not installed.
        OutputError: it cannot be written.
    """
    openvino = openvino_without_telemetry()
    with needs_extra("nncf", "openvino", "calibrate a network in 8 bits"):
        import nncf
    graph = automatic_graph(network)
    names = [operation.get_friendly_name() for operation in graph.get_ops()]
    kept = [name for name in names if name.endswith(_KEPT_NAMES)]
    nncf.set_log_level(logging.WARNING)
    with redirect_stdout(io.StringIO()):  # progress bars
        made = nncf.quantize(
            graph,
            nncf.Dataset(windows, lambda window_XYZ: window_XYZ[None, None].numpy()),
            subset_size=len(windows),
            ignored_scope=nncf.IgnoredScope(names=kept, types=_KEPT_TYPES, validate=False),
            # older instructions add two products in 16 bits: with half of the range these do not overflow
            advanced_parameters=nncf.AdvancedQuantizationParameters(
                overflow_fix=nncf.OverflowFix.FIRST_LAYER if cpu_has_vnni() else nncf.OverflowFix.ENABLE
            ),
        )
    _save(openvino, made, file)


def _save(openvino: Any, made: "openvino.Model", file: Path) -> None:
    """Write both files; the one that is looked for comes last and goes first."""
    numbers = file.with_suffix(".bin")
    unfinished = file.with_name(f".{file.name}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        openvino.save_model(made, unfinished)
        file.unlink(missing_ok=True)
        os.replace(unfinished.with_suffix(".bin"), numbers)
        os.replace(unfinished, file)
    except (OSError, RuntimeError) as error:
        raise OutputError(f"{file}: cannot be written: {first_line(error)}; check the free space") from None


def automatic_graph(network: Vista3D) -> "openvino.Model":
    """``network.automatic_features`` for one window of the preset's size as a graph of OpenVINO's.

    [1, 1, X, Y, Z] in, [X, Y, Z, C] out. Operations bear the names of our modules.
    """
    return _Graph(network).model


def _compiled(model: "openvino.Model") -> "openvino.CompiledModel":
    return (
        openvino_without_telemetry()
        .Core()
        .compile_model(
            model,
            "CPU",
            {
                "INFERENCE_PRECISION_HINT": "bf16" if cpu_has_bfloat16() else "f32",
                "INFERENCE_NUM_THREADS": torch.get_num_threads(),
                "NUM_STREAMS": 1,
                "ENABLE_CPU_PINNING": False,  # others may want the same cores
            },
        )
    )


def openvino_without_telemetry() -> Any:
    """The package; otherwise importing it, or NNCF, makes an id for this user and reports what is used to the makers.

    Raises:
        MissingExtraError: it is not installed.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    with needs_extra("openvino", "openvino", "compute in 8 bits"):
        import openvino
    return openvino


class _Graph:
    """The layers of the automatic branch, one method each; ``x`` is an output [1, C, X, Y, Z]."""

    def __init__(self, network: Vista3D) -> None:
        openvino = openvino_without_telemetry()
        self.ops = openvino.opset13
        self.names = {module: name for name, module in network.named_modules()}
        image = self.ops.parameter([1, 1, *network.preset.window], np.float32, name="image")
        x = self.convolution(image, network.encoder.stem)
        pyramid = []
        for level in network.encoder.levels:
            for block in level.blocks:  # type: ignore[union-attr]
                x = self.residual(x, block)
            pyramid.append(x)
            if level.downsample is not None:
                x = self.convolution(x, level.downsample)  # type: ignore[arg-type]
        for level, skip in zip(network.automatic_decoder.levels, reversed(pyramid[:-1]), strict=True):
            x = self.residual(self.ops.add(self.upsampling(x, level.upsample), skip), level.block)
        x = self.convolution(x, network.automatic_decoder.head)
        for block in network.class_head.mapping:
            x = self.mapping(x, block)
        x = self.ops.squeeze(self.ops.transpose(x, self.axes(0, 2, 3, 4, 1)), self.axes(0))
        self.model = openvino.Model([self.ops.result(x)], [image], "openvista")

    def axes(self, *axes: int) -> Any:
        return self.ops.constant(np.array(axes, np.int64))

    def numbers(self, tensor: Tensor) -> Any:
        return self.ops.constant(_numbers(tensor))

    def per_channel(self, tensor: Tensor) -> Any:
        return self.ops.constant(_numbers(tensor).reshape(1, -1, 1, 1, 1))

    def convolution(self, x: Any, layer: nn.Conv3d) -> Any:
        padding = list(layer.padding)
        kernel, strides = self.numbers(layer.weight), list(layer.stride)
        y = self.ops.convolution(x, kernel, strides, padding, padding, [1, 1, 1], name=self.names[layer])
        return y if layer.bias is None else self.ops.add(y, self.per_channel(layer.bias))

    def upsampling(self, x: Any, layer: Any) -> Any:
        ones, name = [1, 1, 1], self.names[layer]
        return self.ops.convolution_backprop_data(
            x, self.numbers(layer.weight), [2, 2, 2], None, ones, ones, ones, "explicit", ones, name=name
        )

    def norm(self, x: Any, layer: Any) -> Any:
        y = self.ops.mvn(x, self.axes(2, 3, 4), True, layer.epsilon, "inside_sqrt")
        if layer.weight is None:
            return y
        return self.ops.add(self.ops.multiply(y, self.per_channel(layer.weight)), self.per_channel(layer.bias))

    def residual(self, x: Any, block: Any) -> Any:
        y = self.convolution(self.ops.relu(self.norm(x, block.norm1)), block.conv1)
        y = self.convolution(self.ops.relu(self.norm(y, block.norm2)), block.conv2)
        return self.ops.add(y, x)

    def mapping(self, x: Any, block: Any) -> Any:
        slope = self.ops.constant(np.array([block.slope], np.float32))
        y = self.ops.prelu(self.norm(self.convolution(x, block.conv1), block.norm1), slope)
        return self.ops.prelu(self.ops.add(self.norm(self.convolution(y, block.conv2), block.norm2), x), slope)


def _numbers(tensor: Tensor) -> NDArray[np.float32]:
    numbers: NDArray[np.float32] = tensor.detach().float().cpu().numpy()
    return numbers
