"""Erosion, dilation, largest piece; what supervoxels cover."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from openvista.simulate.pieces import Supervoxels, dilate, erode, largest_piece


def random_mask(seed, shape=(9, 7, 8), density=0.8):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) < density


@pytest.mark.parametrize("side", [1, 3, 5])
@settings(max_examples=15)
@given(seed=st.integers(0, 1000), density=st.floats(0.02, 0.98))
def test_erosion_and_dilation_are_those_of_scipy(side, seed, density):
    mask, cube = random_mask(seed, density=density), np.ones((side, side, side), bool)
    eroded = ndimage.binary_erosion(mask.numpy(), cube, border_value=1)
    assert np.array_equal(erode(mask[None], side)[0].numpy(), eroded)
    assert np.array_equal(dilate(mask, side).numpy(), ndimage.binary_dilation(mask.numpy(), cube))


def test_a_patch_thinner_than_the_cube():
    mask = torch.ones(1, 2, 1, 4, dtype=torch.bool)
    assert erode(mask, 5).all()


@settings(max_examples=30)
@given(seed=st.integers(0, 1000))
def test_the_largest_piece_lies_in_the_opened_mask_and_is_no_smaller_than_another(seed):
    mask = random_mask(seed, (14, 13, 12), density=0.93)
    piece = largest_piece(mask, 3)
    cube = np.ones((3, 3, 3), bool)
    eroded = ndimage.binary_erosion(mask.numpy(), cube, border_value=1)
    labels, count = ndimage.label(eroded, structure=cube)
    pieces = [ndimage.binary_dilation(labels == number, cube) for number in range(1, count + 1)]
    if not pieces:
        assert not piece.any()
        return
    cores = np.bincount(labels.ravel())[1:]
    assert any(np.array_equal(piece.numpy(), pieces[number]) for number in range(count) if cores[number] == cores.max())


def test_a_thin_bridge_does_not_join_and_touching_chooses():
    mask = torch.zeros(20, 7, 7, dtype=torch.bool)
    mask[1:9, 1:6, 1:6] = True
    mask[9:13, 3, 3] = True
    mask[13:19, 1:6, 1:6] = True
    large, small = mask.clone(), mask.clone()
    large[9:] = False
    small[:13] = False
    assert torch.equal(largest_piece(mask, 3), large)
    at_the_end = torch.zeros_like(mask)
    at_the_end[18] = True
    assert torch.equal(largest_piece(mask, 3, touching_XYZ=at_the_end), small)
    beyond = torch.zeros_like(mask)
    beyond[19] = True
    assert not largest_piece(mask, 3, touching_XYZ=beyond).any()
    assert not largest_piece(torch.zeros_like(mask), 3).any()


def test_what_supervoxels_cover():
    numbers = torch.tensor([[0, 0, 7, 7], [7, 90, 90, 400]]).view(2, 2, 2)
    labels = torch.tensor([[0, 1, 0, 1], [1, 0, 0, 2]]).view(2, 2, 2)
    supervoxels = Supervoxels(numbers, labels)
    assert supervoxels.numbers.tolist() == [1, 2, 3]
    assert supervoxels.voxels.tolist() == [3, 2, 1]
    assert supervoxels.unlabelled_voxels.tolist() == [1, 2, 0]
    assert supervoxels.voxels_in(labels == 1).tolist() == [2, 0, 0]
    assert torch.equal(supervoxels.mask(2), numbers == 90)


def test_air_only():
    nothing = torch.zeros(2, 2, 2, dtype=torch.long)
    assert Supervoxels(nothing, nothing).numbers.tolist() == []
    assert Supervoxels(nothing, nothing).unlabelled_voxels.tolist() == []
