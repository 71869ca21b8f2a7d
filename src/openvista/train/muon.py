"""Muon: an optimiser whose momentum counts the same in every direction.

Kernels learn from a momentum that is made orthogonal before each step, so that rare directions move as far as frequent
ones (K. Jordan et al., Muon, 2024); everything else learns by AdamW. Each step is scaled to about the size of AdamW's,
so that both take the same learning rate and weight decay (J. Liu et al., Muon is Scalable for LLM Training, 2025).

torch's own ``torch.optim.Muon`` takes matrices only, no kernels of convolutions, and computes in bfloat16.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw

QUINTIC = (3.4445, -4.7750, 2.0315)
"""Factors of x, x³ and x⁵ that take singular values of 0.01 to 1 to about 1 (Jordan et al.)."""

NEWTON_SCHULZ_STEPS = 5
"""Of one optimiser step (Jordan et al.)."""

ADAM_STEP = 0.2
"""Root mean square of AdamW's steps at learning rate 1 (Liu et al.)."""


class Muon(torch.optim.Optimizer):
    """Muon for kernels (3 dimensions or more), AdamW for vectors, embeddings and matrices.

    Args:
        parameters: everything that learns.
        lr: learning rate of both.
        weight_decay: of both, decoupled.
        momentum: of the kernels, Nesterov's.
        betas, epsilon: AdamW's.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        lr: float,
        weight_decay: float = 0.0,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.999),
        epsilon: float = 1e-8,
    ) -> None:
        defaults = {"lr": lr, "weight_decay": weight_decay, "momentum": momentum, "betas": betas, "epsilon": epsilon}
        super().__init__(list(parameters), defaults)

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        """One step along the gradients; parameters without one stay."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                update = _update_kernel if parameter.ndim > 2 else _update_other
                update(parameter, parameter.grad, self.state[parameter], group)


def _update_kernel(parameter: Tensor, gradient: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
    """One step of a kernel [D, C, ...], taken as a matrix of D rows."""
    if not state:
        state["momentum"] = torch.zeros_like(parameter)
    momentum = state["momentum"].lerp_(gradient, 1 - group["momentum"])
    ahead = gradient.lerp(momentum, group["momentum"]).flatten(1)
    step = orthogonal(ahead).view_as(parameter)
    parameter.mul_(1 - group["lr"] * group["weight_decay"])
    parameter.sub_(step, alpha=group["lr"] * ADAM_STEP * max(ahead.shape) ** 0.5)


def _update_other(parameter: Tensor, gradient: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
    """One step of torch's AdamW."""
    if not state:
        state["step"] = torch.tensor(0.0)
        state["mean"], state["square"] = torch.zeros_like(parameter), torch.zeros_like(parameter)
    beta1, beta2 = group["betas"]
    rates = {"lr": group["lr"], "weight_decay": group["weight_decay"], "eps": group["epsilon"]}
    means, squares, steps = [state["mean"]], [state["square"]], [state["step"]]
    betas = {"beta1": beta1, "beta2": beta2}
    adamw([parameter], [gradient], means, squares, [], steps, amsgrad=False, maximize=False, **betas, **rates)


def orthogonal(matrix_AB: Tensor) -> Tensor:
    """The matrix with its singular values brought to about 1 (0.7 to 1.2), by Newton-Schulz steps.

    They are done on the smaller Gram matrix, which commutes with all its polynomials: the large matrix is multiplied
    twice, whatever their number. [A, B] in and out.
    """
    if matrix_AB.shape[0] > matrix_AB.shape[1]:
        return orthogonal(matrix_AB.T).T
    matrix_AB = matrix_AB / matrix_AB.norm().clamp(min=1e-12)
    gram_AA = matrix_AB @ matrix_AB.T
    one, three, five = QUINTIC
    total_AA = identity_AA = torch.eye(len(gram_AA), dtype=gram_AA.dtype, device=gram_AA.device)
    for _ in range(NEWTON_SCHULZ_STEPS):
        step_AA = one * identity_AA + three * gram_AA + five * (gram_AA @ gram_AA)
        total_AA = step_AA @ total_AA
        gram_AA = step_AA @ gram_AA @ step_AA
    return total_AA @ matrix_AB
