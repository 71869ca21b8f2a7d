"""Patches: an unchanged cut is the volume itself, a mirror swaps sides, unknown stays unknown."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage

from openvista.train import augment
from openvista.train.augment import Augmentation, change_intensity, draw_patch
from openvista.train.cases import KnownRange, TrainingCase, some_voxels

PLAIN = Augmentation(chance=0, zoom=0, rotation_degrees=0, mirror=False, around_structure=0)


def make_case(shape=(12, 10, 14), known=None):
    random = torch.Generator().manual_seed(0)
    image = torch.rand(shape, generator=random).half()
    labels = torch.zeros(shape, dtype=torch.uint8)
    labels[1:4, 4:6, 5:8] = 3  # low index: patient's left in RAS
    labels[8:11, 4:6, 5:8] = 4
    return TrainingCase("made up", image, labels, (3, 4), known or {}, (2.0, 2.0, 2.0))


def random(seed=0):
    return torch.Generator().manual_seed(seed)


def test_a_window_as_large_as_the_volume_is_the_volume():
    case = make_case()
    patch = draw_patch(case, (12, 10, 14), PLAIN, {}, random())
    assert torch.allclose(patch.image_XYZ, case.image_XYZ.float(), atol=1e-4)
    assert torch.equal(patch.labels_XYZ, case.labels_XYZ.long())


def test_a_smaller_window_stays_inside():
    case = make_case()
    ones = TrainingCase("ones", torch.ones(12, 10, 14).half(), case.labels_XYZ, (3, 4), {}, (2.0, 2.0, 2.0))
    for seed in range(5):
        assert draw_patch(ones, (8, 8, 8), PLAIN, {}, random(seed)).image_XYZ.min() > 0.999


def test_patches_that_are_not_bent_are_cut_along_the_voxels():
    case = make_case((20, 18, 22))
    image = case.image_XYZ.float()
    never = Augmentation(chance=0, spatial_share=0, mirror=False)
    for seed in range(5):
        patch = draw_patch(case, (8, 8, 8), never, {}, random(seed))
        corners = image.unfold(0, 8, 1).unfold(1, 8, 1).unfold(2, 8, 1)
        assert (corners - patch.image_XYZ).abs().amax((3, 4, 5)).min() < 1e-4
    share = replace(never, spatial_share=0.5)
    cuts = [draw_patch(case, (20, 18, 22), share, {}, random(seed)).image_XYZ for seed in range(20)]
    assert 4 <= sum(torch.allclose(cut, image, atol=1e-4) for cut in cuts) <= 16


def test_outside_the_scan_is_air():
    patch = draw_patch(make_case((6, 6, 6)), (16, 16, 16), PLAIN, {}, random())
    assert patch.image_XYZ[0].abs().max() == 0
    assert patch.image_XYZ[5:11, 5:11, 5:11].abs().max() > 0


def test_a_mirror_flips_the_image_and_swaps_paired_classes():
    case = make_case()
    always = Augmentation(chance=0, zoom=0, rotation_degrees=0, mirror=True, around_structure=0)
    mirrored = 0
    for seed in range(12):
        patch = draw_patch(case, (12, 10, 14), always, {3: 4, 4: 3}, random(seed))
        # whether mirrored or not, class 3 is always on the low side: left stays left
        assert torch.equal(patch.labels_XYZ, case.labels_XYZ.long())
        mirrored += torch.allclose(patch.image_XYZ, case.image_XYZ.float().flip(0), atol=1e-4)
    assert 2 <= mirrored <= 10


def test_beyond_its_range_a_class_is_known_where_something_else_is_marked():
    case = make_case(known={3: KnownRange(axis=2, first=10, last=13)})
    known_XYZ = draw_patch(case, (12, 10, 14), PLAIN, {}, random()).known_XYZ[3]
    expected = case.labels_XYZ > 0  # at 5 to 7 along the axis
    expected[:, :, 10:] = True
    assert torch.equal(known_XYZ, expected)


def test_known_range_and_annotation_follow_the_mirror():
    case = make_case(known={3: KnownRange(axis=2, first=4, last=9)})
    always = Augmentation(chance=0, zoom=0, rotation_degrees=0, mirror=True, around_structure=0)
    expected = torch.zeros(12, 10, 14, dtype=torch.bool)
    expected[:, :, 4:10] = True
    seen = set()
    for seed in range(12):
        patch = draw_patch(case, (12, 10, 14), always, {3: 4, 4: 3}, random(seed))
        (value,) = patch.known_XYZ
        seen.add(value)
        assert torch.equal(patch.known_XYZ[value], expected)
        assert set(patch.annotated) == {3, 4}
    assert seen == {3, 4}


def test_the_same_seed_draws_the_same_patch():
    first, second = (draw_patch(make_case(), (8, 8, 8), Augmentation(), {3: 4, 4: 3}, random(5)) for _ in range(2))
    assert torch.equal(first.image_XYZ, second.image_XYZ)
    assert torch.equal(first.labels_XYZ, second.labels_XYZ)


def test_rotation_keeps_millimetres():
    # a ball of 8 mm on anisotropic voxels stays a ball of the same volume when turned
    x, y, z = torch.meshgrid(torch.arange(41.0), torch.arange(41.0), torch.arange(21.0), indexing="ij")
    ball = (((x - 20) * 1) ** 2 + ((y - 20) * 1) ** 2 + ((z - 10) * 2) ** 2) < 64
    case = TrainingCase("ball", ball.half(), ball.to(torch.uint8), (1,), {}, (1.0, 1.0, 2.0))
    turned = Augmentation(chance=0, zoom=0, rotation_degrees=45, mirror=False, around_structure=1)
    for seed in range(4):
        patch = draw_patch(case, (41, 41, 21), turned, {}, random(seed))
        assert abs(int(patch.labels_XYZ.sum()) - int(ball.sum())) < 0.1 * int(ball.sum())


@pytest.mark.parametrize("seed", range(3))
def test_intensity_changes_keep_shape_and_are_finite(seed):
    image = torch.rand(8, 9, 10)
    changed = change_intensity(image, Augmentation(chance=1), random(seed))
    assert changed.shape == image.shape
    assert torch.isfinite(changed).all()
    assert not torch.equal(changed, image)
    assert torch.equal(change_intensity(image, PLAIN, random(seed)), image)


def test_patches_are_centred_on_rare_structures_more_often():
    case = make_case()
    places = {3: {tuple(place) for place in case.places_of(3).tolist()}}

    def share_of_3(repeats):
        always = replace(PLAIN, around_structure=1)
        centres = [augment.centre_of_interest(case, always, random(seed), repeats) for seed in range(200)]
        return sum(tuple(int(one) for one in centre) in places[3] for centre in centres) / len(centres)

    assert share_of_3(None) == pytest.approx(1 / 2, abs=0.1)
    assert share_of_3({3: 4.0}) == pytest.approx(4 / 5, abs=0.1)
    assert share_of_3({4: 4.0, 5: 2.0}) == pytest.approx(1 / 5, abs=0.1)


@pytest.mark.parametrize("seed", range(6))
def test_reading_only_a_box_changes_nothing(seed):
    """A cut from a large volume equals the cut from the whole of it, sampled at once."""
    case = make_case((40, 30, 34))
    augmentation = Augmentation(chance=0, rotation_degrees=30, zoom=0.3)
    patch = draw_patch(case, (16, 12, 20), augmentation, {}, random(seed))
    voxel_map = drawn_map(case, (16, 12, 20), augmentation, seed)
    assert torch.allclose(patch.image_XYZ, sampled(case.image_XYZ.float(), voxel_map, (16, 12, 20)), atol=1e-4)


def drawn_map(case, window, augmentation, seed):
    source = random(seed)
    mirror = float(torch.rand(1, generator=source)) < 0.5
    return augment._voxel_map(case, window, augmentation, mirror, source, None)


def sampled(volume_XYZ, voxel_map, window):
    """Trilinear reading by scipy, 0 outside."""
    offsets = [np.arange(side) - (side - 1) / 2 for side in window]
    places = np.stack(np.meshgrid(*offsets, indexing="ij"))
    matrix = voxel_map.double().numpy()
    voxels = np.einsum("ab,bxyz->axyz", matrix[:, :3], places) + matrix[:, 3, None, None, None]
    return torch.from_numpy(ndimage.map_coordinates(np.pad(volume_XYZ.numpy(), 2), voxels + 2, order=1)).float()


def test_supervoxels_go_through_the_same_changes():
    case = replace(make_case(), supervoxels_XYZ=make_case().labels_XYZ.int() * 100)
    for seed in range(6):
        patch = draw_patch(case, (8, 8, 8), Augmentation(), {}, random(seed))
        assert torch.equal(patch.supervoxels_XYZ, patch.labels_XYZ * 100)


def test_pseudo_labelled_classes_follow_the_mirror():
    case = replace(make_case(), pseudo=frozenset({3}))
    always = Augmentation(chance=0, zoom=0, rotation_degrees=0, mirror=True, around_structure=0)
    seen = {next(iter(draw_patch(case, (12, 10, 14), always, {3: 4, 4: 3}, random(seed)).pseudo)) for seed in range(8)}
    assert seen == {3, 4}


def test_places_of_a_large_structure_are_spread_over_it():
    mask = torch.ones(30, 30, 30, dtype=torch.bool)
    places = some_voxels(mask)
    assert places.shape == (4096, 3)
    assert len(set(map(tuple, places.tolist()))) == 4096
    assert (places.float().mean(0) - 14.5).abs().max() < 0.5
    assert torch.equal(some_voxels(mask[:4, :4, :4]).long(), mask[:4, :4, :4].nonzero())


def test_flips_and_quarter_turns_show_a_volume_in_all_its_48_ways_and_no_other():
    case = make_case((8, 8, 8))
    turning = replace(PLAIN, spatial_share=0, flip=0.5, quarter_turn=0.75)
    image = case.image_XYZ.float()
    ways = {}
    for axes in itertools.permutations(range(3)):
        for flipped in itertools.product((False, True), repeat=3):
            way = image.permute(axes).flip([axis for axis in range(3) if flipped[axis]])
            ways[axes, flipped] = way
    seen = set()
    for seed in range(300):
        patch = draw_patch(case, (8, 8, 8), turning, {3: 4, 4: 3}, random(seed))
        (way,) = [name for name, one in ways.items() if torch.allclose(one, patch.image_XYZ, atol=1e-4)]
        axes, flipped = way
        labels = case.labels_XYZ.long().permute(axes).flip([axis for axis in range(3) if flipped[axis]])
        assert torch.equal(patch.labels_XYZ, labels)  # no label changes its side
        seen.add(way)
    assert len({axes for axes, _ in seen}) >= 4  # a patch is turned in one plane at most
    assert len(seen) >= 30


def test_a_turned_window_of_other_sides_stays_inside():
    ones = TrainingCase("ones", torch.ones(20, 12, 12).half(), torch.zeros(20, 12, 12).long(), (), {}, (2.0, 2.0, 2.0))
    turning = replace(PLAIN, spatial_share=0, quarter_turn=1)
    for seed in range(20):
        patch = draw_patch(ones, (12, 8, 8), turning, {}, random(seed))
        assert patch.image_XYZ.shape == (12, 8, 8)
        assert patch.image_XYZ.min() > 0.999
