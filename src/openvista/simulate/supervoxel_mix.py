"""Objects beyond the labelled classes, made with supervoxels (paper facts §6, "supervoxel variants")."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class MixedObject:
    """One object of a patch.

    Attributes:
        target_XYZ, known_XYZ: bool truth, and where it is known.
        class_id: class id of the model, 0 if it is no class.
        special: whether the class is special.
        unseen: whether it is marked zero-shot.
        other_part_XYZ: for one part of an organ, the rest of it.
    """

    target_XYZ: Tensor
    known_XYZ: Tensor
    class_id: int
    special: bool = False
    unseen: bool = False
    other_part_XYZ: Tensor | None = None


@dataclass(frozen=True)
class SupervoxelMixing:
    """How often a chosen class becomes what; the shares sum to 1."""

    plain: float = 0.6
    part: float = 0.1
    neighbour: float = 0.1
    unlabelled: float = 0.1
    merged: float = 0.1


def mix_supervoxels(
    objects: Sequence[MixedObject],
    labels_XYZ: Tensor,
    supervoxels_XYZ: Tensor,
    mixing: SupervoxelMixing,
    random: torch.Generator,
) -> list[MixedObject]:
    """The objects, some of them replaced."""
    raise NotImplementedError
