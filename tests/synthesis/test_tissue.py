"""HU of tissues: in the table's bounds, contrast where it should be, the same from the same seed."""

import pytest
import torch

from openvista.synthesis.draws import Draws
from openvista.synthesis.structure import identify
from openvista.synthesis.tissue import PHASES, TISSUES, draw_values

STRUCTURES = tuple(identify(name) for name in ("liver", "aorta", "left lung lower lobe", "left femur", "colon"))


@pytest.mark.parametrize("name", TISSUES)
def test_bounds_are_in_order(name):
    tissue = TISSUES[name]
    for bounds in (*(tissue.inside(phase) for phase in PHASES), tissue.texture, tissue.wall, tissue.wall_mm):
        assert bounds[0] <= bounds[1]


def test_phases_differ_where_contrast_goes():
    drawn = [draw_values(STRUCTURES, Draws(1, seed)) for seed in range(80)]
    aorta = {phase: [float(one.inside_S[1]) for one in drawn if one.phase == phase] for phase in PHASES}
    assert all(aorta[phase] for phase in PHASES)
    middle = {phase: torch.tensor(values).median() for phase, values in aorta.items()}
    assert middle["arterial"] > middle["venous"] + 40 > middle["plain"] + 80
    assert max(float(one.inside_S[2]) for one in drawn) < -550  # lung
    assert min(float(one.wall_S[3] - one.inside_S[3]) for one in drawn) > 50  # cortical bone


def test_the_same_seed_draws_the_same():
    one, again, other = (draw_values(STRUCTURES, Draws(5, seed)) for seed in (1, 1, 2))
    assert one.phase == again.phase
    assert torch.equal(one.inside_S, again.inside_S)
    assert not torch.equal(one.inside_S, other.inside_S)
