"""The clicks of the evaluation's simulated user on training patches: one at a time, in the middle of the largest error.

The paper's rule (:mod:`openvista.simulate.clicks`) always adds a positive and a negative click together, and none where
erosion leaves nothing of an error. So a network trained by it alone rarely meets what users do at the end: several
clicks of one kind on the same object, at thin errors.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from openvista.grid import Axis3, Float3
from openvista.model.point_head import ClickLabel
from openvista.simulate.clicks import Clicks, click_labels
from openvista.simulate.objects import ClickObjects
from openvista.simulate.user import first_user_click, next_user_click


def first_user_clicks(objects: ClickObjects, spacing: Float3) -> Clicks:
    """[B, 1]: a positive click in the middle of each object; PADDING where none of it is known to be there.

    Args:
        objects: on the CPU or not; their truth counts where it is known.
        spacing: mm per voxel along X, Y, Z.
    """
    places: list[tuple[Axis3, bool] | None] = []
    for inside_XYZ in (objects.targets_BXYZ & objects.known_BXYZ).cpu().numpy():
        places.append((first_user_click(inside_XYZ, spacing), True) if inside_XYZ.any() else None)
    return _as_clicks(places, objects.special_B)


def next_user_clicks(predicted_BXYZ: Tensor, objects: ClickObjects, spacing: Float3) -> Clicks | None:
    """[B, 1]: a click in the middle of each object's largest error; PADDING where it has none, None if none has any.

    Args:
        predicted_BXYZ: bool answer per object.
        objects, spacing: as in :func:`first_user_clicks`.
    """
    places = [
        next_user_click(truth_XYZ & known_XYZ, predicted_XYZ & known_XYZ, spacing)
        for truth_XYZ, known_XYZ, predicted_XYZ in zip(
            objects.targets_BXYZ.cpu().numpy(),
            objects.known_BXYZ.cpu().numpy(),
            predicted_BXYZ.cpu().numpy(),
            strict=True,
        )
    ]
    return None if all(place is None for place in places) else _as_clicks(places, objects.special_B)


def _as_clicks(places: Sequence[tuple[Axis3, bool] | None], special_B: Tensor) -> Clicks:
    given = [((0, 0, 0), False) if place is None else place for place in places]
    positive_B = torch.tensor([positive for _, positive in given], dtype=torch.bool)
    special_B = special_B.cpu()
    labels_B = torch.where(positive_B, click_labels(special_B, positive=True), click_labels(special_B, positive=False))
    nowhere_B = torch.tensor([place is None for place in places], dtype=torch.bool)
    voxels_B3 = torch.tensor([voxel for voxel, _ in given], dtype=torch.long).reshape(-1, 3)
    return Clicks(voxels_B3[:, None], labels_B.masked_fill(nowhere_B, int(ClickLabel.PADDING))[:, None])
