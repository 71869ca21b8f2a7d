"""Fat, muscle, skin, arms, table and field of view around a made-up body."""

import numpy as np
import torch

from openvista.synthesis.anatomy import SPACING_MM, make_atlas
from openvista.synthesis.draws import Draws
from openvista.synthesis.maps import read_label_map
from openvista.synthesis.surroundings import AIR, PARTS, draw_around, seen
from openvista.synthesis.tissue import draw_values
from openvista.synthesis.warp import Raster, draw_places, look_up
from small_bodies import NAMES, small_labels, write_body, write_names


def drawn(atlas, seed, arms=0.0, table=0.0):
    body = atlas.bodies[0]
    frame = Raster(tuple(side // 2 for side in body.numbers_XYZ.shape), (2 * SPACING_MM,) * 3)
    found = look_up(body, draw_places(atlas, body, frame, body.extent_3 / 2, 0.0, Draws(0)))
    values = draw_values(atlas.structures, Draws(seed))
    return found, draw_around(found, frame, values, (arms, table), Draws(seed))


def part(around, name):
    return around.parts_XYZ == 1 + PARTS.index(name)


def test_skin_lies_between_fat_and_air(atlas):
    found, around = drawn(atlas, 3)
    air = around.parts_XYZ == 0
    skin = part(around, "skin")
    assert bool(skin.any())
    assert float(found.outline_XYZ[skin].min()) < float(found.outline_XYZ[air].min())
    assert float(found.outline_XYZ[skin].median()) > float(
        found.outline_XYZ[part(around, "fat under the skin")].median()
    )
    assert float(around.hu_XYZ[air].max()) == AIR
    assert float(around.hu_XYZ[part(around, "fat under the skin")].median()) < -40
    assert float(around.hu_XYZ[part(around, "muscular wall")].median()) > -20


def test_arms_lie_outside_the_trunk_and_have_bones(atlas):
    shown = 0
    for seed in range(4):
        bare, armed = (drawn(atlas, seed, arms=arms)[1] for arms in (0.0, 1.0))
        # the arms' draws come after those of the trunk, which is the same with and without
        new = (armed.parts_XYZ > 0) & (bare.parts_XYZ == 0)
        shown += bool(new.any())  # stout bodies push them out of the picture
        trunk = bare.parts_XYZ > 0
        assert torch.equal(armed.parts_XYZ[trunk], bare.parts_XYZ[trunk])
        bones = part(armed, "bone of the arm")
        if bool(bones.any()):
            assert float(armed.hu_XYZ[bones].median()) > 100
    assert shown >= 2


def test_bones_outside_the_trunk_are_covered_with_flesh(tmp_path):
    labels = np.pad(small_labels(), ((0, 12), (0, 0), (0, 0)))
    labels[58:60, 17:19, :] = 12
    body = write_body(tmp_path, labels=labels)
    arm = make_atlas([read_label_map(body, write_names(tmp_path, NAMES | {12: "humerus_right"}))])
    for seed in range(3):
        found, around = drawn(arm, seed)
        close = (found.bone_XYZ < 5) & (found.outline_XYZ > 25) & (found.numbers_XYZ == 0)
        assert bool(close.any())
        assert float((around.parts_XYZ[close] > 0).float().mean()) > 0.95


def test_a_table_lies_behind_the_back_and_is_no_part_of_the_patient(atlas):
    found, around = drawn(atlas, 5, table=1.0)
    table = (around.parts_XYZ == 0) & (around.hu_XYZ > AIR)
    body = (around.parts_XYZ > 0) | (found.numbers_XYZ > 0)
    assert bool(table.any())
    assert float(found.height_XYZ[table].median()) < float(found.height_XYZ[body].min()) + 40


def test_fields_of_view():
    frame = Raster((64, 64, 48), (4.0, 4.0, 4.0))
    assert seen(frame, 0.0, 0.0, Draws(1)) is None
    slab = seen(frame, 1.0, 0.0, Draws(1))
    thick = int(slab[0, 0].sum()) * 4
    assert 28 <= thick <= 124
    assert bool((slab == slab[:1, :1]).all())
    cut = seen(frame, 0.0, 1.0, Draws(2))
    assert 0.05 < float(cut.float().mean()) < 1
    assert bool((cut == cut[:, :, :1]).all())
