"""The peer: MONAI's parts put together as the official bundle does, with MONAI's own network.

Order of the steps and their values: the bundle's ``inference.json`` (0.5.x). Its inferer leaves overlap and weighting
of class prompts at the sliding window's defaults, 0.25 and constant (docs/sources.md).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from openvista.errors import needs_extra
from openvista.network import Preset
from openvista.prompts import Click

OVERLAP = 0.25
_MARGIN = 10


def peers_network(preset: Preset) -> nn.Module:
    """MONAI's VISTA3D of this size, float32, random weights.

    Raises:
        MissingExtraError: MONAI is not installed.
    """
    with needs_extra("monai", "bench", "run the peer"):
        from monai.networks.nets import VISTA3D, SegResNetDS2
        from monai.networks.nets.vista3d import ClassMappingClassify, PointMappingSAM
    filters, rows = preset.filters, preset.class_rows
    encoder = SegResNetDS2(
        in_channels=1,
        blocks_down=preset.blocks_per_level,
        norm="instance",
        out_channels=filters,
        init_filters=filters,
        dsdepth=1,
    )
    points = PointMappingSAM(feature_size=filters, n_classes=rows, last_supported=preset.last_supported_class)
    classes = ClassMappingClassify(n_classes=rows, feature_size=filters, use_mlp=True)
    network: nn.Module = VISTA3D(image_encoder=encoder, class_head=classes, point_head=points)
    return network


class Peer:
    """MONAI's pipeline.

    Args:
        network: of :func:`peers_network`, on its device, in evaluation mode.
        preset: spacing, window and range of HU.
        device: where it computes.

    Attributes:
        windows: how many it has looked at so far for class prompts.
    """

    def __init__(self, network: nn.Module, preset: Preset, device: torch.device) -> None:
        self.network, self.preset, self.device = network, preset, device
        self.windows = 0

    def autocast(self, enabled: bool) -> torch.autocast:
        """float16 on CUDA, as the bundle asks for; bfloat16 on a CPU."""
        dtype = torch.float16 if self.device.type == "cuda" else torch.bfloat16
        return torch.autocast(self.device.type, dtype, enabled=enabled)

    @torch.no_grad()
    def window(self, window_XYZ: Tensor, class_ids: Sequence[int], autocast: bool) -> Tensor:
        """Logits [K, 1, X, Y, Z] of one window scaled to 0..1."""
        prompt_K1 = torch.tensor(class_ids, device=self.device)[:, None]
        with self.autocast(autocast):
            logits: Tensor = self.network(window_XYZ[None, None].to(self.device), class_vector=prompt_K1)
        return logits

    @torch.no_grad()
    def segment(self, path: Path, class_ids: Sequence[int], autocast: bool, out: Path | None) -> NDArray[np.float32]:
        """Class ids [X, Y, Z] on the file's own grid, 0 = none.

        Args:
            path: NIfTI, HU.
            class_ids: what to look for.
            autocast: in half precision, or in float32.
            out: folder to save the label map in.
        """
        from monai.apps.vista3d.transforms import VistaPostTransformd
        from monai.inferers import SlidingWindowInferer
        from monai.transforms import Compose, Invertd, SaveImaged

        before = self._preprocessing()
        item = before({"image": str(path)})
        prompt_K1 = torch.tensor(class_ids, device=self.device)[:, None]

        def predict(window_11XYZ: Tensor) -> Tensor:
            self.windows += len(window_11XYZ)
            logits_K1XYZ: Tensor = self.network(window_11XYZ, class_vector=prompt_K1)
            return logits_K1XYZ.transpose(1, 0)

        inferer = SlidingWindowInferer(self.preset.window, sw_batch_size=1, overlap=OVERLAP, padding_mode="replicate")
        with self.autocast(autocast):
            item["pred"] = inferer(item["image"][None], predict)[0]
        item["label_prompt"] = prompt_K1[:, 0]
        back = Invertd("pred", before, orig_keys="image", nearest_interp=True, to_tensor=True)
        steps: list[Any] = [VistaPostTransformd("pred"), back]
        if out is not None:
            steps.append(
                SaveImaged("pred", output_dir=str(out), separate_folder=False, resample=False, print_log=False)
            )
        labels: NDArray[np.float32] = np.asarray(Compose(steps)(item)["pred"][0].cpu())
        return labels

    def _preprocessing(self) -> Any:
        from monai import transforms as t

        low, high = self.preset.hu_window
        return t.Compose(
            [
                t.LoadImaged("image", image_only=True),
                t.EnsureChannelFirstd("image"),
                t.EnsureTyped("image", device=self.device, track_meta=True),
                t.Spacingd("image", pixdim=self.preset.spacing, mode="bilinear"),
                t.CropForegroundd("image", source_key="image", allow_smaller=True, margin=_MARGIN),
                t.ScaleIntensityRanged("image", a_min=low, a_max=high, b_min=0, b_max=1, clip=True),
                t.Orientationd("image", axcodes="RAS"),
                t.CastToTyped("image", dtype=torch.float32),
            ]
        )

    @torch.no_grad()
    def click(self, image_XYZ: Tensor, clicks: Sequence[Click], autocast: bool) -> Tensor:
        """Logits [X, Y, Z] of one object on a prepared image (0..1); every click is a window, every time."""
        from monai.apps.vista3d.inferer import point_based_window_inferer
        from monai.data import MetaTensor

        points = torch.tensor([[click.voxel for click in clicks]], device=self.device)
        labels = torch.tensor([[int(click.positive) for click in clicks]], device=self.device)
        with self.autocast(autocast):
            logits = point_based_window_inferer(
                inputs=MetaTensor(image_XYZ[None, None].to(self.device)),
                roi_size=self.preset.window,
                predictor=self.network,
                point_coords=points,
                point_labels=labels,
                transpose=True,
            )
        found: Tensor = logits[0, 0]
        return found


class PeersLearner:
    """MONAI's network, loss and AdamW: a step takes one window after the other, as the network's forward demands.

    Args:
        network: float32, on its device; it is trained.
        learning_rate, weight_decay, gradient_clip: as ours.
    """

    def __init__(self, network: nn.Module, learning_rate: float, weight_decay: float, gradient_clip: float) -> None:
        from monai.losses import DiceCELoss

        self.network, self.clip = network.train(), gradient_clip
        self.device = next(network.parameters()).device
        self.loss = DiceCELoss(sigmoid=True, squared_pred=True, smooth_nr=0, smooth_dr=1e-5)
        self.optimiser = torch.optim.AdamW(network.parameters(), lr=learning_rate, weight_decay=weight_decay)

    def step(self, images_NXYZ: Tensor, ids_K: Tensor, targets_NKXYZ: Tensor, precision: torch.dtype) -> float:
        """Learn from N windows that are asked for the same classes; returns the mean loss."""
        total = 0.0
        for image_XYZ, targets_KXYZ in zip(images_NXYZ, targets_NKXYZ, strict=True):
            with torch.autocast(self.device.type, precision, enabled=precision != torch.float32):
                image = image_XYZ[None, None].to(self.device)
                logits_K1XYZ = self.network(image, class_vector=ids_K[:, None].to(self.device))
            loss = self.loss(logits_K1XYZ.float(), targets_KXYZ[:, None].to(self.device).float()) / len(images_NXYZ)
            loss.backward()
            total += float(loss.detach())
        used = [parameter for parameter in self.network.parameters() if parameter.grad is not None]
        nn.utils.clip_grad_norm_(used, self.clip)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        return total
