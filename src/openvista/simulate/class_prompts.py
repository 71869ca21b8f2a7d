"""Which classes to ask for on a training patch (paper facts §6, stages 3 and 4)."""

from collections.abc import Sequence

import torch
from torch import Tensor


def choose_class_prompts(
    labels_XYZ: Tensor,
    annotated: Sequence[int],
    most_present: int,
    most_absent: int,
    random: torch.Generator,
) -> list[int]:
    """Label values to prompt: some that are in the patch and a few that are not.

    Only annotated values are ever prompted: an unmarked structure is unknown, so it gives no target. Background
    itself is never prompted; an absent class has an empty mask as its target.

    Args:
        labels_XYZ: label values of the patch.
        annotated: values somebody marked in this scan.
        most_present, most_absent: at most this many of each.
        random: source of randomness.
    """
    found = set(torch.unique(labels_XYZ).tolist())
    present = [value for value in annotated if value in found]
    absent = [value for value in annotated if value not in found]
    return _draw(present, most_present, random) + _draw(absent, most_absent, random)


def _draw(values: list[int], most: int, random: torch.Generator) -> list[int]:
    order = torch.randperm(len(values), generator=random).tolist()
    return [values[index] for index in order[:most]]
