"""The ``inferer`` of a bundle: a prepared volume in, ids on the same grid out; the engine is that of the package."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor, nn

from openvista.anatomy.catalogue import LAST_OFFICIAL_ID
from openvista.bundle.command import reporting
from openvista.bundle.network import BundleNetwork, plain_network, with_own_classes
from openvista.bundle.prompts import Prompt
from openvista.errors import InputError, PromptError
from openvista.geometry.grid import Float3, Grid
from openvista.inference.device import plan_compute
from openvista.inference.profiles import find_profile
from openvista.model import Model
from openvista.prompts import Click
from openvista.scan import Scan
from openvista.session.lattice import Lattice
from openvista.session.session import SessionObject

logger = logging.getLogger(__name__)

UNNAMED = 1
"""Value of a structure that clicks alone describe."""


@dataclass
class BundleInferer:
    """Answers prompts on a volume that ``preprocessing`` made: axes R A S, 0..1.

    Attributes:
        roi_size: voxels of a window.
        overlap: share of a window that the next one covers again.
        sw_batch_size: windows at once. Any number gives the same result; the engine decides by itself.
        use_point_window: clicks are answered in windows around them. False: the mask grows on into others.
        everything_labels: ids asked for where there is no prompt; ``None`` for all that the model knows.
        profile: of :mod:`openvista.inference.profiles`.

    Raises:
        InputError: no such profile, or an impossible overlap.
    """

    roi_size: Sequence[int]
    overlap: float = 0.3
    sw_batch_size: int = 1
    use_point_window: bool = True
    everything_labels: Sequence[int] | None = None
    profile: str = "bundle"

    @reporting()
    def __post_init__(self) -> None:
        self._profile = find_profile(self.profile).override(overlap=self.overlap)

    def __call__(
        self,
        inputs: Tensor,
        network: nn.Module,
        prompt: Prompt | None = None,
        precision: str = "auto",
        **unused: Any,
    ) -> Tensor:
        """Ids [1, 1, X, Y, Z] as float32; NaN where no window of a click looked.

        Args:
            inputs: [1, 1, X, Y, Z]; with MONAI's ``affine`` and ``original_affine``, or 1.5 mm voxels and clicks on
                this grid.
            network: a :class:`BundleNetwork`, or what MONAI's ``ckpt_export`` made of one.
            prompt: ``None`` for everything.
            precision: "auto" or "float32".

        Raises:
            PromptError: a click outside the volume.
            InputError: more than one volume, or a network that answers no clicks.
        """
        if unused:
            raise InputError(f"inferer: nobody reads {sorted(unused)[0]!r}")
        if inputs.shape[:2] != (1, 1):
            raise InputError(f"one volume at a time, not a batch of shape {tuple(inputs.shape)}: set batch_size to 1")
        prompt = prompt or Prompt()
        plain = plain_network(network)
        if not isinstance(plain, BundleNetwork):
            return self._compiled(inputs, network, prompt)
        ids = prompt.class_ids or self.everything_labels or ()
        scan = _as_scan(inputs, plain)
        model = self._model(plain, scan.grid.spacing, str(inputs.device), precision, ids)
        if prompt.clicks:
            labels_XYZ = self._click(model, scan, prompt, _on_grid(inputs, prompt.clicks))
        else:
            found = model.segment(scan, list(ids) or None, profile=self._profile)
            labels_XYZ = found.labels.astype(np.float32)
        return _like(inputs, torch.from_numpy(labels_XYZ)[None, None].to(inputs.device))

    def _model(self, network: BundleNetwork, spacing: Float3, device: str, precision: str, ids: Sequence[int]) -> Model:
        """The model that looks at this grid, with these windows; it knows what is asked for."""
        x, y, z = (int(side) for side in self.roi_size)
        multiple = network.network.preset.window_multiple
        if min(x, y, z) < 2 * multiple or x % multiple or y % multiple or z % multiple:
            raise InputError(f"patch_size {[x, y, z]}: give three multiples of {multiple}, {2 * multiple} or more")
        key = ((x, y, z), spacing, device, precision, tuple(ids))
        if key not in network.models:
            network.network.preset = replace(network.network.preset, window=(x, y, z), spacing=spacing)
            card = with_own_classes(network.card, ids)
            classes = sorted({*card.classes, *(one for one in ids if one <= LAST_OFFICIAL_ID)})
            card = replace(card, window=(x, y, z), spacing=spacing, classes=tuple(classes))
            network.models = {key: Model(network.network, card, plan_compute(device, precision))}
        model: Model = network.models[key]
        return model

    def _click(self, model: Model, scan: Scan, prompt: Prompt, clicks: Sequence[Click]) -> NDArray[np.float32]:
        session = model.open(scan, profile=self._profile)
        target: Any = prompt.class_ids[0] if prompt.class_ids else None
        if prompt.zero_shot:
            target = session.new_object("structure")
        answer = session.clicks(clicks, target, grow=not self.use_point_window)
        for note in answer.notes:
            logger.warning("%s", note)
        found = session.object(answer.name)
        if prompt.class_ids:
            return np.where(found.mask, np.float32(prompt.class_ids[0]), np.float32(0))
        labels_XYZ = np.where(clicked_parts(found.mask, clicks), np.float32(UNNAMED), np.float32(0))
        labels_XYZ[~_looked_at(found, Lattice(scan.grid.shape, model.card.window))] = np.nan
        return labels_XYZ

    def _compiled(self, inputs: Tensor, network: nn.Module, prompt: Prompt) -> Tensor:
        """The network as MONAI's sliding window sees it: one logit per class of "everything" and voxel."""
        from monai.inferers import sliding_window_inference

        if prompt != Prompt() or self.everything_labels is None:
            raise InputError("a compiled network answers everything and nothing else: use models/model.pt for prompts")
        logits_1KXYZ = sliding_window_inference(
            inputs,
            tuple(self.roi_size),
            self.sw_batch_size,
            network,
            self.overlap,
            "gaussian",
            padding_mode="replicate",
        )
        assert isinstance(logits_1KXYZ, Tensor)
        best_11XYZ, index_11XYZ = logits_1KXYZ.max(1, keepdim=True)
        ids_K = torch.as_tensor(list(self.everything_labels), device=inputs.device)
        return _like(inputs, torch.where(best_11XYZ > 0, ids_K[index_11XYZ], 0).float())


def clicked_parts(mask_XYZ: NDArray[np.bool_], clicks: Sequence[Click]) -> NDArray[np.bool_]:
    """The connected parts (by faces) of a mask that hold a positive click; all of it where no part does."""
    parts_XYZ, _ = ndimage.label(mask_XYZ)
    places = [tuple(round(part) for part in click.voxel) for click in clicks if click.positive]
    wanted = {int(parts_XYZ[place]) for place in places} - {0}
    return np.isin(parts_XYZ, list(wanted)) if wanted else mask_XYZ


def _like(inputs: Tensor, result: Tensor) -> Tensor:
    """The result with what MONAI's tensors know of the file and of the steps to undo."""
    if not hasattr(inputs, "copy_meta_from"):
        return result
    tracked: Tensor = type(inputs)(result).copy_meta_from(inputs)  # type: ignore[attr-defined]
    return tracked


def _affine(inputs: Tensor) -> NDArray[np.float64]:
    """Voxels of this volume to mm, 4×4."""
    affine = getattr(inputs, "affine", None)
    return np.diag([1.5, 1.5, 1.5, 1.0]) if affine is None else np.asarray(affine, np.float64).reshape(-1, 4, 4)[0]


def _as_scan(inputs: Tensor, network: BundleNetwork) -> Scan:
    """The volume as HU on a grid along R, A, S, which preparing then leaves as it is."""
    low, high = network.card.hu_window
    image_XYZ = torch.as_tensor(inputs)[0, 0].detach().float().cpu().numpy()
    x, y, z = np.linalg.norm(_affine(inputs)[:3, :3], axis=0).tolist()
    shape = (image_XYZ.shape[0], image_XYZ.shape[1], image_XYZ.shape[2])
    return Scan(low + np.asarray(image_XYZ) * np.float32(high - low), Grid(shape, np.diag([x, y, z, 1.0])), "scan")


def _on_grid(inputs: Tensor, clicks: Sequence[Click]) -> list[Click]:
    """Clicks in voxels of the file as voxels of this volume."""
    meta = getattr(inputs, "meta", None) or {}
    original = meta.get("original_affine")
    change = np.eye(4)
    if original is not None:
        change = np.linalg.inv(_affine(inputs)) @ np.asarray(original, np.float64).reshape(-1, 4, 4)[0]
    moved = []
    for click in clicks:
        x, y, z = (change[:3, :3] @ np.array(click.voxel) + change[:3, 3]).tolist()
        inside = all(-0.5 <= part < side - 0.5 for part, side in zip((x, y, z), inputs.shape[2:], strict=True))
        if not inside:
            raise PromptError(f"points: {list(click.voxel)} lies outside the scan; give voxels of the file, from 0 on")
        moved.append(Click((x, y, z), click.positive))
    return moved


def _looked_at(clicked: SessionObject, lattice: Lattice) -> NDArray[np.bool_]:
    """[X, Y, Z] voxels that lie in a window of this object."""
    seen_XYZ = np.zeros(lattice.volume, bool)
    for window in clicked.state.inputs.windows:
        seen_XYZ[lattice.inside(window.start).slices()] = True
    return seen_XYZ
