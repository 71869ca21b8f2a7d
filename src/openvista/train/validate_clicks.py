"""Validation of the point branch during training: Dice after one click per structure, on the model grid.

The click is the simulated user's first one, the middle of the structure; only the window around it is looked at.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from openvista.anatomy.catalogue import SPECIAL_IDS
from openvista.grid import Axis3
from openvista.inference.windows import pad, plan_windows
from openvista.model import ClickLabel, Vista3D
from openvista.simulate.user import first_user_click
from openvista.train.cases import TrainingCase
from openvista.train.validate import dice_where_known

_TOGETHER = 4
"""Windows that go through the network at once."""


def validate_clicks(network: Vista3D, cases: Sequence[TrainingCase], classes: dict[int, int]) -> dict[int, float]:
    """Mean one-click Dice per class id over the cases that are annotated for it and have it.

    Args:
        network: with a point branch; in any mode, left as it was.
        cases: prepared, held-out cases.
        classes: label value to class id.
    """
    scores: dict[int, list[float]] = {}
    for case in cases:
        for value, score in one_click_dice(network, case, classes).items():
            scores.setdefault(classes[value], []).append(score)
    return {class_id: float(np.mean(values)) for class_id, values in sorted(scores.items())}


@torch.no_grad()
def one_click_dice(network: Vista3D, case: TrainingCase, classes: dict[int, int]) -> dict[int, float]:
    """Label value to Dice after one click, of every structure of the case that has a voxel."""
    present = [value for value in case.annotated if value in classes and bool((case.labels_XYZ == value).any())]
    x, y, z = case.image_XYZ.shape
    plan = plan_windows((x, y, z), network.preset.window, overlap=0)
    padded_XYZ = pad(case.image_XYZ.float(), plan, "constant")
    scores = {}
    for first in range(0, len(present), _TOGETHER):
        some = present[first : first + _TOGETHER]
        clicks = [_padded_click(case, value, plan.pad_before) for value in some]
        boxes = [window_around(click, plan.window, plan.padded) for click in clicks]
        labels = [
            ClickLabel.SPECIAL_POSITIVE if classes[value] in SPECIAL_IDS else ClickLabel.POSITIVE for value in some
        ]
        masks = _answers(network, padded_XYZ, clicks, boxes, labels)
        for value, box, mask in zip(some, boxes, masks, strict=True):
            whole = torch.zeros(plan.padded, dtype=torch.bool)
            whole[box] = mask
            a, b, c = plan.pad_before
            score = dice_where_known(whole[a : a + x, b : b + y, c : c + z], case, value)
            if score is not None:
                scores[value] = score
    return scores


def window_around(place: Axis3, window: Axis3, volume: Axis3) -> tuple[slice, slice, slice]:
    """The window whose middle is the place, shifted to lie inside a volume that is at least as large."""
    starts = [
        min(max(at - side // 2, 0), length - side) for at, side, length in zip(place, window, volume, strict=True)
    ]
    x, y, z = (slice(start, start + side) for start, side in zip(starts, window, strict=True))
    return x, y, z


def _label(class_id: int) -> ClickLabel:
    return ClickLabel.SPECIAL_POSITIVE if class_id in SPECIAL_IDS else ClickLabel.POSITIVE


def _padded_click(case: TrainingCase, value: int, pad_before: Axis3) -> Axis3:
    place = first_user_click((case.labels_XYZ == value).numpy(), case.spacing)
    x, y, z = (at + before for at, before in zip(place, pad_before, strict=True))
    return x, y, z


def _answers(
    network: Vista3D,
    padded_XYZ: Tensor,
    clicks: list[Axis3],
    boxes: list[tuple[slice, slice, slice]],
    labels: list[ClickLabel],
) -> list[Tensor]:
    """The mask [X, Y, Z] of each click in its window."""
    device = next(network.parameters()).device
    images_N1XYZ = torch.stack([padded_XYZ[box] for box in boxes])[:, None].to(device)
    images_N1XYZ = images_N1XYZ.contiguous(memory_format=torch.channels_last_3d)
    windows = network.point_head.prepare_all(network.point_decoder(network.encoder(images_N1XYZ)))
    masks = []
    for click, box, label, window in zip(clicks, boxes, labels, windows, strict=True):
        place = torch.tensor([at - side.start for at, side in zip(click, box, strict=True)])
        logits = network.point_logits(window, place[None, None], torch.tensor([[int(label)]]))
        masks.append((logits[0, 0] > 0).cpu())
    return masks
