"""Muon: orthogonal directions for kernels, AdamW for the rest."""

from copy import deepcopy

import pytest
import torch
from torch import nn

from openvista.train.muon import Muon, orthogonal


@pytest.mark.parametrize("shape", [(8, 216), (216, 8), (16, 16)])
def test_singular_values_become_about_one_and_directions_stay(shape):
    matrix = torch.randn(*shape, generator=torch.Generator().manual_seed(0))
    u, values, v = torch.linalg.svd(matrix, full_matrices=False)
    matrix = u @ torch.diag(torch.linspace(1, 0.05, len(values))) @ v
    made = orthogonal(matrix)
    inside = u.T @ made @ v.T
    assert torch.all((inside.diagonal() > 0.6) & (inside.diagonal() < 1.3))
    assert (inside - torch.diag(inside.diagonal())).abs().max() < 1e-3


def test_scale_of_the_gradient_does_not_matter_and_none_moves_nothing():
    matrix = torch.randn(6, 54, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(orthogonal(1e-6 * matrix), orthogonal(matrix), rtol=1e-3, atol=1e-4)
    assert torch.equal(orthogonal(torch.zeros(6, 54)), torch.zeros(6, 54))


def test_vectors_and_matrices_step_as_with_adamw():
    def parameters():
        return [nn.Parameter(torch.linspace(-1, 1, 12).view(3, 4)), nn.Parameter(torch.linspace(0, 1, 5))]

    ours, theirs = parameters(), parameters()
    muon = Muon(ours, lr=0.01, weight_decay=0.1)
    adamw = torch.optim.AdamW(theirs, lr=0.01, weight_decay=0.1)
    for turn in range(4):
        for one in (*ours, *theirs):
            one.grad = (one.detach() * 3 + turn).sin()
        muon.step()
        adamw.step()
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other)


def test_kernels_move_by_about_as_much_as_with_adamw():
    kernel = nn.Parameter(torch.zeros(16, 8, 3, 3, 3))
    kernel.grad = torch.randn(kernel.shape, generator=torch.Generator().manual_seed(2)) * 1e-4
    Muon([kernel], lr=1.0).step()
    assert float(kernel.detach().square().mean().sqrt()) == pytest.approx(0.2, rel=0.3)


def test_it_goes_on_from_its_state():
    def kernel():
        return nn.Parameter(torch.ones(4, 4, 3, 3, 3))

    def step(optimiser, parameter, seed):
        parameter.grad = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(seed))
        optimiser.step()

    straight = kernel()
    one = Muon([straight], lr=0.1)
    step(one, straight, 0)
    resumed = nn.Parameter(straight.detach().clone())
    two = Muon([resumed], lr=0.1)
    two.load_state_dict(deepcopy(one.state_dict()))
    step(one, straight, 1)
    step(two, resumed, 1)
    assert torch.equal(straight, resumed)
