"""Features of SAM's image encoder, slice by slice in three views: how the paper made its supervoxels (paper facts §6).

SAM is taken from ``transformers``; any ``SamModel`` does, ViT-H is the paper's. Of its mask decoder only the
up-scaling is used (two transposed convolutions), on the plain image embedding: there are no prompts.

Shape letters: N slices, C channels, H W rows and columns of a slice, S side of the network's input.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from openvista.errors import DeviceError, ModelError, first_line, needs_extra
from openvista.geometry.grid import Float3, Grid
from openvista.geometry.resample import axis_map
from openvista.inference.progress import Progress, Report, silent
from openvista.prepare import scale_hu
from openvista.scan import Scan
from openvista.supervoxels.make import AIR_HU
from openvista.supervoxels.volume import Gathering, GridFeatures, along, grid_weights, ras_voxels, triangle_weights

if TYPE_CHECKING:
    from transformers import SamModel

logger = logging.getLogger(__name__)

VIT_HUGE = "facebook/sam-vit-huge"
_TIMEOUT_S = 10
HU_WINDOW = (-1000.0, 1000.0)
"""HU that become black and white (paper facts §6)."""
PIXEL_MEAN = (123.675, 116.28, 103.53)
PIXEL_DEVIATION = (58.395, 57.12, 57.375)
"""Of ImageNet's red, green and blue in 0..255: how SAM was trained to have its input scaled."""


class SamFeatures:
    """SAM's up-scaled image embedding (32 channels in all published sizes), summed over the three views.

    A slice keeps its proportions in mm: its longer side fills the network's input, below or right of it is black.
    Slices without tissue are left out.

    Args:
        model: it is taken over: moved and put in evaluation mode.
        name: where it came from.
        device: where to compute.
        batch: slices at once.
    """

    compactness = 0.01

    def __init__(self, model: "SamModel", name: str, device: torch.device, batch: int = 1) -> None:
        self.model = model.eval().requires_grad_(False).to(device)
        self.name, self.device, self.batch = name, device, batch
        config: Any = model.config
        self.config = config.vision_config
        self.side = side_length(self.config.image_size)
        self.channels = int(model.mask_decoder.upscale_conv2.out_channels)

    def describe(self) -> dict[str, object]:
        return {"features": "sam", "model": self.name, "hu_window": list(HU_WINDOW), "side": self.side}

    def features(self, scan: Scan, grid: Grid, progress: Report = silent) -> GridFeatures:
        """See :class:`FeatureSource`.

        Raises:
            DeviceError: the GPU is too small for one batch of slices.
        """
        source = scan.grid.in_ras_order()
        volume_XYZ = ras_voxels(scan)
        pixels_XYZ = scale_hu(volume_XYZ, HU_WINDOW) * 255
        slices = [
            [index for index in range(source.shape[axis]) if (volume_XYZ.select(axis, index) > AIR_HU).any()]
            for axis in range(3)
        ]
        across = grid_weights(source, grid)
        gathering = Gathering(grid, self.channels)
        done, total = 0, sum(map(len, slices))
        for axis in range(3):
            back = [self._back_weights(source, grid, axis, other) for other in range(3) if other != axis]
            for indices in _batches(slices[axis], self.batch):
                maps_NCHW = self._maps(pixels_XYZ.movedim(axis, 0)[indices], source.spacing, axis)
                values = along(back[1], along(back[0], maps_NCHW.cpu().float(), 2), 3)
                gathering.add(values.permute(0, 2, 3, 1).movedim(0, axis), axis, across[axis][:, indices])
                done += len(indices)
                progress(Progress("encode", done, total))
        return gathering.volume()

    def _maps(self, slices_NHW: Tensor, spacing: Float3, axis: int) -> Tensor:
        try:
            return self.upscaled(self.inputs(slices_NHW, [spacing[other] for other in range(3) if other != axis]))
        except torch.OutOfMemoryError as error:
            raise DeviceError(
                f"the GPU's memory is too small for SAM ({first_line(error)}); use --device cpu"
            ) from None

    def inputs(self, slices_NHW: Tensor, spacing: list[float]) -> Tensor:
        """Grey slices, 0..255, to SAM's input [N, 3, S, S]."""
        height, width = self._inner_size((slices_NHW.shape[1], slices_NHW.shape[2]), spacing)
        resized = functional.interpolate(slices_NHW[:, None], (height, width), mode="bilinear", antialias=True)
        padded = functional.pad(resized, (0, self.side - width, 0, self.side - height))
        mean, deviation = (torch.tensor(values)[None, :, None, None] for values in (PIXEL_MEAN, PIXEL_DEVIATION))
        return ((padded - mean) / deviation).to(self.device)

    @torch.no_grad()
    def upscaled(self, inputs_N3SS: Tensor) -> Tensor:
        """The image embedding after the mask decoder's up-scaling, [N, C, S/4, S/4] in published sizes."""
        decoder = self.model.mask_decoder
        with torch.autocast(self.device.type, torch.float16, enabled=self.device.type == "cuda"):
            x = decoder.upscale_conv1(self.model.get_image_embeddings(inputs_N3SS))
            x = decoder.activation(decoder.upscale_layer_norm(x))
            return decoder.activation(decoder.upscale_conv2(x))

    def _inner_size(self, shape: tuple[int, int], spacing: list[float]) -> tuple[int, int]:
        """Rows and columns of the network's input that a slice takes."""
        lengths = [count * size for count, size in zip(shape, spacing, strict=True)]
        height, width = (max(1, round(self.side * length / max(lengths))) for length in lengths)
        return height, width

    def _back_weights(self, source: Grid, target: Grid, axis: int, other: int) -> Tensor:
        """The matrix [target, map] that brings the map of a slice across ``axis`` back to the grid, along ``other``."""
        plane = [a for a in range(3) if a != axis]
        shape = (source.shape[plane[0]], source.shape[plane[1]])
        inner = self._inner_size(shape, [source.spacing[a] for a in plane])[plane.index(other)]
        length = self._map_side()
        per_voxel = inner / source.shape[other] * length / self.side  # map pixels
        mapping = axis_map(source, target)
        positions = (mapping.positions(other, target.shape[other]) + 0.5) * per_voxel - 0.5
        used = min(length, int(np.ceil(inner * length / self.side)))  # not into the black border
        weights = triangle_weights(positions, used, abs(mapping.scale[other]) * per_voxel)
        return functional.pad(weights, (0, length - used))

    def _map_side(self) -> int:
        decoder: Any = self.model.mask_decoder
        patches = self.side // side_length(self.config.patch_size)
        return int(patches * decoder.upscale_conv1.stride[0] * decoder.upscale_conv2.stride[0])


def load_sam(name_or_folder: str | Path, device: torch.device, batch: int | None = None) -> SamFeatures:
    """SAM from a local folder or, by name, from the Hugging Face hub (downloaded once, then cached).

    Args:
        name_or_folder: a folder with ``config.json`` and weights, or a name such as ``facebook/sam-vit-huge``.
        device: where to compute; a GPU computes in float16.
        batch: slices at once; by default 4 on a GPU and 1 elsewhere.

    Raises:
        MissingExtraError: transformers is not installed.
        ModelError: there is no such model, it is no SAM, or weights are missing.
    """
    model, shown = load_pretrained(name_or_folder, SAM)
    logger.info("SAM %s: input %s", shown, model.config.vision_config.image_size)
    return SamFeatures(model, shown, device, batch or (4 if device.type == "cuda" else 1))


@dataclass(frozen=True)
class Family:
    """A kind of model of ``transformers``.

    Attributes:
        title: what people call it.
        model_type: what its configuration says.
        loader: name of the class.
        example: a name on the hub.
        purpose: what it is needed for here, as the end of "is needed to".
    """

    title: str
    model_type: str
    loader: str
    example: str
    purpose: str


SAM = Family("SAM", "sam", "SamModel", VIT_HUGE, "compute SAM features")


def load_pretrained(name_or_folder: str | Path, family: Family) -> tuple[Any, str]:
    """A model with all its weights, and what to call it.

    Raises: as :func:`load_sam`.
    """
    name = str(name_or_folder)
    trouble: tuple[type[BaseException], ...] = (ValueError, RuntimeError, *_unreachable())
    try:
        model, missing = _load(name, family)
    except trouble as error:
        reason = first_line(error).rstrip(".")
        raise ModelError(f"cannot load {family.title} from {name} ({reason}); give a folder with its files") from None
    if missing:
        lacks = f"{len(missing)} weights of {family.title} are missing, first {missing[0]}"
        raise ModelError(f"{name}: {lacks}; get the whole model")
    return model, Path(name).name if Path(name).is_dir() else name  # folders on somebody's machine are no provenance


def _load(name: str, family: Family) -> tuple[Any, list[str]]:
    """The model and the names of weights that its files lack; from this disk if it is there."""
    try:
        return _from_files(name, family, local_files_only=True)
    except OSError:
        if Path(name).is_dir():
            raise
    from huggingface_hub import HfApi

    HfApi().model_info(name, timeout=_TIMEOUT_S)  # fails at once, where transformers would try again and again
    return _from_files(name, family, local_files_only=False)


def _from_files(name: str, family: Family, local_files_only: bool) -> tuple[Any, list[str]]:
    with needs_extra("transformers", "sam", family.purpose):
        import transformers
    config = transformers.AutoConfig.from_pretrained(name, local_files_only=local_files_only)
    if config.model_type != family.model_type:
        what = f"a {config.model_type!r} model, not {family.title}"
        raise ModelError(f"{name} is {what}; use for example {family.example}")
    loader: Any = getattr(transformers, family.loader, None)
    if loader is None:
        raise ModelError(f"transformers {transformers.__version__} has no {family.loader}: pip install -U transformers")
    model, loaded = loader.from_pretrained(
        name, config=config, output_loading_info=True, local_files_only=local_files_only
    )
    return model, sorted(loaded["missing_keys"])


def _unreachable() -> tuple[type[BaseException], ...]:
    """What the hub's client raises when it cannot get something."""
    from huggingface_hub.errors import HfHubHTTPError

    return (OSError, *HfHubHTTPError.__bases__)


def _batches(indices: list[int], size: int) -> Iterator[list[int]]:
    for first in range(0, len(indices), size):
        yield indices[first : first + size]


def side_length(size: int | Sequence[int]) -> int:
    """Configurations write the side of a square as one number or two."""
    return size if isinstance(size, int) else int(size[0])
