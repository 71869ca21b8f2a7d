"""Slices for the picture: the right ones, the right way round, the right colours."""

import itertools

import numpy as np
import pytest

from openvista.geometry.grid import Grid
from openvista.report.slices import colour_slice, content_box, in_ras_order, informative_slices, radiological

ORIENTATIONS = list(itertools.product(itertools.permutations(range(3)), itertools.product((1, -1), repeat=3)))


@pytest.mark.parametrize(("order", "signs"), ORIENTATIONS)
def test_ras_order_undoes_any_orientation(order: tuple[int, ...], signs: tuple[int, ...]) -> None:
    volume = np.arange(4 * 5 * 6).reshape(4, 5, 6)
    moved = volume.transpose(order)[tuple(slice(None, None, sign) for sign in signs)]
    affine = np.eye(4)
    affine[:3, :3] = np.eye(3)[:, order] * np.array(signs)
    np.testing.assert_array_equal(in_ras_order(moved, Grid(moved.shape, affine)), volume)


def test_the_patients_right_is_on_the_left() -> None:
    volume = np.zeros((4, 5, 6), int)
    volume[3, 4, 5] = 1  # rightmost, frontmost, topmost
    for axis, index in enumerate((3, 4, 5)):
        plane = radiological(volume, axis, index)
        assert plane[0, 0] == 1  # upper left in all three: R and A; R and S; A and S
        assert plane.sum() == 1
    assert radiological(volume, 2, 5).shape == (5, 4)
    assert radiological(volume, 1, 4).shape == (6, 4)
    assert radiological(volume, 0, 3).shape == (6, 5)


def test_slices_go_through_the_structures() -> None:
    labels = np.zeros((40, 40, 40), np.uint8)
    labels[10:14, 18:22, 25:29] = 1
    labels[10:13, 30:33, 27:30] = 9
    x, y, z = informative_slices(labels)
    assert 10 <= x < 13
    assert labels[:, y].any()
    assert set(np.unique(labels[:, :, z])) == {0, 1, 9}


def test_a_structure_cut_by_the_border_does_not_draw_the_slice_there() -> None:
    labels = np.zeros((30, 30, 30), np.uint8)
    for z in range(30):
        labels[10 : 11 + z // 3, 10 : 11 + z // 3, z] = 1  # grows to the border
    assert 20 < informative_slices(labels)[2] < 28


def test_slices_of_a_large_volume_are_found_on_a_sample() -> None:
    labels = np.zeros((300, 300, 300), np.uint8)
    labels[200:230, 100:130, 150:180] = 3
    x, y, z = informative_slices(labels)
    assert labels[x].any()
    assert labels[:, y].any()
    assert labels[:, :, z].any()


@pytest.mark.parametrize("shape", [(8, 9, 10), (1, 1, 1), (7, 1, 3)])
def test_nothing_labelled_gives_the_middle(shape: tuple[int, int, int]) -> None:
    assert informative_slices(np.zeros(shape, np.uint8)) == tuple(n // 2 for n in shape)


def test_the_picture_is_cut_to_body_and_labels() -> None:
    labels = np.zeros((100, 200), np.uint8)
    hu = np.full(labels.shape, -1000)
    assert content_box(labels, hu) == (slice(None), slice(None))
    labels[10:12, 20:22] = 1
    hu[40:60, 50:150] = 40
    assert content_box(labels, None) == (slice(10, 12), slice(20, 22))
    assert content_box(labels, hu) == (slice(7, 63), slice(12, 158))


def test_colours_of_a_slice() -> None:
    labels = np.zeros((10, 10), np.uint8)
    labels[:, 5:] = 2
    hu = np.full((10, 10), 40.0)  # the middle of the window
    image = colour_slice(labels, hu, (100, 200), {2: (255, 0, 0)})
    assert image.shape == (100, 200, 3)
    np.testing.assert_allclose(image[:, :90], 0.5, atol=1e-5)  # CT in grey
    inside, edge = image[50, 150], image[50, 100]
    assert inside[0] > 0.6 > 0.4 > inside[1]  # tinted, the CT shines through
    assert edge[0] > 0.9 > 0.1 > edge[1]  # outlined


def test_without_a_scan_the_background_is_black() -> None:
    image = colour_slice(np.zeros((3, 4), np.uint8), None, (30, 40), {})
    assert image.max() == 0


def test_smaller_than_the_slice_works_too() -> None:
    labels = np.zeros((64, 64), np.uint16)
    labels[20:40, 20:40] = 300
    image = colour_slice(labels, None, (16, 16), {300: (0, 255, 0)})
    assert image[7, 7, 1] > 0.3
    assert image[0, 0].max() == 0
