"""What the point branch is asked for on a training patch: some present classes, or objects made of supervoxels.

Shape letters: B objects, X Y Z voxels of the patch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from openvista.anatomy.catalogue import SPECIAL_IDS
from openvista.simulate.class_prompts import class_target, drawn, present_values
from openvista.simulate.supervoxel_mix import MixedObject, SupervoxelMixing, mix_supervoxels


@dataclass(frozen=True)
class ClickObjects:
    """The objects of one patch. There may be none (B = 0): then there is nothing to click.

    Attributes:
        targets_BXYZ: bool truth per object.
        known_BXYZ: bool, where that truth is known.
        class_ids_B: int64 class id of the model, 0 for an object that is no class (made of supervoxels).
        special_B: bool, the class is special, its clicks have labels of their own.
        unseen_B: bool, to be marked zero-shot: only objects made of supervoxels are.
        other_part_BXYZ: bool, for an object that is one part of an organ the rest of the organ, where its negative
            clicks belong (:func:`openvista.simulate.clicks.first_clicks`); all False for the others.
    """

    targets_BXYZ: Tensor
    known_BXYZ: Tensor
    class_ids_B: Tensor
    special_B: Tensor
    unseen_B: Tensor
    other_part_BXYZ: Tensor

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
    plain = [
        _class_object(labels_XYZ, value, classes, known_XYZ)
        for value in drawn(_clickable(labels_XYZ, annotated, classes, known_XYZ), most, random)
    ]
    if supervoxels_XYZ is None or mixing is None:
        return _together(plain, labels_XYZ)
    return _together(mix_supervoxels(plain, labels_XYZ, supervoxels_XYZ, mixing, random), labels_XYZ)


def _clickable(
    labels_XYZ: Tensor, annotated: Sequence[int], classes: Mapping[int, int], known_XYZ: Mapping[int, Tensor]
) -> list[int]:
    """Present classes with at least one voxel where their truth is known."""
    present = present_values(labels_XYZ, [value for value in annotated if value in classes], classes)
    return [
        value
        for value in present
        if value not in known_XYZ or bool((class_target(labels_XYZ, value, classes) & known_XYZ[value]).any())
    ]


def _class_object(
    labels_XYZ: Tensor, value: int, classes: Mapping[int, int], known_XYZ: Mapping[int, Tensor]
) -> MixedObject:
    target_XYZ = class_target(labels_XYZ, value, classes)
    known = known_XYZ[value] if value in known_XYZ else torch.ones_like(target_XYZ)
    return MixedObject(target_XYZ, known, classes[value], special=classes[value] in SPECIAL_IDS)


def _together(objects: Sequence[MixedObject], labels_XYZ: Tensor) -> ClickObjects:
    nothing_XYZ = torch.zeros_like(labels_XYZ, dtype=torch.bool)
    others = [nothing_XYZ if item.other_part_XYZ is None else item.other_part_XYZ for item in objects]
    device = labels_XYZ.device
    return ClickObjects(
        targets_BXYZ=_stacked([item.target_XYZ for item in objects], nothing_XYZ),
        known_BXYZ=_stacked([item.known_XYZ for item in objects], nothing_XYZ),
        class_ids_B=torch.tensor([item.class_id for item in objects], dtype=torch.long, device=device),
        special_B=torch.tensor([item.special for item in objects], dtype=torch.bool, device=device),
        unseen_B=torch.tensor([item.unseen for item in objects], dtype=torch.bool, device=device),
        other_part_BXYZ=_stacked(others, nothing_XYZ),
    )


def _stacked(masks: Sequence[Tensor], like_XYZ: Tensor) -> Tensor:
    return torch.stack(list(masks)) if masks else like_XYZ[None][:0]
