"""Whole drawings: exact by seed, faithful to the map where nothing may differ, mirrored with their names."""

import dataclasses

import pytest
import torch

from openvista.errors import GridError, RecipeError
from openvista.synthesis.anatomy import SPACING_MM
from openvista.synthesis.contents import MOST_LESIONS, draw_textures
from openvista.synthesis.draws import Draws
from openvista.synthesis.surroundings import PARTS
from openvista.synthesis.synthetic_ct import Subject, Variety, draw_ct, draw_whole, nearest, random_place
from openvista.synthesis.warp import Raster

FAITHFUL = Variety(0.0, 0.0, False, False, 0.0, 0.0, 0.0, 0.0, 0.0)
FRAME = Raster((40, 40, 24), (4.0, 4.0, 4.0))


def patch(atlas, seed, variety=Variety()):  # noqa: B008
    draws = Draws(9, seed)
    body = draws.below(2)
    place = random_place(atlas.bodies[body], [[number] for number in atlas.bodies[body].places], 0.8, FRAME, draws)
    return draw_ct(atlas, Subject(body, place), FRAME, variety, draws)


def test_the_same_seed_draws_the_same_and_another_seed_does_not(atlas):
    one, again, other = (patch(atlas, seed) for seed in (4, 4, 5))
    assert torch.equal(one.hu_XYZ, again.hu_XYZ)
    assert torch.equal(one.pieces_XYZ, again.pieces_XYZ)
    assert not torch.equal(one.hu_XYZ, other.hu_XYZ)


def test_drawing_is_left_alone_by_the_global_seed(atlas):
    torch.manual_seed(1)
    one = patch(atlas, 6)
    torch.manual_seed(2)
    assert torch.equal(one.hu_XYZ, patch(atlas, 6).hu_XYZ)


def test_a_faithful_drawing_has_the_maps_structures_with_the_hu_of_their_tissues(atlas, number_of):
    body = atlas.bodies[0]
    drawing = draw_whole(atlas, 0, (SPACING_MM,) * 3, FAITHFUL, Draws(3))
    shrunk = drawing.numbers_XYZ != body.numbers_XYZ
    assert float(shrunk[body.numbers_XYZ > 0].float().mean()) < 0.35
    assert bool((drawing.numbers_XYZ[shrunk] == 0).all())
    median = {
        name: float(drawing.hu_XYZ[drawing.numbers_XYZ == number].median())
        for name, number in number_of.items()
        if bool((drawing.numbers_XYZ == number).any())
    }
    assert median["right lung lower lobe"] < -550
    assert 0 < median["liver"] < 170
    assert median["vertebrae L1"] > median["liver"]
    outside = drawing.pieces_XYZ == 0
    assert float(drawing.hu_XYZ[outside].median()) < -900


def test_everything_that_is_drawn_is_a_piece(atlas):
    drawing = draw_whole(atlas, 0, (4.0, 4.0, 4.0), dataclasses.replace(FAITHFUL, arms=1.0, lesions=True), Draws(8))
    count = len(atlas.structures)
    found = set(drawing.pieces_XYZ.unique().tolist())
    assert {count + PARTS.index(name) for name in ("skin", "fat under the skin", "muscular wall")} <= found
    assert max(found) < count + len(PARTS) + MOST_LESIONS
    labelled = drawing.numbers_XYZ > 0
    own = drawing.pieces_XYZ[labelled] == drawing.numbers_XYZ[labelled]
    lesion = drawing.pieces_XYZ[labelled] >= count + len(PARTS)
    assert bool((own | lesion).all())


def test_lesions_are_pieces_and_leave_the_label(atlas):
    count = len(atlas.structures) + len(PARTS)
    drawings = [
        draw_whole(atlas, 0, (4.0,) * 3, dataclasses.replace(FAITHFUL, lesions=True), Draws(s)) for s in range(8)
    ]
    with_lesions = [one for one in drawings if bool((one.pieces_XYZ >= count).any())]
    assert 0 < len(with_lesions) < len(drawings)
    for one in with_lesions:
        assert bool((one.numbers_XYZ[one.pieces_XYZ >= count] > 0).all())


def test_a_mirrored_drawing_has_its_sides_exchanged(atlas, number_of):
    plain, mirrored = (
        draw_whole(atlas, 0, (4.0,) * 3, dataclasses.replace(FAITHFUL, mirror=share), Draws(2)) for share in (0.0, 1.0)
    )
    right, left = number_of["right kidney"], number_of["left kidney"]
    assert torch.equal(mirrored.numbers_XYZ == right, (plain.numbers_XYZ == left).flip(0))
    assert torch.equal(mirrored.pieces_XYZ == left, (plain.pieces_XYZ == right).flip(0))
    assert torch.equal(mirrored.numbers_XYZ == 1, (plain.numbers_XYZ == 1).flip(0))
    assert torch.equal(mirrored.hu_XYZ, plain.hu_XYZ.flip(0))
    middle = [(mirrored.numbers_XYZ == number).nonzero()[:, 0].float().mean() for number in (right, left)]
    assert middle[0] > middle[1]


def test_a_slab_shows_nothing_above_and_below(atlas):
    drawing = draw_whole(atlas, 0, (4.0,) * 3, dataclasses.replace(FAITHFUL, slab=1.0), Draws(6))
    empty = (drawing.hu_XYZ.amax((0, 1)) < -800).tolist()
    assert any(empty)
    shown = drawing.numbers_XYZ.amax((0, 1)) > 0
    assert not any(hidden and bool(one) for hidden, one in zip(empty, shown, strict=True))


def test_too_many_voxels_are_refused_with_a_size_that_fits(atlas):
    with pytest.raises(GridError, match=r"at most 50 million are drawn: take ([0-9.]+) mm") as error:
        draw_whole(atlas, 0, (0.2, 0.2, 0.2), FAITHFUL, Draws(0))
    enough = float(str(error.value).split("take ")[1].split()[0])
    assert 0.2 < enough < 1
    assert torch.prod(atlas.bodies[0].extent_3 / enough) <= 50e6


def test_the_middle_of_a_finer_drawing():
    line = torch.arange(12).view(12, 1, 1).expand(12, 3, 3)
    assert nearest(line, Raster((4, 3, 3), (3.0, 1.0, 1.0)))[:, 0, 0].tolist() == [1, 4, 7, 10]


def test_places_lie_on_what_is_wanted(atlas, number_of):
    body = atlas.bodies[0]
    spleen = body.places[number_of["spleen"]]
    for seed in range(20):
        place = random_place(body, [[number_of["spleen"]]], 1.0, FRAME, Draws(seed))
        assert float((place - spleen.centre_3).norm()) < 3 * float(spleen.axes_33.norm(dim=0).max())


def test_other_places_lie_in_the_middle_of_the_trunk_and_most_of_the_frame_in_the_map(atlas):
    body = atlas.bodies[0]
    places_N3 = torch.stack([random_place(body, [], 0.5, FRAME, Draws(seed)) for seed in range(40)])
    shares_N3 = places_N3 / body.extent_3
    assert bool(((shares_N3[:, :2] >= 0.35) & (shares_N3[:, :2] <= 0.65)).all())
    half = float(FRAME.extent_3[2]) / 2
    least = min(float(body.extent_3[2]) / 2, 0.75 * half)
    assert bool((places_N3[:, 2] >= least - 1e-3).all() & (places_N3[:, 2] <= body.extent_3[2] - least + 1e-3).all())
    assert float(shares_N3.std(0)[:2].min()) > 0.03


def test_textures_have_the_deviation_they_claim():
    fields = draw_textures(Raster((60, 60, 40), (4.0,) * 3), Draws(1))
    for one in (fields.grain_XYZ, fields.broad_XYZ, fields.fine_XYZ):
        assert 0.4 < float(one.std()) < 1.6


@pytest.mark.parametrize(("key", "value"), [("mirror", 1.2), ("strength", -1.0), ("slab", -0.1)])
def test_impossible_shares_are_refused(key, value):
    with pytest.raises(RecipeError, match=key):
        Variety(**{key: value})
