"""Anatomy that differs from the map: without folds, organs by themselves, exchanged and missing."""

import torch

from openvista.synthesis.anatomy import SPACING_MM
from openvista.synthesis.draws import Draws
from openvista.synthesis.warp import Raster, draw_places, exchange_organs, look_up, remove_organs


def places(atlas, strength, seed, body=0):
    one = atlas.bodies[body]
    frame = Raster(tuple(side // 2 for side in one.numbers_XYZ.shape), (2 * SPACING_MM,) * 3)
    return frame, draw_places(atlas, one, frame, frame.extent_3 / 2, strength, Draws(seed))


def test_without_deformation_the_map_comes_out_as_it_is(atlas):
    body = atlas.bodies[0]
    frame = Raster(tuple(body.numbers_XYZ.shape), (SPACING_MM,) * 3)
    at = draw_places(atlas, body, frame, body.extent_3 / 2, 0.0, Draws(1))
    assert torch.equal(look_up(body, at).numbers_XYZ, body.numbers_XYZ)


def test_deformations_do_not_fold(atlas):
    shares = []
    for seed in range(6):
        _, at = places(atlas, 1.0, seed)
        edges = [at.diff(dim=axis + 1) for axis in range(3)]
        cut = [min(edge.shape[axis] for edge in edges) for axis in (1, 2, 3)]
        columns = torch.stack([edge[:, : cut[0], : cut[1], : cut[2]] for edge in edges], dim=1)
        volume = torch.linalg.det(columns.permute(2, 3, 4, 0, 1))
        shares.append(float((volume <= 0).float().mean()))
    assert max(shares) < 1e-3


def test_organs_grow_and_shrink_by_themselves(atlas, number_of):
    volumes = {"spleen": [], "liver": []}
    for seed in range(12):
        _, at = places(atlas, 1.0, seed)
        numbers = look_up(atlas.bodies[0], at).numbers_XYZ
        for name, found in volumes.items():
            found.append(int((numbers == number_of[name]).sum()))
    ratio = torch.tensor(volumes["spleen"]).float() / torch.tensor(volumes["liver"])
    assert float(ratio.max() / ratio.min()) > 1.5


def test_an_organ_from_another_body_takes_the_place_of_the_own(atlas, number_of):
    body, spleen = atlas.bodies[0], number_of["spleen"]
    sizes = set()
    for seed in range(10):
        _, at = places(atlas, 0.0, 0)
        found = look_up(body, at)
        before = found.numbers_XYZ.clone()
        exchange_organs(atlas, body, found, at, Draws(seed))
        sizes.add(int((found.numbers_XYZ == spleen).sum()))
        bones = (before == number_of["vertebrae L1"]) | (before == number_of["right lung lower lobe"])
        assert torch.equal(found.numbers_XYZ[bones], before[bones])
        assert float(found.depth_XYZ[found.numbers_XYZ == spleen].min()) > 0
    own = int((before == spleen).sum())
    assert max(sizes) > 1.5 * own  # the other body's spleen is 2.7 times as large


def test_what_patients_may_lack_is_missing_now_and_then(atlas, number_of):
    body = atlas.bodies[0]
    missing = {"gallbladder": 0, "liver": 0}
    _, at = places(atlas, 0.0, 0)
    for seed in range(60):
        found = look_up(body, at)
        remove_organs(atlas, body, found, Draws(seed))
        for name in missing:
            missing[name] += not bool((found.numbers_XYZ == number_of[name]).any())
    assert 1 <= missing["gallbladder"] <= 20
    assert missing["liver"] == 0


def test_beyond_the_map_nothing_is_known(atlas):
    body = atlas.bodies[0]
    frame = Raster((8, 8, 20), (10.0, 10.0, 10.0))
    centre = body.extent_3 / 2
    centre[2] = 0.0
    at = draw_places(atlas, body, frame, centre, 0.0, Draws(1))
    beyond = look_up(body, at).beyond_XYZ
    assert bool(beyond[:, :, :10].all())
    assert not bool(beyond[:, :, 10:20].any())
