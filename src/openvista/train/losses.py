"""The loss of the recipe: Dice + binary cross-entropy on sigmoid, averaged over prompts (paper facts §6)."""

import torch
from torch import Tensor
from torch.nn import functional


def dice_bce_loss(
    logits_KXYZ: Tensor, target_KXYZ: Tensor, known_KXYZ: Tensor | None = None, weights_K: Tensor | None = None
) -> Tensor:
    """Mean over K prompts of Dice loss (squared denominator, smooth 0 / 1e-5) plus cross-entropy.

    Args:
        logits_KXYZ: float32 logits, one volume per prompt.
        target_KXYZ: 0 or 1, same shape. An absent structure is all 0: its Dice term is constant, its
            cross-entropy pushes the logits down.
        known_KXYZ: where the truth is known (1) or not (0); ``None`` is known everywhere. Unknown voxels
            contribute nothing.
        weights_K: how much each prompt counts; ``None`` is 1 each.
    """
    logits = logits_KXYZ.flatten(1)
    target = target_KXYZ.flatten(1).to(logits.dtype)
    weight = torch.ones_like(target) if known_KXYZ is None else known_KXYZ.flatten(1).to(logits.dtype)
    probability = torch.sigmoid(logits) * weight
    target = target * weight
    overlap = (probability * target).sum(1)
    dice = 1 - 2 * overlap / (probability.square().sum(1) + target.square().sum(1) + 1e-5)
    entropy = functional.binary_cross_entropy_with_logits(logits, target, weight, reduction="none")
    entropy = entropy.sum(1) / weight.sum(1).clamp(min=1)
    loss_K = dice + entropy
    return (loss_K if weights_K is None else loss_K * weights_K).mean()
