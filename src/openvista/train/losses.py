"""The loss of the recipe: Dice + binary cross-entropy on sigmoid, averaged over prompts (paper facts §6)."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

_SMOOTH = 1e-5


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
    loss_K: Tensor = _DiceBce.apply(logits_KXYZ, target_KXYZ, known_KXYZ)
    return (loss_K if weights_K is None else loss_K * weights_K).mean()


class _DiceBce(torch.autograd.Function):
    """The loss of each prompt, its gradient worked out on the way.

    On a CPU prompt by prompt: a volume stays in the cache from one operation to the next. Autograd would keep and
    read again half a dozen arrays as large as all prompts together.
    """

    @staticmethod
    def forward(ctx: Any, logits_KXYZ: Tensor, target_KXYZ: Tensor, known_KXYZ: Tensor | None) -> Tensor:
        prompts = len(logits_KXYZ)
        at_once = 1 if logits_KXYZ.device.type == "cpu" else prompts
        gradient_KXYZ = logits_KXYZ.new_empty(logits_KXYZ.shape) if ctx.needs_input_grad[0] else None
        losses = []
        for first in range(0, prompts, at_once):
            part = slice(first, first + at_once)
            known = None if known_KXYZ is None else known_KXYZ[part].flatten(1)
            into = None if gradient_KXYZ is None else gradient_KXYZ[part].flatten(1)
            losses.append(_loss_and_gradient(logits_KXYZ[part].flatten(1), target_KXYZ[part].flatten(1), known, into))
        ctx.save_for_backward(gradient_KXYZ)
        return torch.cat(losses)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient_K: Tensor) -> tuple[Tensor, None, None]:
        (gradient_KXYZ,) = ctx.saved_tensors
        return gradient_KXYZ * gradient_K[:, None, None, None], None, None


def _loss_and_gradient(logits_KV: Tensor, target_KV: Tensor, known_KV: Tensor | None, into_KV: Tensor | None) -> Tensor:
    """Loss per prompt; its derivative by each logit is written into ``into_KV``."""
    target_KV = target_KV.to(logits_KV.dtype)
    known_KV = torch.ones_like(logits_KV) if known_KV is None else known_KV.to(logits_KV.dtype)
    certainty_KV = torch.sigmoid(logits_KV)
    probability_KV = certainty_KV * known_KV
    marked_KV = target_KV * known_KV
    overlap_K1 = (probability_KV * marked_KV).sum(1, keepdim=True)
    size_K1 = (probability_KV.square().sum(1) + marked_KV.square().sum(1) + _SMOOTH)[:, None]
    count_K1 = known_KV.sum(1, keepdim=True).clamp(min=1)
    entropy_KV = functional.binary_cross_entropy_with_logits(logits_KV, target_KV, known_KV, reduction="none")
    if into_KV is not None:
        # Dice = 2 overlap / size, by the probability; d probability / d logit = probability (1 - certainty)
        torch.mul(probability_KV, 4 * overlap_K1 / size_K1.square(), out=into_KV)
        into_KV.sub_(marked_KV * (2 / size_K1)).mul_(probability_KV).mul_(1 - certainty_KV)
        into_KV.add_((probability_KV - marked_KV) / count_K1)
    return (1 - 2 * overlap_K1 / size_K1)[:, 0] + entropy_KV.sum(1) / count_K1[:, 0]
