"""Bodies prepared for drawing: depth, outline, discs, places."""

import dataclasses

import pytest
import torch

from openvista.errors import ScanError
from openvista.synthesis.anatomy import ROOM_MM, SPACING_MM, make_atlas
from openvista.synthesis.structure import identify
from small_bodies import PLACES, SPACING


def test_places_are_those_of_the_map(atlas, number_of):
    place = atlas.bodies[0].places[number_of["spleen"]]
    middle, half = PLACES[2]
    labelled = (5, 4, 0)  # first labelled voxel of the whole map along X and Y
    assert 0.8 < place.compact < 1.2
    lengths = place.axes_33.norm(dim=0).sort().values
    assert lengths.tolist() == pytest.approx(sorted(side * SPACING for side in half), rel=0.12)
    kidneys = [atlas.bodies[0].places[number_of[f"{side} kidney"]].centre_3 for side in ("right", "left")]
    assert float(kidneys[0][0] - kidneys[1][0]) == pytest.approx(18 * SPACING, abs=1)
    assert place.centre_3[0] < ROOM_MM + (middle[0] - labelled[0] + 6) * SPACING


def test_depth_is_largest_in_the_middle_and_small_at_the_surface(atlas, number_of):
    body = atlas.bodies[0]
    spleen = body.numbers_XYZ == number_of["spleen"]
    assert float(body.depth_XYZ[spleen].max()) == pytest.approx(5 * SPACING, abs=SPACING)
    assert float(body.depth_XYZ[spleen].min()) == SPACING_MM
    assert float(body.depth_XYZ[body.numbers_XYZ == 0].max()) == 0


def test_the_outline_is_around_everything_that_is_labelled(atlas):
    body = atlas.bodies[0]
    outline = body.surface_2XYZ[0].repeat_interleave(2, 0).repeat_interleave(2, 1).repeat_interleave(2, 2)
    outline = outline[tuple(slice(0, side) for side in body.numbers_XYZ.shape)]
    inside = outline[body.numbers_XYZ > 0]
    assert (inside < 10).float().mean() > 0.99
    assert float(outline[0].min()) > 50


def test_a_disc_fills_the_gap_between_two_vertebrae_in_front_of_the_canal(atlas, number_of):
    body = atlas.bodies[0]
    disc = (body.numbers_XYZ == number_of["intervertebral discs"]).nonzero().float()
    lower, upper = (body.places[number_of[f"vertebrae {name}"]].centre_3 / SPACING_MM for name in ("L2", "L1"))
    assert len(disc) > 100
    assert bool(((disc[:, 2] > lower[2]) & (disc[:, 2] < upper[2])).all())
    assert float(disc[:, 1].min()) > float(lower[1]) - 3


def test_twins(atlas, number_of):
    twins = atlas.twins_S
    assert int(twins[number_of["left kidney"]]) == number_of["right kidney"]
    assert int(twins[number_of["liver"]]) == number_of["liver"]
    assert torch.equal(twins[twins.long()], torch.arange(len(twins), dtype=torch.uint8))


def test_more_structures_than_numbers_are_refused(maps):
    many = {number: identify(f"thing {number}") for number in range(1, 300)}
    with pytest.raises(ScanError, match="at most 255"):
        make_atlas([dataclasses.replace(maps[0], structures=many)])
