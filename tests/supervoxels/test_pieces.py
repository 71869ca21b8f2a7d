"""Every supervoxel in one piece."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

pytest.importorskip("skimage")

from openvista.supervoxels.pieces import connect, keep_together, neighbours, split


def assert_whole(labels):
    """Consecutive numbers, each face-connected."""
    found = np.unique(labels[labels > 0])
    assert np.array_equal(found, np.arange(1, len(found) + 1))
    for number in found:
        assert ndimage.label(labels == number)[1] == 1


volumes = st.integers(0, 10_000).map(lambda seed: np.random.default_rng(seed).integers(0, 4, (7, 6, 5)))


@given(volumes, st.integers(1, 40))
def test_connected_pieces_are_whole_large_enough_and_cover_all_but_specks(labels, smallest):
    features = np.random.default_rng(1).random((*labels.shape, 2), np.float32)
    result = connect(labels, features, smallest)
    assert_whole(result)
    assert not (result[labels == 0]).any()
    sizes = np.bincount(result.ravel())[1:]
    assert (sizes >= smallest).all()
    islands, count = ndimage.label(labels > 0)
    large = np.isin(islands, [n for n in range(1, count + 1) if (islands == n).sum() >= smallest])
    assert np.array_equal(result > 0, large)


def test_a_small_piece_joins_the_neighbour_it_is_like_not_the_one_with_the_longer_border():
    labels = np.ones((9, 9, 9), int)
    labels[5:] = 2
    labels[4, 4, 4] = 3  # five faces in 1, one to 2
    features = np.where(labels == 1, 0.0, 1.0).astype(np.float32)[..., None]
    result = connect(labels, features, 10)
    assert result[4, 4, 4] == result[8, 0, 0] != result[0, 0, 0]


@given(volumes)
def test_the_largest_piece_of_each_label_is_kept(labels):
    result = keep_together(labels)
    assert_whole(result)
    assert not (result[labels == 0]).any()
    for number in np.unique(labels[labels > 0]):
        pieces, _ = ndimage.label(labels == number)
        largest = pieces == np.argmax(np.bincount(pieces.ravel())[1:]) + 1
        assert len(np.unique(result[largest])) == 1
        assert result[largest][0] > 0


def test_neighbours_share_faces_not_edges():
    labels = np.array([[[1], [2]], [[3], [1]]])
    pieces, sizes = split(labels)
    assert sizes.tolist() == [0, 1, 1, 1, 1]
    assert neighbours(pieces, 5) == [{}, {2: 1, 3: 1}, {1: 1, 4: 1}, {1: 1, 4: 1}, {2: 1, 3: 1}]


def test_connecting_is_the_same_every_time():
    random = np.random.default_rng(5)
    labels, features = random.integers(0, 5, (20, 20, 10)), random.random((20, 20, 10, 3), np.float32)
    assert np.array_equal(connect(labels, features, 30), connect(labels, features, 30))
