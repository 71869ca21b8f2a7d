"""Steps of ``postprocessing`` that are ours: plain callables on items, which MONAI's ``Compose`` takes."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from openvista.errors import InputError


@dataclass
class LabelMapd:
    """Makes sure that what the inferer gave is a label map, [1, X, Y, Z].

    In the official bundle this step makes a label map of logits; here the inferer has done so.

    Attributes:
        keys: what to look at.
        allow_missing_keys: skip an item that lacks one.
    """

    keys: Hashable | Sequence[Hashable] = "pred"
    allow_missing_keys: bool = False

    def __call__(self, item: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Raises: InputError: it has several channels."""
        for key in _listed(self.keys, item, self.allow_missing_keys):
            if item[key].shape[0] != 1:
                raise InputError(
                    f"{key} has {item[key].shape[0]} channels, a label map has one: leave inferer as it is"
                )
        return dict(item)


@dataclass
class FillUnseend:
    """Gives voxels that no window of a click looked at (NaN until here) a value.

    Attributes:
        keys: what to change.
        value: 0 is background. The official bundle writes 255, which viewers take for a structure.
        allow_missing_keys: skip an item that lacks one.
    """

    keys: Hashable | Sequence[Hashable] = "pred"
    value: int = 0
    allow_missing_keys: bool = False

    def __call__(self, item: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        changed = {
            key: torch.nan_to_num(item[key], nan=float(self.value))
            for key in _listed(self.keys, item, self.allow_missing_keys)
        }
        return {**item, **changed}


@dataclass
class ToUserLabelsd:
    """Turns class ids back into the label values of the user's files; what is mapped to nothing becomes 0.

    Attributes:
        label_mappings: by name of a data set, pairs of label value and class id.
        keys: what to change.
        dataset: the name.
    """

    label_mappings: Mapping[str, Sequence[Sequence[int]]]
    keys: Hashable | Sequence[Hashable] = "pred"
    dataset: str = "default"

    def __call__(self, item: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        changed = {}
        for key in _listed(self.keys, item, False):
            mapped = torch.zeros_like(item[key])
            for value, class_id in reversed(self.label_mappings[self.dataset]):  # the first value of a class wins
                mapped[item[key] == class_id] = value
            changed[key] = mapped
        return {**item, **changed}


def _listed(keys: Hashable | Sequence[Hashable], item: Mapping[Hashable, Any], may_lack: bool) -> list[Hashable]:
    every: Sequence[Hashable] = keys if isinstance(keys, (list, tuple)) else [keys]
    return [key for key in every if not may_lack or key in item]
