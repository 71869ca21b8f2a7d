"""What the point branch is asked for on a training patch: some present classes, or objects made of supervoxels.

Shape letters: B objects, X Y Z voxels of the patch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from openvista.simulate.class_prompts import drawn
from openvista.simulate.supervoxel_mix import SupervoxelMixing, mixed_objects
from openvista.simulate.truth import ClickObject, PatchTruth


@dataclass(frozen=True)
class ClickObjects:
    """The objects of one patch. There may be none (B = 0): then there is nothing to click.

    Attributes:
        targets_BXYZ: bool truth per object.
        known_BXYZ: bool, where that truth is known.
        class_ids_B: int64 class id of the model, 0 for an object that is not exactly a class (made with supervoxels).
        special_B: bool, the class is special, its clicks have labels of their own.
        unseen_B: bool, to be marked zero-shot: objects made with supervoxels, and classes where the mixing says so.
        pieces_BXYZ: int8, what the first clicks have to show. 1, 2, ... are the pieces an object is put together from,
            -1 is the rest of an organ of which the object is a part. Hand it to
            :func:`openvista.simulate.clicks.first_clicks`.
    """

    targets_BXYZ: Tensor
    known_BXYZ: Tensor
    class_ids_B: Tensor
    special_B: Tensor
    unseen_B: Tensor
    pieces_BXYZ: Tensor

    def __len__(self) -> int:
        return len(self.class_ids_B)


def choose_click_objects(
    labels_XYZ: Tensor,
    annotated: Sequence[int],
    classes: Mapping[int, int],
    known_XYZ: Mapping[int, Tensor],
    most: int,
    random: torch.Generator,
    supervoxels_XYZ: Tensor | None = None,
    mixing: SupervoxelMixing | None = None,
) -> ClickObjects:
    """Choose objects to click on: present classes only, at most ``most``, each with the same chance.

    With supervoxels a chosen class may be replaced (:mod:`openvista.simulate.supervoxel_mix`); without them, or without
    ``mixing``, the objects are the classes themselves.

    Args:
        labels_XYZ: int64 label values of the patch.
        annotated: label values somebody marked in this scan; one without a class id is never chosen.
        classes: label value to class id. Truth overlaps: see :func:`class_target`.
        known_XYZ: label value to bool mask of where it is known; those without one are known everywhere.
        most: at most this many objects.
        random: source of randomness.
        supervoxels_XYZ: number of the supervoxel of each voxel, 0 for air.
        mixing: how to mix them in.
    """
    truth = PatchTruth(labels_XYZ, annotated, classes, known_XYZ)
    chosen = drawn(truth.clickable(), most, random)
    if supervoxels_XYZ is None or mixing is None:
        objects = [truth.object_of(value) for value in chosen]
    else:
        objects = mixed_objects(truth, chosen, supervoxels_XYZ, mixing, random)
    return _together(objects, labels_XYZ)


def _together(objects: Sequence[ClickObject], labels_XYZ: Tensor) -> ClickObjects:
    device = labels_XYZ.device
    none_XYZ = torch.zeros(0, *labels_XYZ.shape, dtype=torch.bool, device=device)
    return ClickObjects(
        targets_BXYZ=torch.stack([item.target_XYZ for item in objects]) if objects else none_XYZ,
        known_BXYZ=torch.stack([item.known_XYZ for item in objects]) if objects else none_XYZ,
        class_ids_B=torch.tensor([item.class_id for item in objects], dtype=torch.long, device=device),
        special_B=torch.tensor([item.special for item in objects], dtype=torch.bool, device=device),
        unseen_B=torch.tensor([item.unseen for item in objects], dtype=torch.bool, device=device),
        pieces_BXYZ=torch.stack([item.pieces_XYZ for item in objects]) if objects else none_XYZ.to(torch.int8),
    )
