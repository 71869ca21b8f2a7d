"""The simulated user of the evaluation protocol "clicks": always the same clicks for the same masks.

The first click goes to the middle of the structure, each further one to the middle of the largest error. Works on the
voxels of a scan with their spacing, so that "middle" is meant in mm. Where the answer comes from does not matter.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from openvista.errors import PromptError
from openvista.geometry.box import Crop, plus
from openvista.geometry.components import deepest_voxels, largest_component, nearest_voxel
from openvista.geometry.grid import Axis3, Float3
from openvista.network.point_head import ClickLabel
from openvista.simulate.clicks import Clicks, click_labels
from openvista.simulate.objects import ClickObjects


def first_user_click(truth_XYZ: NDArray[np.bool_], spacing: Float3) -> Axis3:
    """The middle of a structure: the deepest voxel of its largest component.

    Args:
        truth_XYZ: bool mask.
        spacing: mm per voxel along X, Y, Z.

    Raises:
        PromptError: the mask is empty.
    """
    component = largest_component(truth_XYZ)
    if component is None:
        raise PromptError("the structure has no voxel to click on: leave out cases without it")
    return _middle(component, spacing)


def next_user_click(
    truth_XYZ: NDArray[np.bool_], predicted_XYZ: NDArray[np.bool_], spacing: Float3
) -> tuple[Axis3, bool] | None:
    """The middle of the largest error, and whether the click is positive (missing) or negative (too much).

    Missing and superfluous voxels that touch are two errors; of two errors with as many voxels the missing one counts.

    Args:
        truth_XYZ, predicted_XYZ: bool masks on the same grid.
        spacing: mm per voxel along X, Y, Z.

    Returns:
        None when there is no error.

    Raises:
        PromptError: the masks differ in shape.
    """
    if truth_XYZ.shape != predicted_XYZ.shape:
        raise PromptError(
            f"truth {truth_XYZ.shape} and prediction {predicted_XYZ.shape} differ in shape: resample to one grid"
        )
    missing = largest_component(truth_XYZ & ~predicted_XYZ)
    superfluous = largest_component(predicted_XYZ & ~truth_XYZ)
    if missing is not None and (superfluous is None or missing.values_XYZ.sum() >= superfluous.values_XYZ.sum()):
        return _middle(missing, spacing), True
    if superfluous is not None:
        return _middle(superfluous, spacing), False
    return None


def _middle(component: Crop, spacing: Float3) -> Axis3:
    """The deepest voxel of a component, in voxels of the scan.

    What lies beyond the scan counts as outside, so a structure that is cut off is clicked in the middle of what is
    seen. Of several deepest voxels, as along a tube, the one nearest to the centre of mass is taken.
    """
    centre_3 = np.argwhere(component.values_XYZ).mean(axis=0)
    deepest_N3 = deepest_voxels(component.values_XYZ, spacing)
    return plus(nearest_voxel(deepest_N3, centre_3, spacing), component.start)


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
