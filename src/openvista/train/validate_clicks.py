"""Validation of the point branch during training: Dice after one click per structure, on the model grid.

The click is the simulated user's first one, the middle of the structure; only the window around it is looked at.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from openvista.anatomy.catalogue import SPECIAL_IDS
from openvista.geometry.grid import Axis3, Float3
from openvista.inference.windows import pad, plan_windows
from openvista.network import ClickLabel, Vista3D
from openvista.simulate.class_prompts import class_target
from openvista.simulate.user import first_user_click
from openvista.train.cases import TrainingCase
from openvista.train.validate import TOGETHER, dice_where_known


@torch.no_grad()
def one_click_dice(network: Vista3D, case: TrainingCase, class_ids: Sequence[int]) -> dict[int, float]:
    """Dice after one click by class id, of every class the case is annotated for and has.

    Args:
        network: with a point branch; in any mode, left as it was.
        case: a prepared case.
        class_ids: classes to click on.
    """
    x, y, z = case.image_XYZ.shape
    plan = plan_windows((x, y, z), network.preset.window, overlap=0)
    padded_XYZ = pad(case.image_XYZ.float(), plan, "constant")
    truths = {
        class_id: class_target(case.labels_XYZ, class_id, {one: one for one in class_ids})
        for class_id in case.annotated
        if class_id in class_ids and class_id not in case.pseudo
    }
    present = [class_id for class_id, truth in truths.items() if bool(truth.any())]
    scores = {}
    for first in range(0, len(present), TOGETHER):
        some = present[first : first + TOGETHER]
        clicks = [_padded_click(truths[class_id], case.spacing, plan.pad_before) for class_id in some]
        boxes = [window_around(click, plan.window, plan.padded) for click in clicks]
        masks = _answers(network, padded_XYZ, clicks, boxes, [_label(class_id) for class_id in some])
        for class_id, box, mask in zip(some, boxes, masks, strict=True):
            whole = torch.zeros(plan.padded, dtype=torch.bool)
            whole[box] = mask
            a, b, c = plan.pad_before
            score = dice_where_known(whole[a : a + x, b : b + y, c : c + z], truths[class_id], case, class_id)
            if score is not None:
                scores[class_id] = score
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


def _padded_click(truth_XYZ: Tensor, spacing: Float3, pad_before: Axis3) -> Axis3:
    place = first_user_click(truth_XYZ.numpy(), spacing)
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
