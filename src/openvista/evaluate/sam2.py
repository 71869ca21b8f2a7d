"""SAM 2 as something to compare with: a scan's slices shown to it as a video.

Taken from ``transformers``; any ``Sam2VideoModel`` does. Of that package only the model is used: its processor would
want torchvision, and all it does here is resizing and scaling.

Shape letters: T slices shown, H W rows and columns of a slice (axes X and Y of the scan), S side of the network's
input.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

from openvista.anatomy import official_vocabulary
from openvista.evaluate.clicks import PaperVariant, answers_of_rounds
from openvista.evaluate.labelled_scan import LabelledScan
from openvista.evaluate.meter import Meter
from openvista.evaluate.protocol import Answers, ProtocolSettings
from openvista.geometry.box import Box
from openvista.geometry.components import largest_component, nearest_voxel
from openvista.geometry.grid import Axis3
from openvista.metrics.masks import dice
from openvista.scan import Scan
from openvista.supervoxels.sam_features import PIXEL_DEVIATION, PIXEL_MEAN, Family, load_pretrained, side_length
from openvista.weights.store import fingerprint

logger = logging.getLogger(__name__)

HU_WINDOW = (-1000.0, 1000.0)
"""HU that become black and white, as in the published comparison (He et al. 2024, arXiv 2408.11210, its code)."""
SAM2 = Family("SAM 2", "sam2_video", "Sam2VideoModel", "facebook/sam2.1-hiera-large", "compare with SAM 2")
FIRST_ROUNDS = 4
"""Clicks on the first slice at most."""
_FEATURE_FRAMES = 64
"""Slices whose features are kept for the next round: 1 GB for published sizes."""
_OBJECT, _INDEX = 1, 0
_ERODER = np.ones((3, 3), bool)

Mask = NDArray[np.bool_]
Point = tuple[int, int, bool]
"""Row, column, and whether the object is there."""


@dataclass(frozen=True)
class Sam2Card:
    """What evaluation wants to know of it, as of a model of ours."""

    name: str
    weights_sha256: str
    branches: tuple[str, ...] = ("video",)
    class_ids: tuple[int, ...] = field(default_factory=lambda: tuple(official_vocabulary().ids))
    extra_classes: Mapping[int, str] = field(default_factory=dict)
    extra_aliases: Mapping[int, tuple[str, ...]] = field(default_factory=dict)


class Sam2:
    """SAM 2 with its weights.

    Args:
        model: it is taken over: moved and put in evaluation mode.
        name: where it came from.
        device: where to compute; a GPU computes in bfloat16.
    """

    def __init__(self, model: Any, name: str, device: torch.device) -> None:
        self.model = model.eval().requires_grad_(False).to(device)
        self.device = device
        self.card = Sam2Card(name, fingerprint(model))
        self.side = side_length(model.config.image_size)

    def __str__(self) -> str:
        return f"{self.device}, {'bfloat16' if self.device.type == 'cuda' else 'float32'} network"

    def autocast(self) -> torch.autocast:
        """The context to run it in."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda")


def load_sam2(name_or_folder: str | Path, device: torch.device) -> Sam2:
    """SAM 2 from a local folder or, by name, from the Hugging Face hub (downloaded once, then cached).

    Raises:
        MissingExtraError: transformers is not installed.
        ModelError: there is no such model, it is no SAM 2 video model, or weights are missing.
    """
    model, name = load_pretrained(name_or_folder, SAM2)
    return Sam2(model, name, device)


def run_slices(sam2: Sam2, labelled: LabelledScan, settings: ProtocolSettings, meter: Meter) -> Answers:
    """One object at a time; after n annotated slices its mask on the whole scan."""
    for structure in labelled.structures:
        truth = labelled.truth(structure)
        if not truth.any():
            continue
        shown = np.arange(truth.shape[2])
        if PaperVariant.NO_BACKGROUND in settings.variants:
            shown = np.flatnonzero(truth.any(axis=(0, 1)))
        slices = shown + structure.region.start[2]
        video = Video(sam2, labelled.scan, slices.tolist())
        rounds = _annotate(video, truth[:, :, shown], settings.random(labelled, structure.class_id), meter)
        masks = (_on_scan(mask_HWT, slices, labelled) for mask_HWT in rounds)
        yield from answers_of_rounds(labelled, structure, masks, settings, meter)


class Video:
    """Slices of a scan, and what was said about one object in them.

    Args:
        sam2: what tracks.
        scan: HU.
        slices: indices along the file's third axis, in the order to show them.
    """

    def __init__(self, sam2: Sam2, scan: Scan, slices: Sequence[int]) -> None:
        from transformers import Sam2VideoInferenceSession

        self.sam2, self.shape = sam2, (scan.grid.shape[0], scan.grid.shape[1])
        kept: Any = Sam2VideoInferenceSession(
            video_height=self.shape[0],
            video_width=self.shape[1],
            inference_device=sam2.device,
            inference_state_device=sam2.device,
            dtype=torch.float32,
            max_vision_features_cache_size=_FEATURE_FRAMES,
        )
        kept.processed_frames = _Frames(scan, tuple(slices), sam2.side)
        self.session = kept

    def forget(self) -> None:
        """Start anew with another object; features of slices are kept."""
        self.session.reset_tracking_data()
        self.session.obj_id_to_idx(_OBJECT)

    def click(self, frame: int, points: Sequence[Point]) -> Mask:
        """All clicks so far on one slice to its mask [H, W]. What was tracked before is remembered with them."""
        rows, columns = self.shape
        side = self.sam2.side
        places = [[column * side / columns, row * side / rows] for row, column, _ in points]
        labels = [int(positive) for *_, positive in points]
        inputs = {"point_coords": torch.tensor([[places]]), "point_labels": torch.tensor([[labels]], dtype=torch.int32)}
        self.session.add_point_inputs(_INDEX, frame, inputs)
        self.session.obj_with_new_inputs = [_OBJECT]
        tracked = self.session.frames_tracked_per_obj[_INDEX].get(frame, {})
        with self.sam2.autocast():
            output = self.sam2.model(self.session, frame_idx=frame, reverse=tracked.get("reverse", False))
        # what was clicked on is to guide other slices from now on, and not to be tracked over; of a slice that guided
        # before, the memory was renewed in the older output
        outputs = self.session.output_dict_per_obj[_INDEX]
        if frame in outputs["non_cond_frame_outputs"]:
            newer = outputs["non_cond_frame_outputs"].pop(frame)
            outputs["cond_frame_outputs"][frame] = outputs["cond_frame_outputs"].get(frame, {}) | newer
        return self._mask(output.pred_masks)

    def track(self) -> Mask:
        """Masks [H, W, T] of all slices: from the first one clicked on forwards, then backwards."""
        masks = np.zeros((*self.shape, len(self.session.processed_frames)), bool)
        with self.sam2.autocast():
            for reverse in (False, True):
                for output in self.sam2.model.propagate_in_video_iterator(self.session, reverse=reverse):
                    masks[:, :, output.frame_idx] = self._mask(output.pred_masks)
        return masks

    def _mask(self, logits_11HW: Tensor) -> Mask:
        resized = functional.interpolate(logits_11HW.float(), self.shape, mode="bilinear", align_corners=False)
        return np.asarray((resized[0, 0] > 0).cpu().numpy())


class _Frames(Mapping[int, Tensor]):
    """Slices as the network takes them [3, S, S], made when they are asked for."""

    def __init__(self, scan: Scan, slices: tuple[int, ...], side: int) -> None:
        self.scan, self.slices, self.side = scan, slices, side

    def __len__(self) -> int:
        return len(self.slices)

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.slices)))

    def __getitem__(self, frame: int) -> Tensor:
        low, high = HU_WINDOW
        slice_HW = np.ascontiguousarray(self.scan.voxels[:, :, self.slices[frame]]).astype(np.float32)
        grey_HW = torch.from_numpy((slice_HW - low) / (high - low)).clamp(0, 1).mul(255).floor()
        size = (self.side, self.side)
        resized = functional.interpolate(grey_HW[None, None], size, mode="bilinear", antialias=True)[0]
        mean, deviation = (torch.tensor(values)[:, None, None] for values in (PIXEL_MEAN, PIXEL_DEVIATION))
        return (resized - mean) / deviation


def _annotate(video: Video, truth_HWT: Mask, random: np.random.Generator, meter: Meter) -> Iterator[Mask]:
    """Masks of the slices shown after one more slice was annotated; ends when there is nothing to click on."""
    row, column, frame = _middle(truth_HWT)
    points: dict[int, list[Point]] = {frame: [(row, column, True)]}
    with meter.on():
        for _ in range(FIRST_ROUNDS):
            video.forget()
            mask_HW = video.click(frame, points[frame])
            larger, positive = _larger(*_errors(truth_HWT[:, :, frame], mask_HW))
            if not larger.any() or len(points[frame]) == FIRST_ROUNDS:
                break
            points[frame].append((*_centre(larger), positive))
        masks_HWT = video.track()
    while True:
        yield masks_HWT
        frame = _worst(truth_HWT, masks_HWT)
        new = _corrections(truth_HWT[:, :, frame], masks_HWT[:, :, frame], random)
        if not new:
            return
        points.setdefault(frame, []).extend(new)
        with meter.on():
            video.click(frame, points[frame])
            masks_HWT = video.track()


def _middle(truth_HWT: Mask) -> Axis3:
    """The voxel of the largest component that is nearest to its mean."""
    component = largest_component(truth_HWT)
    assert component is not None  # a structure that is not there is not annotated
    return nearest_voxel(np.argwhere(component.on(Box.whole(truth_HWT.shape), False)))


def _errors(truth_HW: Mask, mask_HW: Mask) -> tuple[Mask, Mask]:
    """What is missing and what is too much, eroded."""
    missing = ndimage.binary_erosion(truth_HW & ~mask_HW, _ERODER)
    return missing, ndimage.binary_erosion(mask_HW & ~truth_HW, _ERODER)


def _larger(missing_HW: Mask, superfluous_HW: Mask) -> tuple[Mask, bool]:
    """The error with more pixels, and whether the object is missing there."""
    positive = bool(missing_HW.sum() > superfluous_HW.sum())
    return (missing_HW if positive else superfluous_HW), positive


def _centre(error_HW: Mask) -> tuple[int, int]:
    """The pixel of an error that is nearest to its mean."""
    return nearest_voxel(np.argwhere(error_HW[:, :, None]))[:2]


def _corrections(truth_HW: Mask, mask_HW: Mask, random: np.random.Generator) -> list[Point]:
    """A click in the middle of each error, and one anywhere in the larger one."""
    missing, superfluous = _errors(truth_HW, mask_HW)
    points = [(*_centre(error), positive) for error, positive in ((missing, True), (superfluous, False)) if error.any()]
    larger, positive = _larger(missing, superfluous)
    if larger.any():
        pixels = np.argwhere(larger)
        row, column = pixels[random.integers(len(pixels))].tolist()
        points.append((row, column, positive))
    return points


def _worst(truth_HWT: Mask, masks_HWT: Mask) -> int:
    """The slice with truth whose Dice is lowest; of those that are equally bad the one with the most wrong pixels."""
    wrong = (truth_HWT ^ masks_HWT).sum(axis=(0, 1))
    frames = np.flatnonzero(truth_HWT.any(axis=(0, 1))).tolist()
    return min(frames, key=lambda t: (dice(masks_HWT[:, :, t], truth_HWT[:, :, t]), -wrong[t]))


def _on_scan(masks_HWT: Mask, slices: np.ndarray, labelled: LabelledScan) -> Mask:
    whole = np.zeros(labelled.labels_XYZ.shape, bool)
    whole[:, :, slices] = masks_HWT
    return whole
