"""What is known about one training patch, and the objects that can be made of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from openvista.anatomy.catalogue import SPECIAL_IDS
from openvista.simulate.class_prompts import class_target, present_values


@dataclass(frozen=True)
class ClickObject:
    """One object of a patch.

    Attributes:
        target_XYZ: bool truth.
        known_XYZ: bool, where it is known.
        pieces_XYZ: int8; 1, 2, ... are the pieces of the object that need clicks of their own, -1 is the rest of an
            organ of which it is a part, 0 the rest of the patch.
        class_id: class id of the model, 0 if the object is not exactly a class.
        unseen: whether it is to be marked zero-shot.
    """

    target_XYZ: Tensor
    known_XYZ: Tensor
    pieces_XYZ: Tensor
    class_id: int = 0
    unseen: bool = False

    @property
    def special(self) -> bool:
        """Whether its clicks have labels of their own."""
        return self.class_id in SPECIAL_IDS


@dataclass(frozen=True)
class PatchTruth:
    """Labels of a patch and what they mean.

    Attributes:
        labels_XYZ: label values.
        annotated: label values somebody marked in this scan.
        classes: label value to class id.
        known_XYZ: label value to bool mask of where it is known; those without one are known everywhere.
    """

    labels_XYZ: Tensor
    annotated: Sequence[int]
    classes: Mapping[int, int]
    known_XYZ: Mapping[int, Tensor]

    def clickable(self) -> list[int]:
        """Label values with a class id, annotated, and with a voxel in the patch where their truth is known."""
        named = [value for value in self.annotated if value in self.classes]
        return [
            value
            for value in present_values(self.labels_XYZ, named, self.classes)
            if value not in self.known_XYZ or bool((self.target(value) & self.known_XYZ[value]).any())
        ]

    def target(self, value: int) -> Tensor:
        """Truth of a class, with what it includes."""
        return class_target(self.labels_XYZ, value, self.classes)

    def known(self, value: int) -> Tensor:
        """Where the truth of a class is known."""
        if value in self.known_XYZ:
            return self.known_XYZ[value]
        return torch.ones_like(self.labels_XYZ, dtype=torch.bool)

    def object_of(self, value: int) -> ClickObject:
        """The class itself as an object."""
        target_XYZ = self.target(value)
        return ClickObject(target_XYZ, self.known(value), target_XYZ.to(torch.int8), self.classes[value])
