"""Random numbers of a drawing: from its seeds alone."""

import pytest
import torch

from openvista.synthesis.draws import Draws


def test_seeds_decide_everything():
    assert Draws(1, 2).uniform(0, 1) == Draws(1, 2).uniform(0, 1)
    assert len({Draws(*seeds).uniform(0, 1) for seeds in ((1, 2), (2, 1), (1,), (1, 2, 0))}) == 4
    torch.manual_seed(0)
    one = Draws(3).normal(4)
    torch.manual_seed(1)
    assert torch.equal(one, Draws(3).normal(4))


@pytest.mark.parametrize("wavelength", [30.0, 500.0])
def test_fields_are_smooth_over_their_wavelength(wavelength):
    field = Draws(4).field((60, 50, 40), (3.0, 3.0, 3.0), wavelength)
    assert field.shape == (60, 50, 40)
    steps = field.diff(dim=0).abs().max() / field.std()
    assert float(steps) < 6 * 3.0 / min(wavelength, 150) + 0.2


def test_choices():
    draws = Draws(5)
    assert {draws.below(3) for _ in range(50)} == {0, 1, 2}
    assert {draws.weighted([0.0, 1.0, 1.0]) for _ in range(50)} == {1, 2}
    assert sorted(draws.some([4, 5, 6], 9)) == [4, 5, 6]
    assert len(draws.some([4, 5, 6], 2)) == 2
    assert 150 < sum(draws.chance(0.4) for _ in range(500)) < 250
